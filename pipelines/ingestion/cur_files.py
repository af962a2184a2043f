"""One data file of an AWS bill becomes one landed Parquet file of the raw table, whatever the report's format.

Belongs here: reading CSV (gzip, ZIP, plain) and Parquet of CUR 2.0 and of legacy reports, and what the rows say of themselves.
Does not: names of legacy columns (cur_names.py), which files count (manifests), what sums they have (control_totals.py).
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.cur_columns import LINE_ITEMS, REQUIRED
from pipelines.ingestion.cur_names import Names, legacy_names
from pipelines.ingestion.engine import connect, identifier, literal, timestamp_sql
from pipelines.ingestion.parquet_files import parquet_facts
from pipelines.ingestion.tabular import csv_to_parquet
from pipelines.ingestion.unzip import expand_zip

SUFFIXES = (".csv.gz", ".csv", ".zip", ".parquet")
_START, _END, _INVOICE = "line_item_usage_start_date", "line_item_usage_end_date", "bill_invoice_id"
_STAMPS = {c.name: c.type for c in LINE_ITEMS.columns if c.type == "TIMESTAMP"}
_RAW = [c.name for c in LINE_ITEMS.columns]


@dataclass(frozen=True)
class LineItems:
    """A landed file: its rows, raw column -> its own column (None: all of them), the types of its columns, and what was left out."""

    rows: int
    columns: dict[str, str | list[str]] | None
    types: dict[str, str]
    ignored_columns: tuple[str, ...]
    rejected: list[dict[str, Any]]


@dataclass(frozen=True)
class RowFacts:
    """First and last UTC day of a file, its rows without a readable start and without an invoice, and what could not be read."""

    first: dt.date | None
    last: dt.date | None
    undated: int
    uninvoiced: int
    rejected: list[dict[str, Any]]


def land_cur2(incoming: Path, target: Path, where: str) -> LineItems:
    """Land a file of a CUR 2.0 export: Parquet byte for byte, CSV by column name. DeliveryRefused for what cannot be used."""
    if where.endswith(".parquet"):
        rows, types = parquet_facts(incoming, where, _RAW)
        if absent := [name for name in REQUIRED if name not in types]:
            raise DeliveryRefused(f"column missing: {', '.join(absent)}", where=where, remedy="add it to the export's query")
        os.replace(incoming, target)
        columns: dict[str, str | list[str]] = {name: name for name in _RAW if name in types}
        return LineItems(rows, columns, types, tuple(name for name in types if name not in columns), [])
    wanted = {name: name for name in _RAW}
    result = csv_to_parquet(_expanded(incoming, where), target, wanted, required=REQUIRED, where=where, types=_STAMPS)
    return LineItems(result.rows, None, dict.fromkeys(_RAW, "VARCHAR") | _STAMPS, result.ignored_columns, result.rejected)


def land_legacy(incoming: Path, target: Path, where: str, scratch: Path) -> LineItems:
    """Land a file of a legacy report with CUR 2.0's columns; tags, cost categories and product attributes as JSON without empty values."""
    wide = scratch / "wide.parquet"
    if where.endswith(".parquet"):
        rows, types = parquet_facts(incoming, where)
        header, own, rejected = _parquet_header(incoming), list(types), []  # the engine numbers names that differ by case only
        names = legacy_names(header, where)
        os.replace(incoming, wide)
        plain = {raw: [own[p] for p in positions] for raw, positions in names.plain.items()}
        collected = {raw: {key: own[p] for key, p in keys.items()} for raw, keys in names.collected.items()}
    else:
        found: list[Names] = []

        def columns(header: tuple[str, ...]) -> dict[str, str]:
            found.append(legacy_names(header, where))
            leads = [(p, raw) for raw, positions in found[0].plain.items() for p in positions]
            leads += [(p, f"c{p}") for keys in found[0].collected.values() for p in keys.values()]
            return {header[p]: name for p, name in leads}

        result = csv_to_parquet(_expanded(incoming, where), wide, columns, required=(), where=where, types=_STAMPS)
        names, rows, rejected = found[0], result.rows, result.rejected
        plain = {raw: [raw] for raw in names.plain}
        collected = {raw: {key: f"c{p}" for key, p in keys.items()} for raw, keys in names.collected.items()}
        types = {raw: _STAMPS.get(raw, "VARCHAR") for raw in plain}
    values = {raw: _first(own) for raw, own in plain.items()} | {raw: _json(keys) for raw, keys in collected.items() if keys}
    landed = {raw: types[plain[raw][0]] if raw in plain else _STAMPS.get(raw, "VARCHAR") for raw in _RAW}
    select = ", ".join(f"{values.get(raw, f'NULL::{landed[raw]}')} AS {identifier(raw)}" for raw in _RAW)
    with connect(scratch) as con:
        con.execute(
            f"COPY (SELECT {select} FROM read_parquet({literal(wide)}, hive_partitioning=false))"  # noqa: S608
            f" TO {literal(target)} (FORMAT parquet, COMPRESSION zstd)"
        )
    wide.unlink()
    return LineItems(rows, None, landed, names.ignored, rejected)


