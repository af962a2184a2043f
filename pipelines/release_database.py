"""The DuckDB file of a release, and the table ``meta_publication`` that says what the release was made from.

Belongs here: filling the file from the release's own Parquet files. Does not: the Parquet files (publish.py), the audit.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from pipelines.errors import ApportionError
from pipelines.published_tables import DAY_COLUMN, SCHEMA, PublishedTable
from pipelines.release import DATABASE, PARQUET, Release, ReleaseFile
from pipelines.settings import Settings
from pipelines.warehouse import limit, quote_name, quote_text

META = "meta_publication"
GROWTH = 2.0  # a file this many times larger per row than when it was built from nothing is built anew: deleted rows leave holes

# name, type, description of the columns of meta_publication: one row per source
META_COLUMNS = (
    ("release_id", "VARCHAR", "the release: a digest of every published figure and of what they were computed by"),
    ("source", "VARCHAR", "the source's name in the settings"),
    ("kind", "VARCHAR", "the kind of source"),
    ("finality", "VARCHAR", "final when every bill of the source is, else provisional; NULL for a source that is no bill"),
    ("as_of", "VARCHAR", "when the source made the latest of its deliveries, as it says itself"),
    ("data_through", "DATE", "the last UTC day that a delivery touches"),
    ("delivery_count", "BIGINT", "deliveries that count"),
    ("deliveries", "VARCHAR", "their periods and content digests, as JSON"),
    ("delivered_rows", "BIGINT", "rows in them"),
    ("rejected_rows", "BIGINT", "rows that could not be read; none of them carries money"),
    (
        "delivered_cost",
        "DECIMAL(38,12)",
        "the source's own cost over all its deliveries, in the bill's currency; NULL for a source that is no bill, or bills in several",
    ),
    ("unpublished_cost", "DECIMAL(38,12)", "the part of it on days that are not published"),
    ("billed_cost_usd", "DECIMAL(38,12)", "billed cost on the published days"),
    ("effective_cost_usd", "DECIMAL(38,12)", "effective cost on the published days"),
    ("attributed_cost_usd", "DECIMAL(38,12)", "effective cost that the ledger placed"),
    ("quarantined_cost_usd", "DECIMAL(38,12)", "effective cost in quarantine"),
    ("residual_usd", "DECIMAL(38,12)", "what is delivered and in neither: always 0"),
    ("first_published_day", "DATE", "the first published day"),
    ("last_published_day", "DATE", "the last published day"),
    ("published_day_count", "BIGINT", "how many days are published"),
    ("code_digest", "VARCHAR", "what the figures are computed by"),
    ("policy_digest", "VARCHAR", "the policy they are computed under"),
)


def meta_rows(connection: duckdb.DuckDBPyConnection, days: Sequence[dt.date], identity: Mapping[str, str]) -> list[tuple[Any, ...]]:
    """The rows of ``meta_publication`` without the release's id, by source: ``ops.deliveries`` with the reconciliation's sums.

    ``connection``: the warehouse. A source is final when each of its bills is: 'provisional' sorts after 'final'.
    """
    return connection.execute(
        """
        with delivered as (
            select source, kind, max(finality) as delivery_finality, max(as_of) as as_of, max(covers_to) as data_through, count(*) as delivery_count,
                cast(to_json(list({'period': period, 'delivery_id': delivery_id} order by period, delivery_id)) as varchar) as deliveries,
                cast(sum(row_count) as bigint) as delivered_rows, cast(sum(rejected_rows) as bigint) as rejected_rows
            from ops.deliveries group by source, kind
        ), reconciled as (
            select source, max(finality) as finality,
                case when count(distinct currency) <= 1 then sum(delivered_cost) end as delivered_cost,
                case when count(distinct currency) <= 1 then sum(unpublished_cost) end as unpublished_cost,
                sum(billed_cost_usd) as billed_cost_usd, sum(effective_cost_usd) as effective_cost_usd,
                sum(attributed_cost_usd) as attributed_cost_usd, sum(quarantined_cost_usd) as quarantined_cost_usd,
                sum(abs(delivery_residual)) + sum(abs(allocation_residual_usd)) as residual_usd
            from published.fct_reconciliation group by source
        )
        select delivered.source, delivered.kind, coalesce(reconciled.finality, delivered.delivery_finality) as finality,
            delivered.* exclude (source, kind, delivery_finality), reconciled.* exclude (source, finality), ?, ?, ?, ?, ?
        from delivered left join reconciled on delivered.source = reconciled.source order by delivered.source, delivered.kind
        """,
        [days[0], days[-1], len(days), identity["code"], identity["policy"]],
    ).fetchall()


def table_comments(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The statements that repeat the warehouse's table and column descriptions on tables of the same names."""
    tables = connection.execute(
        "select table_name, comment from duckdb_tables()"
        " where schema_name = ? and database_name = current_database() and comment is not null",
        [SCHEMA],
    ).fetchall()
    columns = connection.execute(
        "select table_name, column_name, comment from duckdb_columns()"
        " where schema_name = ? and database_name = current_database() and comment is not null",
        [SCHEMA],
    ).fetchall()
    return [f"comment on table {quote_name(t)} is {quote_text(text)}" for t, text in tables if "__dbt_" not in t] + [
        f"comment on column {quote_name(t)}.{quote_name(c)} is {quote_text(text)}" for t, c, text in columns if "__dbt_" not in t
    ]


