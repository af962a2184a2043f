"""The pipeline's own database: connections, the raw relations over landed files, and the night's bookkeeping tables.

Belongs here: how landed Parquet becomes the relations that staging reads (explicit paths, columns by name, types as declared).
Does not: any business rule; which days a night computes (planning.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from pipelines.errors import DeliveryRefused
from pipelines.settings import Settings
from pipelines.source import Column, Delivery, LandedFile, RawTable, source_kinds


@contextmanager
def connect(settings: Settings, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the warehouse under the configured limits, in UTC."""
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(str(settings.warehouse), read_only=read_only)
    try:
        limit(connection, settings)
        yield connection
    finally:
        connection.close()


def limit(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Apply the configured memory and thread limits, and UTC."""
    connection.execute("set TimeZone = 'UTC'")
    connection.execute(f"set memory_limit = {quote_text(settings.engine.memory_limit)}")
    connection.execute(f"set threads = {int(settings.engine.threads)}")


def quote_name(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """A SQL string literal; only for paths and names where a bound parameter is not allowed (DDL)."""
    return "'" + text.replace("'", "''") + "'"


def write_raw_relations(connection: duckdb.DuckDBPyConnection, deliveries: Iterable[Delivery]) -> None:
    """Let ``raw.<kind>__<table>`` be exactly the files of ``deliveries``, for every source kind; without files it is empty."""
    connection.execute("create schema if not exists raw")
    by_kind: dict[str, list[Delivery]] = {}
    for delivery in deliveries:
        by_kind.setdefault(delivery.kind, []).append(delivery)
    for kind, source in source_kinds().items():
        chosen = sorted(by_kind.get(kind, []), key=lambda d: (d.source, d.period))
        for table in source.tables:
            relation = f"raw.{quote_name(f'{kind}__{table.name}')}"
            connection.execute(f"create or replace view {relation} as {_raw_select(connection, table, chosen)}")


def _raw_select(connection: duckdb.DuckDBPyConnection, table: RawTable, deliveries: Sequence[Delivery]) -> str:
    """One SELECT over every file of ``table``. Files of one source with the same physical columns are read by one scan."""
    groups: dict[tuple[object, ...], list[tuple[Delivery, LandedFile]]] = {}
    for delivery in deliveries:
        for file in delivery.files:
            if file.table == table.name and file.rows > 0:
                physical = _physical_types(connection, file.path)
                mapping = file.columns if file.columns is not None else {c.name: c.name for c in table.columns if c.name in physical}
                key = (delivery.source, str(sorted(mapping.items())), tuple(sorted(physical.items())), file.origin.get("slot_seconds"))
                groups.setdefault(key, []).append((delivery, file))
    selects = [_group_select(table, members, _physical_types(connection, members[0][1].path)) for members in groups.values()]
    return "\nunion all\n".join(selects) if selects else _empty_select(table)


def _physical_types(connection: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:
    rows = connection.execute("describe select * from read_parquet(?, hive_partitioning=false)", [str(path)]).fetchall()
    return {name: column_type for name, column_type, *_ in rows}


def _group_select(table: RawTable, members: list[tuple[Delivery, LandedFile]], physical: dict[str, str]) -> str:
    delivery, first = members[0]
    mapping = first.columns if first.columns is not None else {c.name: c.name for c in table.columns if c.name in physical}
    paths = ", ".join(quote_text(str(file.path)) for _, file in members)
    fields = [
        f"{quote_text(delivery.source)} as _source",
        # <source>/<period>/<delivery_id>/<file>
        "split_part(filename, '/', -2) as _delivery_id",
        "filename as _file",
        "file_row_number as _row",
    ]
    for column in table.columns:
        constant = first.origin.get(column.name) if column.name == "slot_seconds" else None
        expression = _column(column, mapping.get(column.name), physical, where=str(first.path))
        if expression is None:
            expression = f"cast({int(constant)} as bigint)" if constant is not None else f"cast(null as {column.physical_type})"
        fields.append(f"{expression} as {quote_name(column.name)}")
    return f"select {', '.join(fields)} from read_parquet([{paths}], filename=true, file_row_number=true, hive_partitioning=false)"


def _empty_select(table: RawTable) -> str:
    fields = [
        "cast(null as varchar) as _source",
        "cast(null as varchar) as _delivery_id",
        "cast(null as varchar) as _file",
        "cast(null as bigint) as _row",
    ]
    fields += [f"cast(null as {c.physical_type}) as {quote_name(c.name)}" for c in table.columns]
    return f"select {', '.join(fields)} where false"


def _column(column: Column, wanted: str | list[str] | None, physical: dict[str, str], *, where: str) -> str | None:
    if wanted is None:
        return None
    if isinstance(wanted, list):
        parts = [e for e in (_column(column, name, physical, where=where) for name in wanted) if e is not None]
        if not parts:
            return None
        if column.physical_type == "VARCHAR":
            parts = [f"nullif({p}, '')" for p in parts]
        return parts[0] if len(parts) == 1 else f"coalesce({', '.join(parts)})"
    base, _, path = wanted.partition(".") if wanted not in physical else (wanted, "", "")
    if base not in physical:
        return None
    expression, kind = quote_name(base), physical[base]
    if path:
        if kind.startswith("MAP"):
            expression, kind = f"{expression}[{quote_text(path)}]", "VARCHAR"
        elif kind.startswith("STRUCT"):
            expression, kind = f"{expression}.{quote_name(path)}", "VARCHAR"
        else:
            expression, kind = f"json_extract_string({expression}, {quote_text('$.' + quote_name(path))})", "VARCHAR"
    return _coerce(expression, kind, column, where=where)


def _coerce(expression: str, physical: str, column: Column, *, where: str) -> str:
    """SQL that gives ``expression`` the declared type. Money and JSON become text; times become UTC without a zone."""
    nested = physical.startswith(("MAP", "STRUCT", "LIST")) or physical.endswith("[]")
    if column.type == "JSON":
        return f"cast(to_json({expression}) as varchar)" if nested else f"cast({expression} as varchar)"
    if column.type == "MONEY" and physical in ("DOUBLE", "FLOAT"):
        return f"case when {expression} = 0 then '0' else cast({expression} as varchar) end"  # most of a bill's doubles are 0: 10x faster
    if column.type in ("VARCHAR", "MONEY"):
        return expression if physical == "VARCHAR" else f"cast({expression} as varchar)"
    if column.type == "TIMESTAMP":
        if physical == "TIMESTAMP WITH TIME ZONE":
            return f"timezone('UTC', {expression})"
        if physical.startswith("TIMESTAMP") or physical == "DATE":
            return f"cast({expression} as timestamp)"
        if physical == "VARCHAR":
            return f"timezone('UTC', try_cast({expression} as timestamptz))"
        if physical in ("BIGINT", "INTEGER", "DOUBLE", "FLOAT", "UBIGINT", "UINTEGER") or physical.startswith("DECIMAL"):
            seconds = f"cast({expression} as double)"
            return (
                f"make_timestamp(cast(round(case when abs({seconds}) > 1e11 then {seconds} * 1000 else {seconds} * 1000000 end) as bigint))"
            )
        raise DeliveryRefused(
            f"column for {column.name} has type {physical}, which is no time",
            where=where,
            remedy="write timestamps, ISO 8601 text or epoch numbers",
        )
    return expression if physical == column.type else f"try_cast({expression} as {column.physical_type})"


def ensure_bookkeeping(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the schema ``ops`` where it is missing."""
    for statement in (
        "create schema if not exists ops",
        "create table if not exists ops.dirty_days (usage_date date)",
        "create table if not exists ops.dirty_telemetry_days (usage_date date)",
        "create table if not exists ops.published_days (usage_date date)",
        "create table if not exists ops.day_state (usage_date date, component varchar, input_hash varchar)",
        "create table if not exists ops.seen_deliveries (source varchar, period varchar, delivery_id varchar, kind varchar, covers_from date, covers_to date)",
        "create table if not exists ops.version_state (subject varchar, digest varchar)",
        "create table if not exists ops.deliveries (source varchar, kind varchar, period varchar, delivery_id varchar, finality varchar, as_of varchar,"
        " covers_from date, covers_to date, row_count bigint, rejected_rows bigint)",
        "create table if not exists ops.control_totals (source varchar, delivery_id varchar, currency varchar, account_id varchar, invoice_id varchar,"
        " row_count bigint, source_cost decimal(38, 12), conversion_delta decimal(38, 24))",
    ):
        connection.execute(statement)


def replace_days(connection: duckdb.DuckDBPyConnection, table: str, days: Iterable[dt.date]) -> None:
    """Let ``ops.<table>`` hold exactly ``days``."""
    name = quote_name(table)
    connection.execute(f"delete from ops.{name}")
    rows = [(day,) for day in sorted(days)]
    if rows:
        connection.executemany(f"insert into ops.{name} values (?)", rows)


def write_deliveries(connection: duckdb.DuckDBPyConnection, deliveries: Iterable[Delivery]) -> None:
    """Let ``ops.deliveries`` name exactly the deliveries that count, and ``ops.control_totals`` what they summed to when they were landed."""
    deliveries = list(deliveries)
    connection.execute("delete from ops.deliveries")
    connection.execute("delete from ops.control_totals")
    totals = [
        (d.source, d.delivery_id, c.currency, c.account_id, c.invoice_id, c.rows, c.amount, c.conversion_delta)
        for d in sorted(deliveries, key=lambda d: (d.source, d.period))
        for c in d.controls
    ]
    if totals:
        connection.executemany("insert into ops.control_totals values (?, ?, ?, ?, ?, ?, ?, ?)", totals)
    rows = [
        (
            d.source,
            d.kind,
            d.period,
            d.delivery_id,
            d.finality,
            d.as_of,
            d.covers[0] if d.covers else None,
            d.covers[1] if d.covers else None,
            sum(f.rows for f in d.files),
            sum(int(r["rows"]) for r in d.rejected),
        )
        for d in sorted(deliveries, key=lambda d: (d.source, d.period))
    ]
    if rows:
        connection.executemany("insert into ops.deliveries values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
