"""Small tables people write: CSV, JSON (lines, array, object) and Parquet, read by column name into one raw table.

Belongs here: the access to a file's columns under any of their names, the reading of text as typed values, the writing of a raw
table with every unusable row and value counted. Does not: which names and rules a kind has (sources/<kind>.py); bills (tabular.py).
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.file_source import FIRST_DAY, LAST_DAY, Converted, Incoming, plain_file
from pipelines.ingestion.parquet_files import parquet_facts
from pipelines.ingestion.rejects import Rejects
from pipelines.ingestion.tabular import connect, csv_to_parquet, identifier, literal
from pipelines.landing import Staging
from pipelines.source import Column, RawTable

_NUMBER = "'[+-]?[0-9]+([.][0-9]*)?([eE][+-]?[0-9]+)?'"
_DELIMITERS = {"csv": ",", "tsv": "\t", "psv": "|"}
_MAX_OBJECT_BYTES = 64 << 20


def utc(x: str) -> str:
    """SQL: text as a UTC timestamp; NULL where it is none.

    ISO 8601 with an offset or without (then UTC); plain numbers are epoch seconds, above 1e11 milliseconds. Outside the years
    1970 to 9999, and numbers below 1e8 (a date written 20261005 is not an instant), are unreadable.
    """
    number = f"try_cast({x} AS DOUBLE)"
    epoch = f"make_timestamp(try_cast(round({number} * CASE WHEN abs({number}) > 1e11 THEN 1e3 ELSE 1e6 END) AS BIGINT))"
    at = (
        f"CASE WHEN regexp_full_match(trim({x}), {_NUMBER}) THEN CASE WHEN {number} BETWEEN 1e8 AND 2.5e14 THEN {epoch} END"
        f" ELSE try_cast({x} AS TIMESTAMPTZ) AT TIME ZONE 'UTC' END"
    )
    return f"list_filter([{at}], lambda t: t >= TIMESTAMP '1970-01-01' AND t <= TIMESTAMP '9999-12-31 23:59:59')[1]"


def whole(x: str) -> str:
    """SQL: text as a whole number; NULL where it is none ('8.0' is 8, '8.5' is not)."""
    return (
        f"CASE WHEN regexp_full_match(trim({x}), '[+-]?[0-9]+') THEN try_cast({x} AS BIGINT)"
        f" WHEN try_cast({x} AS DOUBLE) = round(try_cast({x} AS DOUBLE)) THEN try_cast({x} AS BIGINT) END"
    )


def finite(x: str) -> str:
    """SQL: text as a finite number; NULL where it is none."""
    return f"CASE WHEN isfinite(try_cast({x} AS DOUBLE)) THEN try_cast({x} AS DOUBLE) END"


def text_list(x: str) -> str:
    """SQL: a JSON array, or text separated by ; , or blanks, as a JSON array of text."""
    split = f"list_filter(string_split_regex(trim({x}), '[;,[:space:]]+'), lambda e: e <> '')"
    return (
        f"CASE WHEN {x} IS NULL THEN NULL WHEN left(trim({x}), 1) <> '[' THEN CAST(to_json({split}) AS VARCHAR)"
        f" WHEN json_valid({x}) THEN CAST(to_json(from_json({x}, '[\"VARCHAR\"]')) AS VARCHAR) END"
    )


def json_of(x: str, kind: str) -> str:
    """SQL: JSON text of the wanted kind (OBJECT or ARRAY); NULL where it is none."""
    return f"CASE WHEN json_valid({x}) THEN CASE WHEN json_type({x}) = '{kind}' THEN CAST(CAST({x} AS JSON) AS VARCHAR) END END"


_READ = {"TIMESTAMP": utc, "BIGINT": whole, "DOUBLE": finite}


@dataclass
class Records:
    """The rows of one file, in file order, as the relation ``records`` of ``con`` with ``_row`` counted from 1."""

    con: duckdb.DuckDBPyConnection
    columns: dict[str, list[str]] = field(default_factory=dict)  # name in lower case -> SQL text expressions
    names: list[str] = field(default_factory=list)  # as they stand in the file
    is_nameless: bool = False  # JSON without a record names no column

    def has(self, *names: str) -> bool:
        """Whether the file has any of these columns (case aside)."""
        return any(n.lower() in self.columns for n in names)

    def text(self, *names: str) -> str:
        """SQL: the first of these columns that holds text; blank is missing."""
        found = [f"nullif({x}, '')" for n in names for x in self.columns.get(n.lower(), [])]
        return f"coalesce({', '.join(found)}, NULL)" if found else "CAST(NULL AS VARCHAR)"

    def require(self, groups: Sequence[Sequence[str]], where: str) -> None:
        """Refuse a file that has none of a group's names."""
        missing = [group for group in groups if not self.has(*group)]
        if missing and not self.is_nameless:
            raise DeliveryRefused(
                f"column missing: {'; '.join(' or '.join(g) for g in missing)}; found: {', '.join(self.names[:40]) or 'no column'}",
                where=where,
                remedy="add the column, or rename one to a name above",
            )