def build_database(
    settings: Settings,
    folder: Path,
    tables: Sequence[PublishedTable],
    files: Sequence[ReleaseFile],
    previous: Release | None,
    comments: Sequence[str],
    meta: Sequence[tuple[Any, ...]],
) -> dict[str, int]:
    """Fill ``folder/apportion.duckdb`` from the Parquet files in ``folder``; the last release's file is continued where it can be.

    Returns its ``bytes`` and ``rows``, and ``built_bytes`` and ``built_rows`` as they were at the last build from nothing.
    ``folder/parquet/meta_publication`` is written too. Raises ApportionError where the file could not be closed cleanly.
    """
    path = folder / DATABASE
    rows = sum(file.rows for file in files)
    continued = previous is not None and _is_continuable(previous, tables, files)
    if previous is not None and continued:
        _copy(previous.folder / DATABASE, path)
    connection = duckdb.connect(str(path))
    try:
        limit(connection, settings)
        connection.execute("begin")
        if previous is not None and continued:
            for table in tables:
                _replace_changed(connection, folder, table, [f for f in files if f.table == table.name], previous)
        else:
            for table in tables:
                _create(connection, table)
                _insert(connection, folder, table, [f for f in files if f.table == table.name])
        for statement in comments:
            connection.execute(statement)
        _write_meta(connection, folder, meta)
        connection.execute("commit")
        connection.execute("checkpoint")
    finally:
        connection.close()
    shutil.rmtree(folder / f"{DATABASE}.tmp", ignore_errors=True)
    if Path(f"{path}.wal").exists():
        raise ApportionError("the database was not closed cleanly", where=str(path), remedy="see whether the disk is full; publish again")
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
    size = path.stat().st_size
    if previous is not None and continued:
        return {"bytes": size, "rows": rows, "built_bytes": previous.database["built_bytes"], "built_rows": previous.database["built_rows"]}
    return {"bytes": size, "rows": rows, "built_bytes": size, "built_rows": rows}


def _is_continuable(previous: Release, tables: Sequence[PublishedTable], files: Sequence[ReleaseFile]) -> bool:
    """Whether changing the last file is sound and worth it: same tables, most rows unchanged, not grown full of holes."""
    database = previous.folder / DATABASE
    if not database.is_file() or database.stat().st_size != previous.database["bytes"]:
        return False
    if previous.columns != {table.name: table.columns for table in tables}:
        return False
    known = {(file.table, file.sha256) for file in previous.files}
    changed = sum(file.rows for file in files if (file.table, file.sha256) not in known)
    if changed * 2 > sum(file.rows for file in files):
        return False
    told = previous.database
    return told["bytes"] * max(told["built_rows"], 1) <= GROWTH * told["built_bytes"] * max(told["rows"], 1)


def _copy(source: Path, target: Path) -> None:
    """Copy inside the kernel; a file system that can share blocks shares them."""
    with source.open("rb") as reading, target.open("wb") as writing:
        left = source.stat().st_size
        while left > 0:
            copied = os.copy_file_range(reading.fileno(), writing.fileno(), left)
            if copied == 0:
                raise ApportionError("the last release's database ended early", where=str(source), remedy="publish again")
            left -= copied


def _create(connection: duckdb.DuckDBPyConnection, table: PublishedTable) -> None:
    columns = ", ".join(f"{quote_name(name)} {kind}" for name, kind in table.columns)
    connection.execute(f"create table {quote_name(table.name)} ({columns})")


def _insert(connection: duckdb.DuckDBPyConnection, folder: Path, table: PublishedTable, files: Sequence[ReleaseFile]) -> None:
    paths = [str(folder / PARQUET / file.table / file.name) for file in files if file.rows > 0]
    if paths:
        connection.execute(f"insert into {quote_name(table.name)} by name select * from read_parquet(?)", [paths])  # noqa: S608


def _replace_changed(
    connection: duckdb.DuckDBPyConnection, folder: Path, table: PublishedTable, files: Sequence[ReleaseFile], previous: Release
) -> None:
    """Replace the days, or the whole table, whose Parquet bytes differ from the last release's."""
    before = {file.name: file.sha256 for file in previous.files if file.table == table.name}
    changed = [file for file in files if before.get(file.name) != file.sha256]
    gone = set(before) - {file.name for file in files}
    if not table.is_by_day:
        if changed:
            connection.execute(f"delete from {quote_name(table.name)}")  # noqa: S608
            _insert(connection, folder, table, changed)
        return
    days = sorted({file.name.removesuffix(".parquet") for file in changed} | {name.removesuffix(".parquet") for name in gone})
    if days:
        connection.execute(
            f"delete from {quote_name(table.name)} where {DAY_COLUMN} in (select cast(unnest(?) as date))",  # noqa: S608
            [days],
        )
        _insert(connection, folder, table, changed)


def _write_meta(connection: duckdb.DuckDBPyConnection, folder: Path, meta: Sequence[tuple[Any, ...]]) -> None:
    columns = ", ".join(f"{name} {kind}" for name, kind, _ in META_COLUMNS)
    connection.execute(f"create or replace table {META} ({columns})")
    if meta:
        connection.executemany(f"insert into {META} values ({', '.join('?' * len(META_COLUMNS))})", meta)  # noqa: S608
    connection.execute(f"comment on table {META} is 'What this release was made from: one row per source'")
    for name, _, description in META_COLUMNS:
        connection.execute(f"comment on column {META}.{name} is {quote_text(description)}")
    path = folder / PARQUET / META / f"{META}.parquet"
    path.parent.mkdir(parents=True)
    connection.execute(f"copy (select * from {META} order by all) to {quote_text(str(path))} (format parquet, compression zstd)")  # noqa: S608
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
