"""The rows of a GCP usage cost export: how any shape of them becomes the same raw rows.

Belongs here: the SQL that turns a relation into raw rows, the money gate, a delivery's facts. Does not: the schema (gcp_schema.py),
reading files or tables (sources/gcp_billing.py, bigquery.py), any business rule (dbt staging).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.gcp_macros import MACROS
from pipelines.ingestion.gcp_schema import PATHS, REPEATED, REQUIRED, ROWS, literal, quoted

_LISTS = {
    "money": [c.name for c in ROWS.columns if c.type == "MONEY"],
    "times": [c.name for c in ROWS.columns if c.type == "TIMESTAMP"],
    "objects": [c.name for c in ROWS.columns if c.type == "JSON" and c.name != "credits"],
}
CONVERTER = 2  # raised when the same input becomes other raw rows: what was landed before is then read again


@dataclass(frozen=True)
class Facts:
    """What a converted delivery says about itself. ``last_export`` is ISO 8601 UTC with microseconds, '' where no row has one."""

    rows: int
    last_export: str
    covers: tuple[dt.date, dt.date] | None
    finality: str
    rejected: list[dict[str, Any]]

    @property
    def order(self) -> str:
        """Newest export time, then the number of rows: both only grow in an append-only export; sorts as text."""
        return order_of(self.last_export, self.rows)


def order_of(last_export: str, rows: int) -> str:
    """The ``order`` of a delivery with ``rows`` rows of which the newest was exported at ``last_export``."""
    return f"{last_export}/{rows:012d}"


def connect(folder: Path, memory_limit: str = "1GB", threads: int = 2) -> duckdb.DuckDBPyConnection:
    """An engine that spills into ``folder``, in UTC, with this module's macros."""
    settings = {"memory_limit": memory_limit, "threads": threads, "temp_directory": str(folder / "spill")}
    connection = duckdb.connect(":memory:", config=settings)
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set enable_progress_bar = false")
    for macro in MACROS:
        connection.execute(macro)
    return connection


def convert(connection: duckdb.DuckDBPyConnection, relation: str, target: Path, *, where: str, sort: bool) -> Facts:
    """Write the raw rows of ``relation`` (SQL of a FROM clause, made of quoted parts) to ``target`` as Parquet.

    Args:
        sort: order by all columns, for inputs without an order of their own; otherwise input order.

    Raises DeliveryRefused for a schema without the required columns and for money that cannot be read.
    """
    connection.execute("drop table if exists converted")
    source = connection.sql(f"select * from {relation}")  # noqa: S608 - relation is made of quoted paths by this package
    types = dict(zip(source.columns, source.types, strict=True))
    found = {name: expression for name in PATHS if (expression := _locate(name, types))}
    if missing := [PATHS[name] for name in REQUIRED if name not in found]:
        raise DeliveryRefused(
            f"not a usage cost export: without {', '.join(missing)}",
            where=where,
            remedy="export the table gcp_billing_export_resource_v1_<billing account>, or gcp_billing_export_v1_..., with its own column names",
        )
    connection.execute(_conversion(relation, {c.name: found.get(c.name) or _absent(c.name) for c in ROWS.columns}))
    _gate_money(connection, where)
    facts = _facts(connection, where)
    columns = ", ".join(quoted(c.name) for c in ROWS.columns)
    connection.execute(
        f"copy (select {columns} from converted order by {'all' if sort else 'rowid'}) to {literal(target)} "  # noqa: S608
        "(format parquet, compression zstd, row_group_size 122880)"
    )
    connection.execute("drop table converted")
    return facts


def _conversion(relation: str, texts: dict[str, str]) -> str:
    """The statement that makes table ``converted``: the raw columns, and what the gate and the facts look at.

    Columns of one type go through one list, so that each macro is expanded, and planned, once.
    """
    plain = [c.name for c in ROWS.columns if c.type == "VARCHAR"]
    lists = {name: "[" + ", ".join(texts[column] for column in columns) + "]" for name, columns in _LISTS.items()}
    raw = {name: quoted(name) for name in plain} | {"credits": "credits_json(credits)"}
    for name, columns in _LISTS.items():
        raw |= {column: f"{name}[{position}]" for position, column in enumerate(columns, start=1)}
    lost = ", ".join(_lost(texts[t]) + f" as {quoted('lost_' + t)}" for t in _LISTS["times"])
    money_paths = "[" + ", ".join(literal(PATHS[m]) for m in _LISTS["money"]) + "]"
    return f"""create table converted as
        with texts as (
          select {", ".join(f"{texts[name]} as {quoted(name)}" for name in plain)}, {texts["credits"]} as credits,
            {lists["money"]} as money_texts, {lists["times"]} as times, {lost}, {lists["objects"]} as label_lists
          from {relation}),
        typed as (
          select *, list_transform(money_texts, lambda t: money_text(t)) as money,
            list_transform(label_lists, lambda l: labels_json(l)) as objects,
            unreadable_credit(credits) as bad_credit
          from texts),
        gated as (
          select *, list_filter(range(1, {len(_LISTS["money"]) + 1}),
            lambda i: money_texts[i] is not null and money[i] is null)[1] as bad_money
          from typed)
        select {", ".join(f"{raw[c.name]} as {quoted(c.name)}" for c in ROWS.columns)},
          {", ".join(quoted("lost_" + t) for t in _LISTS["times"])},
          case when len(list_filter(objects, lambda o: contains(o, ':['))) > 0
            then len(list_filter(label_lists, lambda l: repeats_a_key(l))) > 0 else false end as repeats,
          case when money_texts[{_LISTS["money"].index("cost") + 1}] is null then 'cost is NULL'
            when bad_money is not null then {money_paths}[bad_money] || ' = ' || money_texts[bad_money]
            when bad_credit is not null then 'credits.amount = ' || bad_credit end as unreadable
        from gated"""  # noqa: S608 - identifiers are quoted, data stays in columns


