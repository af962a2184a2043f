"""One FOCUS file made into landed Parquet: columns by name, money as text, times in UTC, tags as one JSON object.

Belongs here: reading CSV and Parquet into the raw table, what refuses a file, what its rows say of days and invoices. Does not: which
files belong to a delivery (focus_layouts.py), what a charge means (dbt models).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.control_totals import control_totals
from pipelines.ingestion.engine import connect, identifier, literal, timestamp_sql
from pipelines.ingestion.focus_schema import FOCUS_NAMES, ROWS, Header, recognise
from pipelines.ingestion.money import check_money
from pipelines.ingestion.parquet_files import parquet_facts
from pipelines.ingestion.rejects import Rejects
from pipelines.ingestion.tabular import csv_to_parquet
from pipelines.source import ControlTotal

SUFFIXES = (".csv", ".csv.gz", ".parquet")
KEY_VALUE = ("tags", "allocated_tags", "x_cost_categories", "x_discounts")
QUANTITIES = tuple(c.name for c in ROWS.columns if c.type == "MONEY" and c.name.endswith("_quantity"))
COSTS = tuple(c.name for c in ROWS.columns if c.type == "MONEY" and c.name not in QUANTITIES)
DIMENSIONS = {"currency": "billing_currency", "account_id": "coalesce(sub_account_id, billing_account_id)", "invoice_id": "invoice_id"}
_AGAIN = "have the file delivered again; nothing of it was used"


@dataclass(frozen=True)
class FileFacts:
    """What the rows of one landed file say.

    days: first and last UTC day, None without rows. months: billing periods as ``YYYY-MM``. period_end: the latest end of a billing
    period. uninvoiced_rows: rows without an invoice id. controls: what BilledCost sums to.
    """

    rows: int
    days: tuple[dt.date, dt.date] | None
    months: tuple[str, ...]
    period_end: dt.datetime | None
    uninvoiced_rows: int
    ignored_columns: tuple[str, ...]
    controls: tuple[ControlTotal, ...]


def land_file(incoming: Path, target: Path, *, where: str, provider: str | None, scratch: Path, rejects: Rejects) -> FileFacts:
    """Convert a delivered CSV, gzipped CSV or Parquet file to ``target``, in the raw table's columns and the file's row order.

    Raises DeliveryRefused for a damaged file, a missing required column, money that cannot be read (with the row), and a billing
    period that cannot be read. A charge period or tags that cannot be read become NULL and are counted in ``rejects``.
    """
    if where.endswith(".parquet"):
        _, types = parquet_facts(incoming, where)
        header, source = recognise(tuple(types), where), incoming
    else:
        found: list[Header] = []

        def columns(names: tuple[str, ...]) -> dict[str, str]:
            found.append(recognise(names, where))
            return {own: raw for raw, own in found[0].columns.items()}

        source = scratch / "records.parquet"
        csv_to_parquet(incoming, source, columns, required=(), where=where)
        types = dict.fromkeys(found[0].columns, "VARCHAR")
        header = Header({raw: raw for raw in types}, found[0].ignored)
    with connect(scratch) as con:
        con.execute(
            f"CREATE VIEW records AS SELECT * FROM read_parquet({literal(source)}, file_row_number=true, hive_partitioning=false)"  # noqa: S608
        )
        select = ", ".join(f"{sql} AS {identifier(raw)}" for raw, sql in _expressions(header, types, provider).items())
        con.execute(f"COPY (SELECT {select} FROM records) TO {literal(target)} (FORMAT parquet, COMPRESSION zstd)")  # noqa: S608
        _count_unread(con, header, types, target, where, rejects)
        check_money(target, {c: c for c in COSTS}, never_missing=("billed_cost", "effective_cost"), where=where, scratch=scratch)
        _check_quantities(con, target, where)
        controls = control_totals(target, "billed_cost", DIMENSIONS, where=where, scratch=scratch)
        return _facts(con, target, where, header.ignored, controls)


def _expressions(header: Header, types: Mapping[str, str], provider: str | None) -> dict[str, str]:
    """SQL for every raw column."""
    found = {}
    for column in ROWS.columns:
        own = header.columns.get(column.name)
        if column.name == "provider_option":
            found[column.name] = literal(provider) if provider else "CAST(NULL AS VARCHAR)"
        elif own is None:
            found[column.name] = f"CAST(NULL AS {column.physical_type})"
        elif column.type == "TIMESTAMP":
            found[column.name] = timestamp_sql(own, types[own])
        elif column.name in KEY_VALUE:
            found[column.name] = key_value_sql(own, types[own])
        elif column.type == "JSON" and types[own] != "VARCHAR":
            found[column.name] = f"CAST(to_json({identifier(own)}) AS VARCHAR)"
        else:
            found[column.name] = f"nullif(trim(CAST({identifier(own)} AS VARCHAR)), '')"
    return found


def key_value_sql(own: str, kind: str) -> str:
    """SQL: key-value pairs as the text of one JSON object; NULL where there are none or they cannot be read.

    Read are: a map, a struct, a list of structs (key, value), and text holding a JSON object, a JSON list of such pairs, or an
    object's members without its braces.
    """
    column = identifier(own)
    if kind == "VARCHAR":
        pairs = f"""from_json({column}, '[{{"key": "VARCHAR", "value": "VARCHAR"}}]')"""
        return (
            f"CASE WHEN coalesce(trim({column}), '') = '' THEN NULL"
            f" WHEN NOT json_valid({column}) THEN CASE WHEN json_valid('{{' || {column} || '}}') THEN '{{' || {column} || '}}' END"
            f" WHEN json_type({column}) = 'OBJECT' THEN {column}"
            f" WHEN json_type({column}) = 'ARRAY' AND len(list_filter({pairs}, lambda e: e.key IS NULL)) = 0 THEN {_object(pairs)} END"
        )
    if kind.endswith("[]") and kind.upper().startswith("STRUCT("):
        return f"CASE WHEN {column} IS NOT NULL THEN {_object(column)} END"
    return f"CASE WHEN {column} IS NOT NULL THEN CAST(to_json({column}) AS VARCHAR) END"


def _object(pairs: str) -> str:
    member = "CAST(to_json(e.key) AS VARCHAR) || ':' || coalesce(CAST(to_json(e.value) AS VARCHAR), 'null')"
    return f"'{{' || array_to_string(list_transform({pairs}, lambda e: {member}), ',') || '}}'"


def _count_unread(
    con: duckdb.DuckDBPyConnection, header: Header, types: Mapping[str, str], target: Path, where: str, rejects: Rejects
) -> None:
    """Count values that became NULL though something stood there; a billing period among them refuses the file."""
    typed = {c.name: c.type for c in ROWS.columns if c.name in header.columns and (c.type == "TIMESTAMP" or c.name in KEY_VALUE)}
    given = ", ".join(_given(header.columns[raw], types[header.columns[raw]], raw) for raw in typed)
    landed = ", ".join(f"{identifier(raw)} IS NULL AS {identifier('no ' + raw)}" for raw in typed)
    unread = [f"FILTER (g.{identifier(raw)} AND l.{identifier('no ' + raw)})" for raw in typed]
    counts = ", ".join([*(f"count(*) {test}" for test in unread), *(f"min(g.n) {test}" for test in unread)])
    lost = con.execute(
        f"WITH g AS (SELECT file_row_number AS n, {given} FROM records),"  # noqa: S608
        f" l AS (SELECT file_row_number AS n, {landed} FROM read_parquet({literal(target)}, file_row_number=true))"
        f" SELECT {counts} FROM g INNER JOIN l ON g.n = l.n"
    ).fetchone()
    assert lost is not None
    for number, raw in enumerate(typed):
        rows, first = lost[number], lost[len(typed) + number]
        if rows and raw == "billing_period_start":
            raise DeliveryRefused(
                f"unreadable BillingPeriodStart in {rows} row(s)", where=f"{where}, row {first + 1}", remedy="write it as ISO 8601 in UTC"
            )
        rejects.add(f"{FOCUS_NAMES[raw]} cannot be read: kept as NULL", rows, row=None if first is None else first + 1)


def _given(own: str, kind: str, raw: str) -> str:
    column = identifier(own)
    test = f"coalesce(trim({column}), '') <> ''" if kind == "VARCHAR" else f"{column} IS NOT NULL"
    return f"{test} AS {identifier(raw)}"


def _check_quantities(con: duckdb.DuckDBPyConnection, target: Path, where: str) -> None:
    """Refuse quantities that are no finite number below 1e26 (byte-seconds reach 1e18; money has a limit of its own)."""
    bad = [f"({c} IS NOT NULL AND NOT coalesce(abs(TRY_CAST({c} AS DOUBLE)) < 1e26, false))" for c in QUANTITIES]
    query = f"SELECT min(file_row_number) FROM read_parquet(?, file_row_number=true) WHERE {' OR '.join(bad)}"  # noqa: S608
    (row,) = con.execute(query, [str(target)]).fetchone()  # type: ignore[misc]
    if row is not None:
        raise DeliveryRefused(f"unreadable quantity ({', '.join(QUANTITIES)})", where=f"{where}, row {row + 1}", remedy=_AGAIN)


def _facts(
    con: duckdb.DuckDBPyConnection, target: Path, where: str, ignored: tuple[str, ...], controls: tuple[ControlTotal, ...]
) -> FileFacts:
    # a charge of more than a day (a yearly fee) lies on its first day; without a start it lies on the billing period's
    day = "coalesce(charge_period_start, billing_period_start)"
    last = (
        f"CASE WHEN charge_period_end > charge_period_start AND charge_period_end <= charge_period_start + INTERVAL 1 DAY"
        f" THEN charge_period_end - INTERVAL 1 MICROSECOND ELSE {day} END"
    )
    rows, first, final, months, end, uninvoiced, nowhere = con.execute(  # type: ignore[misc]
        f"SELECT count(*), min({day})::DATE, max({last})::DATE,"  # noqa: S608
        " list_sort(list(DISTINCT strftime(billing_period_start, '%Y-%m'))), max(billing_period_end),"
        " count(*) FILTER (invoice_id IS NULL), min(file_row_number) FILTER (billing_period_start IS NULL)"
        " FROM read_parquet(?, file_row_number=true)",
        [str(target)],
    ).fetchone()
    if nowhere is not None:
        raise DeliveryRefused("BillingPeriodStart is empty", where=f"{where}, row {nowhere + 1}", remedy=_AGAIN)
    return FileFacts(rows, (first, final) if rows else None, tuple(months or ()), end, uninvoiced, ignored, controls)