def row_facts(parquet: Path, types: Mapping[str, str], where: str, scratch: Path) -> RowFacts:
    """What a landed file's rows say of themselves; times that are text and cannot be read are counted in ``rejected``."""
    start = timestamp_sql(_START, types[_START])
    end = timestamp_sql(_END, types[_END]) if _END in types else "NULL::TIMESTAMP"
    invoice = f"coalesce({identifier(_INVOICE)}::VARCHAR, '')" if _INVOICE in types else "''"
    unread = f"{start} IS NULL AND coalesce({identifier(_START)}::VARCHAR, '') <> ''"
    query = (
        f"SELECT min({start})::DATE, max(greatest({start}, {end} - INTERVAL 1 MICROSECOND))::DATE, count(*) FILTER ({start} IS NULL),"  # noqa: S608
        f" count(*) FILTER ({invoice} = ''), count(*) FILTER ({unread}), min(file_row_number) FILTER ({unread})"
        " FROM read_parquet(?, file_row_number=true)"
    )
    with connect(scratch) as con:
        first, last, undated, uninvoiced, unreadable, row = con.execute(query, [str(parquet)]).fetchone()  # type: ignore[misc]
    rejected = []
    if unreadable:
        example = {"file": where, "row": row + 1}
        rejected = [{"reason": f"{_START} is not a TIMESTAMP: read as NULL", "rows": unreadable, "example": example}]
    return RowFacts(first, last, undated, uninvoiced, rejected)


def _expanded(incoming: Path, where: str) -> Path:
    """The file as the CSV reader takes it: ZIP unpacked, gzip named as such."""
    if where.endswith(".gz"):
        return incoming.rename(incoming.with_suffix(".csv.gz"))
    if not where.endswith(".zip"):
        return incoming
    plain = incoming.with_suffix(".csv")
    with plain.open("wb") as sink:
        for piece in expand_zip(incoming, where):
            sink.write(piece)
    incoming.unlink()
    return plain


def _parquet_header(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    return pq.read_schema(path).names


def _first(own: list[str]) -> str:
    """SQL of the first column that is neither NULL nor ''."""
    if len(own) == 1:
        return identifier(own[0])
    texts = ", ".join(f"nullif({identifier(name)}::VARCHAR, '')" for name in own)
    return f"coalesce({texts})"


def _json(keys: Mapping[str, str]) -> str:
    """SQL of a JSON object of the columns that are neither NULL nor '', in the header's order."""
    members = ", ".join(
        f"CASE WHEN {identifier(own)}::VARCHAR <> '' THEN {literal(json.dumps(key, ensure_ascii=False) + ':')}"
        f" || to_json({identifier(own)}::VARCHAR)::VARCHAR END"
        for key, own in keys.items()
    )
    return f"'{{' || concat_ws(',', {members}) || '}}'"