@contextmanager
def open_records(incoming: Incoming, unnest: str | None = None) -> Iterator[Records]:
    """Open a file's rows. ``unnest`` names an array that JSON objects may wrap their rows in (``{"runs": [...]}``)."""
    with connect(incoming.work) as con:
        if incoming.format in _DELIMITERS:
            yield _from_csv(con, incoming, _DELIMITERS[incoming.format])
        elif incoming.format == "parquet":
            yield _from_parquet(con, incoming)
        elif incoming.format == "json":
            yield _from_json(con, incoming, unnest)
        else:
            raise DeliveryRefused(
                f"unknown file format: {Path(incoming.key).suffix or 'no extension'}",
                where=incoming.where,
                remedy="use .csv, .jsonl or .parquet",
            )


def _from_csv(con: duckdb.DuckDBPyConnection, incoming: Incoming, delimiter: str) -> Records:
    path = plain_file(incoming)
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as handle:
        header = next(csv.reader(handle, delimiter=delimiter), [])
    own = {name: f"c{i}" for i, name in enumerate(header)}
    target = incoming.work / "records.parquet"
    csv_to_parquet(path, target, own, required=(), where=incoming.where, delimiter=delimiter)
    con.execute(f"CREATE VIEW records AS SELECT *, file_row_number + 1 AS _row FROM read_parquet({literal(target)}, file_row_number=true)")  # noqa: S608
    return _with_columns(con, [(name, c) for name, c in own.items()])


def _from_parquet(con: duckdb.DuckDBPyConnection, incoming: Incoming) -> Records:
    _, types = parquet_facts(incoming.path, incoming.where)
    reader = f"read_parquet({literal(incoming.path)}, file_row_number=true)"
    con.execute(f"CREATE VIEW records AS SELECT *, file_row_number + 1 AS _row FROM {reader}")  # noqa: S608
    nested = ("STRUCT", "MAP")
    return _with_columns(
        con,
        [
            (n, f"CAST({f'to_json({identifier(n)})' if t.startswith(nested) or t.endswith(']') else identifier(n)} AS VARCHAR)")
            for n, t in types.items()
        ],
    )


def _from_json(con: duckdb.DuckDBPyConnection, incoming: Incoming, unnest: str | None) -> Records:
    path = plain_file(incoming)
    reader = f"read_json_objects({literal(path)}, format='auto', maximum_object_size={_MAX_OBJECT_BYTES})"
    if path.stat().st_size == 0:
        raise DeliveryRefused("empty file where JSON is expected", where=incoming.where, remedy="write it again; no record at all is []")
    try:
        con.execute(f"CREATE TABLE objects AS SELECT json FROM {reader}")  # noqa: S608
        rows = "SELECT json FROM objects"
        if unnest:
            wrapped, inner = literal(f"$.{unnest}"), literal(f"$.{unnest}[*]")
            either = f"CASE WHEN json_exists(json, {wrapped}) THEN json_extract(json, {inner}) ELSE [json] END"
            rows = f"SELECT unnest({either}) AS json FROM objects"  # noqa: S608
        con.execute(f"CREATE TABLE records AS SELECT json, row_number() OVER () AS _row FROM ({rows})")  # noqa: S608
    except duckdb.Error as error:
        raise DeliveryRefused(
            f"not complete JSON: {str(error).splitlines()[0][:200]}",
            where=incoming.where,
            remedy="write one JSON object a line, or one array",
        ) from error
    odd = con.execute("SELECT min(_row) FROM records WHERE json_type(json) <> 'OBJECT'").fetchone()
    if odd and odd[0]:
        raise DeliveryRefused(
            "a record is not a JSON object", where=f"{incoming.where}: record {odd[0]}", remedy="write one object per record"
        )
    keys = con.execute("SELECT k FROM (SELECT unnest(json_keys(json)) AS k, _row FROM records) GROUP BY k ORDER BY min(_row), k").fetchall()
    records = _with_columns(
        con, [(k, f"json_extract_string(json, {literal('/' + k.replace('~', '~0').replace('/', '~1'))})") for (k,) in keys]
    )
    records.is_nameless = not keys
    return records


def _with_columns(con: duckdb.DuckDBPyConnection, pairs: Sequence[tuple[str, str]]) -> Records:
    columns: dict[str, list[str]] = {}
    for name, sql in pairs:
        columns.setdefault(name.strip().lower(), []).append(sql)
    return Records(con, columns, [name for name, _ in pairs])


