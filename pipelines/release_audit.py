"""The audit of a release before anyone reads it: the DuckDB file, its Parquet twin and the warehouse must say the same.

Belongs here: comparisons of finished files with what they were made from, and the law of money once more, on the very bytes
that are about to be published. Does not: what good data looks like (expectations/).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import duckdb

from pipelines.errors import GateError
from pipelines.published_tables import DAY_COLUMN, SCHEMA, PublishedTable
from pipelines.release import DATABASE, PARQUET, ReleaseFile
from pipelines.settings import Settings
from pipelines.warehouse import limit, quote_name, quote_text

AUDITED = "where usage_date in (select usage_date from audited_days)"
BASES = ("billed_cost", "effective_cost", "net_cost", "list_cost")


def audit(
    settings: Settings,
    folder: Path,
    tables: Sequence[PublishedTable],
    files: Sequence[ReleaseFile],
    days: Collection[dt.date],
    release_id: str,
) -> None:
    """Check the finished ``folder`` for ``days`` (those whose bytes are new). Raises GateError naming table, day and figures."""
    with duckdb.connect(":memory:") as connection:
        limit(connection, settings)
        connection.execute(f"attach {quote_text(str(folder / DATABASE))} as fresh (read_only)")
        connection.execute(f"attach {quote_text(str(settings.warehouse))} as warehouse (read_only)")
        connection.execute("create temp table audited_days (usage_date date)")
        if days:
            connection.executemany("insert into audited_days values (?)", [(day,) for day in sorted(days)])
        for table in tables:
            own = [file for file in files if file.table == table.name]
            _same_everywhere(connection, folder, table, own, days)
            _all_rows_are_there(connection, table, own)
        _nothing_is_left_over(connection)
        _bucket_less_days_wait(connection)
        found = connection.execute("select distinct release_id from fresh.main.meta_publication").fetchall()
        if found not in ([], [(release_id,)]):
            _refuse(f"meta_publication names release {found}, not {release_id}", "meta_publication")


def _same_everywhere(
    connection: duckdb.DuckDBPyConnection, folder: Path, table: PublishedTable, files: Sequence[ReleaseFile], days: Collection[dt.date]
) -> None:
    """Per day: row count, every exact sum, and an order-independent digest of whole rows."""
    group = DAY_COLUMN if table.is_by_day else "cast(null as date)"
    where = AUDITED if table.is_by_day else ""
    names = ["row count", *table.decimal_columns, "digest of all columns"]
    row = ", ".join(quote_name(name) for name, _ in table.columns)
    sums = "".join(f", sum({quote_name(name)})" for name in table.decimal_columns)
    measures = f"count(*){sums}, sum(cast(hash({row}) as hugeint))"
    paths = [str(folder / PARQUET / f.table / f.name) for f in files if f.rows > 0 and (f.day is None or f.day in days)]

    def measured(relation: str, parameters: list[Any]) -> dict[dt.date | None, tuple[Any, ...]]:
        query = f"select {group}, {measures} from {relation} {where} group by 1"  # noqa: S608
        return {day: tuple(values) for day, *values in connection.execute(query, parameters).fetchall()}

    warehouse = measured(f"warehouse.{SCHEMA}.{quote_name(table.name)}", [])
    for twin, found in (
        ("DuckDB file", measured(f"fresh.main.{quote_name(table.name)}", [])),
        ("Parquet files", measured("read_parquet(?)", [paths]) if paths else {}),
    ):
        for day in sorted(warehouse.keys() | found.keys(), key=str):
            expected, got = warehouse.get(day), found.get(day)
            if expected == got:
                continue
            missing = (None,) * len(names)
            pairs = zip(names, expected or missing, got or missing, strict=True)
            told = "; ".join(f"{name}: {e} in the warehouse, {g} in the {twin}" for name, e, g in pairs if e != g)
            _refuse(f"{table.name}{f' of {day}' if day else ''} was not published as computed: {told}", table.name)


def _all_rows_are_there(connection: duckdb.DuckDBPyConnection, table: PublishedTable, files: Sequence[ReleaseFile]) -> None:
    """Every day, old or new, has as many rows in the DuckDB file as in its Parquet file."""
    group = f"cast({DAY_COLUMN} as varchar)" if table.is_by_day else quote_text(table.name)
    query = f"select {group}, count(*) from fresh.main.{quote_name(table.name)} group by 1 having count(*) > 0"  # noqa: S608
    found = dict(connection.execute(query).fetchall())
    recorded = {Path(file.name).stem: file.rows for file in files if file.rows > 0}
    if found != recorded:
        differing = sorted(key for key in found.keys() | recorded.keys() if found.get(key) != recorded.get(key))
        told = ", ".join(f"{key}: {found.get(key, 0)} of {recorded.get(key, 0)} rows" for key in differing[:5])
        _refuse(f"{table.name} in the DuckDB file is not its Parquet twin: {told}", table.name)


def _nothing_is_left_over(connection: duckdb.DuckDBPyConnection) -> None:
    """Per bucket and basis the ledger sums to the bucket exactly."""
    sums = ", ".join(f"sum({basis}) as {basis}" for basis in BASES)
    differs = " or ".join(f"ledger.{basis} is distinct from buckets.{basis}" for basis in BASES)
    allocated = f"select usage_date, bucket_key, {sums} from fresh.main.fct_cost_allocation {AUDITED} and stage = 'allocated' group by all"  # noqa: S608
    delivered = f"select usage_date, bucket_key, {sums} from fresh.main.fct_charge_bucket {AUDITED} group by all"  # noqa: S608
    query = (
        f"select coalesce(ledger.usage_date, buckets.usage_date), coalesce(ledger.bucket_key, buckets.bucket_key),"  # noqa: S608
        f" {', '.join(f'coalesce(buckets.{b}, 0) - coalesce(ledger.{b}, 0)' for b in BASES)}, count(*) over ()"
        f" from ({allocated}) as ledger full join ({delivered}) as buckets"
        f" on ledger.usage_date = buckets.usage_date and ledger.bucket_key = buckets.bucket_key where {differs} order by 1, 2 limit 1"
    )
    worst = connection.execute(query).fetchone()
    if worst:
        told = ", ".join(f"{basis} {value}" for basis, value in zip(BASES, worst[2 : 2 + len(BASES)], strict=True))
        _refuse(
            f"{worst[2 + len(BASES)]} buckets are not allocated exactly; bucket {worst[1]} of {worst[0]} leaves {told}",
            "fct_cost_allocation",
        )


def _bucket_less_days_wait(connection: duckdb.DuckDBPyConnection) -> None:
    """A published day without a charge holds no dollars and no GPU time that calls itself priced: it awaits its bill."""
    query = (
        "with waiting as (select usage_date from fresh.main.dim_date except select usage_date from fresh.main.fct_charge_bucket)"
        " select usage_date, 'fct_cost_allocation' from fresh.main.fct_cost_allocation semi join waiting using (usage_date)"
    )
    priced = connection.execute(
        "select table_name from duckdb_columns() where database_name = 'fresh'"
        " and column_name in ('usage_date', 'pricing_status', 'cost_usd') group by table_name having count(*) = 3 order by table_name"
    ).fetchall()
    for (name,) in priced:
        query += (
            f" union all select usage_date, {quote_text(name)} from fresh.main.{quote_name(name)} semi join waiting using (usage_date)"  # noqa: S608
            " where cost_usd is not null or pricing_status = 'priced'"
        )
    found = connection.execute(f"select distinct * from ({query}) order by all limit 1").fetchone()  # noqa: S608
    if found:
        _refuse(f"{found[1]} holds priced rows on {found[0]}, a day without any charge", found[1])


def _refuse(what: str, table: str) -> None:
    raise GateError(f"the release failed its audit: {what}", where=table, remedy="nothing was published; the last release stands")