def _locate(name: str, types: dict[str, Any]) -> str | None:
    """The expression that reads raw column ``name`` (text, TIMESTAMP or list of text structs) from a relation; None where it is absent."""
    path = PATHS[name]
    head, *rest = path.split(".")
    if rest and path in types:  # flattened: the path is the column's name
        return _as_text(name, quoted(path), types[path])
    if rest and name in types:
        return _as_text(name, quoted(name), types[name])
    if head not in types:
        return None
    expression, kind = quoted(head), types[head]
    for field in rest:
        fields = dict(kind.children) if kind.id == "struct" else {}
        if field not in fields:
            return None
        expression, kind = f"struct_extract({expression}, {literal(field)})", fields[field]
    return _as_text(name, expression, kind)


def _as_text(name: str, expression: str, kind: Any) -> str:
    if name in REPEATED and kind.id == "varchar":  # flat files carry JSON, or Python's spelling of it
        structure = literal("[{" + ", ".join(f'"{f}": "VARCHAR"' for f in REPEATED[name]) + "}]")
        return f"from_json_strict(json_spelling({expression}), {structure})"
    if name in REPEATED:
        if kind.id == "struct" and [n for n, _ in kind.children] == ["list"]:  # files written without list annotation
            expression, kind = f"struct_extract({expression}, 'list')", kind.children[0][1]
        element, value = dict(kind.children).get("child"), "e"
        if element is not None and element.id == "struct" and [n for n, _ in element.children] == ["element"]:
            element, value = element.children[0][1], "e.element"
        if kind.id != "list" or element is None or element.id != "struct":
            raise DeliveryRefused(
                f"column {PATHS[name]} is {kind}, not a list of records", where=name, remedy="export the table without reshaping it"
            )
        has = {n for n, _ in element.children}
        fields = ", ".join(f"{f} := " + (f"{value}.{f}::varchar" if f in has else "null::varchar") for f in REPEATED[name])
        return f"list_transform({expression}, lambda e: struct_pack({fields}))"
    if name in _LISTS["times"]:
        if kind.id == "timestamp with time zone":
            return f"({expression} at time zone 'UTC')"
        return f"{expression}::timestamp" if kind.id.startswith(("timestamp", "date")) else f"instant({expression}::varchar)"
    return f"{expression}::varchar"


def _lost(time: str) -> str:
    """Whether a time was there and could not be read; only texts can be unreadable."""
    text = time.removeprefix("instant")
    return f"({text} is not null and {time} is null)" if text != time else "false"


def _absent(name: str) -> str:
    if name in REPEATED:
        return "null::struct(" + ", ".join(f'"{f}" varchar' for f in REPEATED[name]) + ")[]"
    return "null::timestamp" if name in _LISTS["times"] else "null::varchar"


def _gate_money(connection: duckdb.DuckDBPyConnection, where: str) -> None:
    bad = connection.execute(
        """select rowid + 1, unreadable, sku_id, usage_start_time, project_id, count(*) over ()
        from converted where unreadable is not null order by rowid limit 1"""
    ).fetchone()
    if bad:
        row, what, sku, start, project, count = bad
        raise DeliveryRefused(
            f"money that cannot be read in {count} row(s): {what}",
            where=f"{where}, row {row} (sku {sku}, usage from {start}, project {project})",
            remedy="export the data again; if the amount is the same there, report it to Google Cloud Billing support",
        )


def _facts(connection: duckdb.DuckDBPyConnection, where: str) -> Facts:
    rows, first, last, month, stray, last_export, is_final = connection.execute(
        """with days as (
          select *, coalesce(try_strptime(invoice_month || '01', '%Y%m%d')::date, export_time::date) as fallback_day,
            (try_strptime(invoice_month || '01', '%Y%m%d') + interval 1 month + interval 10 day) as closed_at
          from converted)
        select count(*), min(coalesce(usage_start_time::date, fallback_day)), max(coalesce(usage_start_time::date, fallback_day)),
          min(fallback_day) filter (usage_start_time is null),
          count(*) filter (usage_start_time is null and fallback_day is null),
          coalesce(strftime(max(export_time), '%Y-%m-%dT%H:%M:%S.%fZ'), ''),
          coalesce(bool_and(coalesce(closed_at <= (select max(export_time) from converted), false)), false)
        from days"""
    ).fetchone()
    if stray:
        raise DeliveryRefused(
            f"{stray} row(s) without a readable usage time, invoice month and export time: no period can be told",
            where=where,
            remedy="export the data again",
        )
    rejected = []
    reasons = {f"lost_{t}": f"{t} unreadable: kept without it" for t in _LISTS["times"]}
    reasons["repeats"] = "label key repeated with different values: all values kept as an array"
    reasons["usage_start_time is null and not lost_usage_start_time"] = "usage_start_time missing: covers the first day of invoice.month"
    for condition, reason in reasons.items():
        # condition is one of the constants above
        count, row = connection.execute(f"select count(*), min(rowid) + 1 from converted where {condition}").fetchone()  # noqa: S608
        if count:
            rejected.append({"reason": reason, "rows": count, "example": {"file": where, "row": row}})
    covers = (first, last) if rows else None
    return Facts(rows, last_export, covers, "final" if is_final else "provisional", rejected)