def land_records(
    records: Records,
    incoming: Incoming,
    staging: Staging,
    table: RawTable,
    *,
    aliases: Mapping[str, Sequence[str]],
    expressions: Mapping[str, str],
    unusable: Mapping[str, str],
    given: Mapping[str, tuple[str, str]] | None = None,
    notes: Mapping[str, str] | None = None,
    span: tuple[str, str] | None = None,
) -> Converted:
    """Write the raw table of one file and count what could not be used.

    Args:
        aliases: raw column -> the names it may have in the file (default: its own), read by the column's type.
        expressions: raw column -> SQL over ``records`` instead of aliases.
        unusable: reason -> SQL condition over the raw table's columns; the first that holds leaves the row out, counted.
        given: for expressions: raw column -> (SQL of the text in the file, SQL that is NULL where that text cannot be read).
        notes: reason -> SQL condition for rows that are kept and counted all the same.
        span: the two raw columns that begin and end a row's time; open ends reach to the first or last day there is.

    A value that is there and cannot be read as its column's type is NULL and counted; its row stays.
    """
    texts = {c.name: records.text(*aliases.get(c.name, (c.name,))) for c in table.columns if c.name not in expressions}
    values = {c.name: expressions.get(c.name) or _typed(c, texts[c.name]) for c in table.columns}
    checks = {c.name: (texts[c.name], values[c.name]) for c in table.columns if c.name in texts and c.type not in ("VARCHAR", "MONEY")}
    checks |= given or {}
    selected = [f"CAST({v} AS {table.column(c).physical_type}) AS {identifier(c)}" for c, v in values.items()]
    selected += [f"{text} IS NOT NULL AND ({value}) IS NULL AS {identifier('bad ' + c)}" for c, (text, value) in checks.items()]
    select = ", ".join(["_row", *selected])
    con = records.con
    con.execute(f"CREATE OR REPLACE TABLE typed AS SELECT {select} FROM records ORDER BY _row")  # noqa: S608
    case = " ".join(f"WHEN {condition} THEN {literal(reason)}" for reason, condition in unusable.items())
    con.execute(
        f"CREATE OR REPLACE TABLE judged AS SELECT *, {f'CASE {case} END' if case else 'CAST(NULL AS VARCHAR)'} AS _reason FROM typed"  # noqa: S608
    )
    rejects = Rejects(incoming.key)
    for reason, rows, first in con.execute(
        "SELECT _reason, count(*), min(_row) FROM judged WHERE _reason IS NOT NULL GROUP BY 1 ORDER BY 3"
    ).fetchall():
        rejects.add(reason, rows, row=first)
    for reason, condition in (notes or {}).items():
        rows, first = con.execute(f"SELECT count(*), min(_row) FROM judged WHERE _reason IS NULL AND {condition}").fetchone()  # type: ignore[misc]  # noqa: S608
        rejects.add(reason, rows, row=first)
    for name in checks:
        bad = identifier("bad " + name)
        rows, first = con.execute(f"SELECT count(*), min(_row) FROM judged WHERE _reason IS NULL AND {bad}").fetchone()  # type: ignore[misc]  # noqa: S608
        rejects.add(f"{name} is not a {table.column(name).type}: kept as NULL", rows, row=first)
    target = staging.path(table.name)
    kept = ", ".join(identifier(c.name) for c in table.columns)
    con.execute(
        f"COPY (SELECT {kept} FROM judged WHERE _reason IS NULL ORDER BY _row) TO {literal(target)} (FORMAT parquet, COMPRESSION zstd)"  # noqa: S608
    )
    rows = con.execute("SELECT count(*) FROM judged WHERE _reason IS NULL").fetchone()[0]  # type: ignore[index]
    staging.add(table.name, target, rows=rows, origin=incoming.origin)
    return Converted(_covers(con, span) if rows and span else None, rejects.entries())


def _typed(column: Column, text: str) -> str:
    if column.type == "JSON":
        return json_of(text, "OBJECT")
    return _READ.get(column.type, str)(text)


def _covers(con: duckdb.DuckDBPyConnection, span: tuple[str, str]) -> tuple[dt.date, dt.date]:
    begin, end = map(identifier, span)
    first, last, open_begin, open_end = con.execute(
        f"SELECT min({begin})::DATE, max({end})::DATE, bool_or({begin} IS NULL), bool_or({end} IS NULL) FROM judged WHERE _reason IS NULL"  # noqa: S608
    ).fetchone()  # type: ignore[misc]
    return (FIRST_DAY if open_begin else first), (LAST_DAY if open_end else last)
