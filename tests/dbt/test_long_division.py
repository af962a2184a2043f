"""The one allocation function on weights whose product with the money has more than 38 digits: exact, by whole numbers of any size.

Belongs here: `allocation_floor` and `allocation_remainder` over the embedded engine. Does not: what is allocated (the unit tests of
int_bucket_allocations).
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.exporting.division import allocation_macros, long_division

# A daily window of 16 GPUs under base_price: 24 h x 16 GPUs x 7,207,200 parts x 3,600 s x 1e6, times 950,000 x 16 for the GPUs and
# 31,611 x 192 + 4,237 x 2,048 for the host
DAY_OF_16_GPUS = 24 * 16 * 7_207_200 * 3600 * 10**6 * (950_000 * 16 + 31_611 * 192 + 4_237 * 2_048)
Query = tuple[duckdb.DuckDBPyConnection, str]


@pytest.fixture(scope="module")
def query() -> Iterator[Query]:
    macros = allocation_macros()
    floor, remainder = (getattr(macros, name)("u", "w", "t") for name in ("allocation_floor", "allocation_remainder"))
    with duckdb.connect() as connection:
        for statement in long_division():
            connection.execute(statement)
        yield connection, f"select {floor}, {remainder} from (select $1::hugeint as u, $2::hugeint as w, $3::hugeint as t)"  # noqa: S608


def divided(query: Query, units: int, weight: int, total: int) -> tuple[int, int]:
    connection, sql = query
    row = connection.execute(sql, [str(units), str(weight), str(total)]).fetchone()
    assert row is not None
    return row


@settings(max_examples=300, deadline=None)
@given(units=st.integers(0, 10**24 - 1), total=st.integers(1, 10**30), weight=st.data())
@example(units=50_000 * 10**12, total=DAY_OF_16_GPUS, weight=None)
@example(units=10**24 - 1, total=10**30, weight=None)
def test_quotient_and_remainder_are_exact(query: Query, units: int, total: int, weight: st.DataObject | None) -> None:
    part = total - 1 if weight is None else weight.draw(st.integers(0, total))
    assert divided(query, units, part, total) == divmod(units * part, total)


@settings(max_examples=200, deadline=None)
@given(units=st.integers(0, 10**24 - 1), total=st.integers(1, 10**30), weight=st.data())
def test_the_export_divides_alike(query: Query, units: int, total: int, weight: st.DataObject) -> None:
    connection, _ = query
    part = weight.draw(st.integers(0, total))
    found = connection.execute(
        "select long_quotient(u, w, t), long_remainder(u, w, t) from (select $1::hugeint as u, $2::hugeint as w, $3::hugeint as t)",
        [str(units), str(part), str(total)],
    ).fetchone()
    assert found == divmod(units * part, total)


def test_the_largest_case_overflows_without_it(query: Query) -> None:
    """$50,000 in units of 1e-12 times the day's weight is 3e43."""
    connection, _ = query
    assert 10**43 < 50_000 * 10**12 * DAY_OF_16_GPUS < 10**46
    with pytest.raises(duckdb.Error):
        connection.execute("select $1::hugeint * $2::hugeint", [str(50_000 * 10**12), str(DAY_OF_16_GPUS)])


@pytest.mark.parametrize("units", [10**17 - 1, 10**17, 10**17 + 1])
@pytest.mark.parametrize("total", [10**20 - 1, 10**20, 10**20 + 1])
def test_both_ways_agree_where_they_meet(query: Query, units: int, total: int) -> None:
    """The short way ends at 1e17 units ($100,000) and at weights of 1e20: their product is 1e37, one digit under what fits."""
    assert divided(query, units, total // 3, total) == divmod(units * (total // 3), total)
