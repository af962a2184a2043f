"""What a delivery must be like at the door: the raw relations that the night is about to read.

Belongs here: the suite of a table, and the checks that every table's declaration implies (each landed row is read, money can be read).
Does not: a table's own checks (doors/), what the rows mean (dbt staging).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING

from expectations import TableSuite, literal, no_rows
from expectations.doors import bills, machines, stated_tables
from expectations.doors.shared import Delivered, Door
from pipelines.source import RawTable, source_kinds
from pipelines.warehouse import quote_name

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation


ROW = ("_file", "_row")  # the columns that name a raw row
_CHECKS = {
    name: checks
    for topic in (bills, stated_tables, machines)
    for name, checks in vars(topic).items()
    if "__" in name and not name.startswith("_")
}


def raw_suites(door: Door) -> list[TableSuite]:
    """One suite per raw table that has landed rows, and one over all telemetry."""
    suites = []
    for kind, source in source_kinds().items():
        for table in source.tables:
            name = f"{kind}__{table.name}"
            landed = door.delivered.get(name, {})
            if not landed:
                continue
            own = _CHECKS.get(name)
            expectations = [_every_landed_row_is_read(landed), *_money_is_readable(table), *(own(door) if own else [])]
            suites.append(TableSuite(f"raw.{name}", f"select * from raw.{quote_name(name)}", expectations, ROW))  # noqa: S608
    if door.expects_telemetry and door.days:
        query = "select sample_at from raw.dcgm__samples_wide union all select sample_at from raw.dcgm__samples_long"
        suites.append(TableSuite("raw.dcgm", query, [_telemetry_of_every_day(door.days)]))
    return suites


def _every_landed_row_is_read(landed: Mapping[str, Delivered]) -> Expectation:
    told = ", ".join(f"({literal(key)}, {d.rows}, {str(d.is_needed).lower()})" for key, d in sorted(landed.items()))
    query = (
        f"with told as (select * from (values {told}) as t(delivery_id, landed_rows, is_needed)),"  # noqa: S608
        " found as (select _delivery_id, count(*) as read_rows from {batch} group by all)"
        " select coalesce(delivery_id, _delivery_id) as delivery_id, landed_rows, coalesce(read_rows, 0) as read_rows"
        " from told full join found on told.delivery_id = found._delivery_id"
        " where (read_rows is null and is_needed) or read_rows is distinct from landed_rows and read_rows is not null order by 1"
    )
    return no_rows("every landed row of a delivery is read, and no other", query)


def _money_is_readable(table: RawTable) -> list[Expectation]:
    """Text that staging can turn into a decimal: finite, and not larger than it has room for (costs 14 digits, quantities 26).

    The test goes by DOUBLE, which accepts the same numbers and is ten times as fast; the value itself is never read through it.
    """
    columns = [column.name for column in table.columns if column.type == "MONEY"]
    if not columns:
        return []
    unreadable = [
        f"{c} <> '' and not coalesce(abs(try_cast({c} as double)) < 1e{26 if 'usage_amount' in c or c.endswith('_quantity') else 14}, false)"
        for c in columns
    ]
    told = ", ".join(f"case when {test} then concat('{c}=', {c}) end" for c, test in zip(columns, unreadable, strict=True))
    query = f"select _file, _row, concat_ws('; ', {told}) as unreadable from {{batch}} where ({') or ('.join(unreadable)})"  # noqa: S608
    return [no_rows("money and quantities are finite decimal numbers", query, column="every MONEY column")]


def _telemetry_of_every_day(days: tuple[dt.date, ...]) -> Expectation:
    asked = ", ".join(f"(date '{day.isoformat()}')" for day in days)
    query = (
        f"select usage_date as day_without_samples from (values {asked}) as asked(usage_date)"  # noqa: S608
        " where usage_date not in (select cast(sample_at as date) from {batch} where sample_at is not null) order by 1"
    )
    return no_rows(
        "every day that is asked for has telemetry (without it GPU time is unknown)", query, column="sample_at", severity="warning"
    )
