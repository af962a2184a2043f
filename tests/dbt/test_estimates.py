"""The estimate's arithmetic over anything: rounded once per node, price and status, split without a rest, whatever the order of rows."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.settings import Settings

UNIT = Decimal("1e-12")
ONE_GPU_HOUR = 7_207_200 * 3600 * 1_000_000
COLUMNS = (
    "usage_date date, node_key varchar, rate_rule varchar, rate_unit varchar, hourly_rate_usd decimal(38,12), gpu_count bigint, is_priced boolean,"
    " workload_key varchar, attempt_key varchar, cost_class varchar, weight bigint"
)
rates = st.integers(0, 10**15).map(lambda units: Decimal(units).scaleb(-12))
holders = st.lists(
    st.tuples(
        st.sampled_from([None, "w/1", "w/2", "w/3"]),
        st.sampled_from(["used", "held_idle", "unknown"]),
        st.integers(1, 24 * 8 * ONE_GPU_HOUR),
    ),
    min_size=1,
    max_size=8,
)


@pytest.fixture(scope="module")
def model(empty_warehouse: Settings) -> Any:
    """The compiled model over a table of its own."""
    path = (
        empty_warehouse.home / "dbt" / "target" / "compiled" / "apportion" / "models" / "intermediate" / "rates" / "int_estimated_costs.sql"
    )
    sql = path.read_text(encoding="utf-8").replace('"warehouse"."intermediate"."int_estimated_classes"', "classes")
    assert "int_estimated_classes" not in sql.split("with", 1)[1]
    with duckdb.connect() as connection:
        connection.execute(f"create table classes ({COLUMNS})")

        def run(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
            connection.execute("delete from classes")
            connection.executemany("insert into classes values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            query = f"select workload_key, cost_class, weight, estimated_cost from ({sql.rstrip().rstrip(';')})"  # noqa: S608
            found = connection.execute(query).fetchall()
            return sorted(found, key=repr)

        yield run


@settings(max_examples=60, deadline=None)
@given(rate=rates, unit=st.sampled_from(["gpu_hour", "node_hour"]), gpus=st.integers(1, 16), held=holders, data=st.data())
def test_parts_sum_to_the_whole_which_is_rounded_once(model: Any, rate: Decimal, unit: str, gpus: int, held: list[Any], data: Any) -> None:
    rows = [("2026-10-05", "n", "r", unit, rate, gpus, False, w, None if w is None else f"{w}/1", c, weight) for w, c, weight in held]
    found = model(rows)
    total = sum(weight for *_, weight in held)
    exact = Fraction(rate) * total / (ONE_GPU_HOUR * (gpus if unit == "node_hour" else 1))
    scaled = exact / Fraction(UNIT)
    floor, rest = divmod(scaled.numerator, scaled.denominator)
    up = 2 * rest > scaled.denominator or (2 * rest == scaled.denominator and floor % 2)
    whole = Decimal(floor + int(up)).scaleb(-12)
    assert sum(cost for *_, cost in found) == whole
    for _, _, weight, cost in found:
        assert abs(Fraction(cost) - Fraction(whole) * weight / total) < Fraction(UNIT)
    assert model(data.draw(st.permutations(rows))) == found


def test_the_decimal_module_agrees_on_a_half(model: Any) -> None:
    """1.5 units: both round to 2."""
    (row,) = model([("2026-10-05", "n", "r", "gpu_hour", UNIT, 1, False, None, None, "unknown", ONE_GPU_HOUR * 3 // 2)])
    assert row[3] == (Decimal("1.5") * UNIT).quantize(UNIT, ROUND_HALF_EVEN) == 2 * UNIT
