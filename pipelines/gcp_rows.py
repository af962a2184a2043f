"""The rows of the GCP detailed usage cost export: how any shape of them becomes the same raw rows.

Belongs here: the SQL that turns a relation into raw rows, the money gate, a delivery's facts. Does not: the schema (gcp_schema.py),
reading files or tables (sources/gcp_billing.py, bigquery.py), any business rule (dbt staging).

Every number of type MONEY lands in one canonical text: its exact decimal value without exponent, plus sign, needless zeros or
``-0``: the double 5.28e-4, the text "5.28E-4" and the NUMERIC 0.000528000 all become ``0.000528``. A double contributes its shortest
round-trip decimal; text and NUMERIC keep every digit.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pipelines.errors import DeliveryRefused
from pipelines.gcp_schema import PATHS, REPEATED, REQUIRED, ROWS, literal, quoted
from pipelines.source import Column

_MONEY = [c.name for c in ROWS.columns if c.type == "MONEY"]
_TIMES = [c.name for c in ROWS.columns if c.type == "TIMESTAMP"]
CONVERTER = 1  # raised when the same input becomes other raw rows: what was landed before is then read again

_NUMBER = r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\s*"

# Scalar macros. `plain_number` moves the decimal point of digits by an exponent in text, so no digit passes through a float.
_MACROS = (
    r"""create or replace macro plain_number(negative, digits, point) as (case
        when rtrim(digits, '0') = '' then '0'
        else case when negative then '-' else '' end
          || coalesce(nullif(ltrim(rpad(left(digits, greatest(point, 0)::int), greatest(point, 0)::int, '0'), '0'), ''), '0')
          || coalesce('.' || nullif(rtrim(repeat('0', greatest(-point, 0)) || substr(digits, greatest(point, 0) + 1), '0'), ''), '')
        end)""",
    rf"""create or replace macro money_text(t) as (case
        when regexp_full_match(t, '-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?') and t <> '-0' then t
        when regexp_full_match(t, '(0|-?[1-9][0-9]*)\.[0-9]*') then rtrim(rtrim(t, '0'), '.') -- NUMERIC, whole doubles
        when regexp_full_match(t, '{_NUMBER}') then plain_number(
          starts_with(trim(t), '-'),
          regexp_extract(t, '^\s*[+-]?([0-9]*)', 1) || regexp_extract(t, '^\s*[+-]?[0-9]*\.?([0-9]*)', 1),
          length(regexp_extract(t, '^\s*[+-]?([0-9]*)', 1)) + coalesce(try_cast(regexp_extract(t, '[eE]([+-]?[0-9]+)', 1) as int), 0))
        end)""",
    # numbers are epoch seconds, above 1e11 milliseconds, above 1e14 microseconds
    rf"""create or replace macro instant(t) as (case
        when regexp_full_match(t, '{_NUMBER}') then make_timestamp(try_cast(try_cast(money_text(t) as decimal(28, 6)) * (case
          when abs(try_cast(t as double)) > 1e14 then 1 when abs(try_cast(t as double)) > 1e11 then 1000 else 1000000 end) as bigint))
        when isfinite(try_cast(t as timestamptz)) then try_cast(t as timestamptz) at time zone 'UTC' end)""",
    # [{'key': None}] as Python prints it; what is neither it nor JSON (an apostrophe in a text, say) fails loudly
    r"""create or replace macro json_spelling(t) as (case when not starts_with(ltrim(t), '[{''') then t
        else regexp_replace(replace(t, '''', '"'), ': None([,}])', ': null\1', 'g') end)""",
    """create or replace macro label_values(l, k) as (list_sort(list_distinct(list_transform(
        list_filter(l, lambda e: coalesce(e.key, '') = k), lambda e: coalesce(to_json(e.value)::varchar, 'null')))))""",
    """create or replace macro label_keys(l) as (list_sort(list_distinct(list_transform(l, lambda e: coalesce(e.key, '')))))""",
    """create or replace macro one_or_array(v) as (case when len(v) = 1 then v[1] else '[' || array_to_string(v, ',') || ']' end)""",
    """create or replace macro labels_json(l) as (case
        when coalesce(len(l), 0) = 0 then '{}'
        when len(list_distinct(list_transform(l, lambda e: coalesce(e.key, '')))) = len(l) then
          '{' || array_to_string(list_transform(list_sort(list_transform(l, lambda e: struct_pack(k := coalesce(e.key, ''), v := e.value))),
            lambda e: to_json(e.k)::varchar || ':' || coalesce(to_json(e.v)::varchar, 'null')), ',') || '}'
        else '{' || array_to_string(
          list_transform(label_keys(l), lambda k: to_json(k)::varchar || ':' || one_or_array(label_values(l, k))), ',') || '}' end)""",
    """create or replace macro repeats_a_key(l) as (coalesce(len(l), 0) > 1
        and len(list_distinct(list_transform(l, lambda e: coalesce(e.key, '')))) < len(l)
        and len(list_filter(label_keys(l), lambda k: len(label_values(l, k)) > 1)) > 0)""",
    """create or replace macro credits_json(l) as (case when coalesce(len(l), 0) = 0 then '[]' else '[' || array_to_string(list_transform(l,
        lambda c: to_json(struct_pack(id := c.id, full_name := c.full_name, type := c.type, name := c.name,
          amount := money_text(c.amount)))::varchar), ',') || ']' end)""",
    """create or replace macro unreadable_credit(l) as (case when coalesce(len(l), 0) > 0 then list_transform(
        list_filter(l, lambda c: money_text(c.amount) is null), lambda c: coalesce(c.amount, 'NULL'))[1] end)""",
)


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
    """An engine that works and spills inside ``folder``, in UTC, with this module's macros."""
    connection = duckdb.connect(str(folder / "convert.duckdb"), config={"memory_limit": memory_limit, "threads": threads})
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set enable_progress_bar = false")
    for macro in _MACROS:
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
            f"not a detailed usage cost export: without {', '.join(missing)}",
            where=where,
            remedy="export the table gcp_billing_export_resource_v1_<billing account> with its own column names",
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
    """The statement that makes table ``converted``: the raw columns, and what the gate and the facts look at."""
    lost = ", ".join(_lost(texts[t]) + f" as {quoted('lost_' + t)}" for t in _TIMES)
    raw = ", ".join(f"{_final(c)} as {quoted(c.name)}" for c in ROWS.columns)
    unreadable = " ".join(
        f"when {quoted(m)} is not null and money_text({quoted(m)}) is null then {literal(PATHS[m] + ' = ')} || {quoted(m)}" for m in _MONEY
    )
    repeats = " or ".join(f"(contains(labels_json({quoted(r)}), ':[') and repeats_a_key({quoted(r)}))" for r in REPEATED if r != "credits")
    return f"""create table converted as
        with texts as (select {", ".join(f"{texts[c.name]} as {quoted(c.name)}" for c in ROWS.columns)}, {lost} from {relation})
        select {raw}, {", ".join(quoted("lost_" + t) for t in _TIMES)}, {repeats} as repeats,
          case when "cost" is null then 'cost is NULL' {unreadable}
            when unreadable_credit(credits) is not null then 'credits.amount = ' || unreadable_credit(credits) end as unreadable
        from texts"""  # noqa: S608 - identifiers are quoted, data stays in columns


def _final(column: Column) -> str:
    if column.name == "credits":
        return "credits_json(credits)"
    return {"MONEY": "money_text({})", "JSON": "labels_json({})"}.get(column.type, "{}").format(quoted(column.name))


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
    if name in _TIMES:
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
    return "null::timestamp" if name in _TIMES else "null::varchar"


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
    reasons = {f"lost_{t}": f"{t} unreadable: kept without it" for t in _TIMES}
    reasons["repeats"] = "label key repeated with different values: all values kept as an array"
    reasons["usage_start_time is null and not lost_usage_start_time"] = "usage_start_time missing: covers the first day of invoice.month"
    for condition, reason in reasons.items():
        # condition is one of the constants above
        count, row = connection.execute(f"select count(*), min(rowid) + 1 from converted where {condition}").fetchone()  # noqa: S608
        if count:
            rejected.append({"reason": reason, "rows": count, "example": {"file": where, "row": row}})
    covers = (first, last) if rows else None
    return Facts(rows, last_export, covers, "final" if is_final else "provisional", rejected)
