"""Quality and revenue: which days a changed file computes anew, and what the door refuses when two rows contradict each other.

Belongs here: planning and expectations of the two optional tables. Does not: reading the files (tests/sources).
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
import pytest

from expectations.doors.shared import Door
from expectations.doors.stated_tables import model_quality__measurements, revenue__rates
from pipelines.planning import staged_fingerprints

DAYS = [dt.date(2026, 10, n) for n in range(1, 8)]
DOOR = Door((), (), {}, expects_telemetry=False)


def changed(fact: str, columns: str, before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]) -> list[int]:
    """Days of October whose fingerprint differs between two states of the staged fact."""
    kind = {"model_quality": "model_quality", "revenue_rates": "revenue"}[fact]
    found = []
    for rows in (before, after):
        with duckdb.connect() as connection:
            connection.execute(f"create schema staging; create table staging.stg_{kind}__{fact} ({columns})")
            connection.executemany(f"insert into staging.stg_{kind}__{fact} values ({', '.join('?' * len(rows[0]))})", rows)  # noqa: S608
            found.append(staged_fingerprints(connection, fact, DAYS))
    return [day.day for day in DAYS if found[0][day] != found[1][day]]


def test_a_new_measurement_touches_its_day_and_every_later_one():
    columns = "model varchar, quality decimal(38, 12), measured_at timestamp"
    old = ("m", "0.8", dt.datetime(2026, 10, 1))
    assert changed("model_quality", columns, [old], [old, ("m", "0.9", dt.datetime(2026, 10, 5, 23, 59))]) == [5, 6, 7]
    assert changed("model_quality", columns, [old], [old]) == []


def test_a_new_revenue_rate_touches_its_own_days():
    columns = "endpoint varchar, revenue_per_1k_usd decimal(38, 12), valid_from date, valid_to date"
    rate = ("chat", "2", dt.date(2026, 10, 1), None)
    # the open rate of the 1st is ended by the one of the 4th: days 1 to 3 earn what they earned
    after = [("chat", "2", dt.date(2026, 10, 1), dt.date(2026, 10, 4)), ("chat", "3", dt.date(2026, 10, 4), None)]
    assert changed("revenue_rates", columns, [rate], after) == [4, 5, 6, 7]


def unexpected(expectation: Any, columns: str, rows: list[tuple[Any, ...]]) -> int:
    """Rows that the expectation's query finds."""
    with duckdb.connect() as connection:
        connection.execute(f"create table landed (_file varchar, _row bigint, {columns})")
        connection.executemany(
            f"insert into landed values ({', '.join('?' * (len(rows[0]) + 2))})",  # noqa: S608
            [("f", number, *row) for number, row in enumerate(rows)],
        )
        return len(connection.execute(expectation.unexpected_rows_query.format(batch="landed")).fetchall())


REVENUE = "endpoint varchar, model varchar, revenue_per_1k_usd varchar, valid_from timestamp, valid_to timestamp"
OCTOBER = [dt.datetime(2026, 10, day) for day in range(1, 32)]


@pytest.mark.parametrize(
    ("rows", "contradictions"),
    [
        ([("chat", None, "2", OCTOBER[0], None), ("chat", None, "3", OCTOBER[4], None)], 0),  # the open one ends at the next
        ([("chat", None, "2", OCTOBER[0], OCTOBER[5]), ("chat", None, "3", OCTOBER[4], None)], 1),  # both on the 5th
        ([("chat", None, "2", OCTOBER[0], None), ("chat", None, "2", OCTOBER[0], None)], 2),  # twice: named from both sides
        ([("chat", None, "2", OCTOBER[0], None), ("chat", "big", "9", OCTOBER[0], None)], 0),  # the model's own goes first
        ([("chat", None, "2", OCTOBER[0], OCTOBER[4]), ("chat", None, "3", OCTOBER[4], None)], 0),
    ],
)
def test_overlapping_revenue_of_one_endpoint_is_refused(rows, contradictions):
    assert unexpected(revenue__rates(DOOR)[-1], REVENUE, rows) == contradictions


def test_contradicting_qualities_are_refused():
    columns = (
        "model varchar, model_version varchar, metric varchar, evaluation_set varchar, quality varchar, is_higher_better boolean,"
        " measured_at timestamp"
    )
    *_, one_figure, one_way = model_quality__measurements(DOOR)
    base = ("m", "1", "auc", "s", "0.5", True, OCTOBER[0])
    same = ("m", "1", "auc", "s", "0.500", True, OCTOBER[0])
    other = ("m", "1", "auc", "s", "0.6", True, OCTOBER[0])
    assert unexpected(one_figure, columns, [base, same]) == 0
    assert unexpected(one_figure, columns, [base, other]) == 1
    assert unexpected(one_way, columns, [base, ("m", "2", "auc", "s", "0.5", False, OCTOBER[1])]) == 1
    assert unexpected(one_way, columns, [base, ("m", "2", "wer", "s", "0.5", False, OCTOBER[1])]) == 0
