"""Tables in files: CSV made into Parquet, by column name and with every row counted.

Belongs here: what every file-based source needs to turn a delivered CSV into landed Parquet without a silent loss.
Does not: gzip (gunzip.py), CSV structure (csv_records.py), Parquet (parquet_files.py), any single format (sources/<kind>.py).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.csv_records import MAX_COLUMNS, MAX_LINE_BYTES, CsvShape, copy_canonical
from pipelines.ingestion.engine import TIMESTAMP_TEXT, connect, identifier, literal, timestamp_sql
from pipelines.ingestion.gunzip import MAX_RATIO, expand, is_gzip, verify_gzip
from pipelines.ingestion.money import check_money
from pipelines.ingestion.parquet_files import parquet_facts

__all__ = [
    "MAX_COLUMNS", "MAX_LINE_BYTES", "MAX_RATIO", "CsvResult", "check_money", "connect", "csv_to_parquet", "identifier", "literal",
    "parquet_facts", "timestamp_sql", "verify_gzip",
]  # fmt: skip

_PIECE = 4 << 20
_READ_AS = {
    "TIMESTAMP": TIMESTAMP_TEXT,
    "DOUBLE": "CASE WHEN isfinite(TRY_CAST({x} AS DOUBLE)) THEN TRY_CAST({x} AS DOUBLE) END",
    "BIGINT": "CASE WHEN regexp_full_match(trim({x}), '[+-]?[0-9]+') THEN TRY_CAST({x} AS BIGINT) END",
    "BOOLEAN": "TRY_CAST({x} AS BOOLEAN)",
}


@dataclass(frozen=True)
class CsvResult:
    """What became of a CSV file.

    header: its column names as they stand. ignored_columns: those that nobody asked for.
    missing_columns: raw columns (not required) that no header name provides; they are NULL in the Parquet.
    rejected: values that could not be read as their declared type and are NULL, by column, with the first row as example.
    """

    rows: int
    header: tuple[str, ...]
    ignored_columns: tuple[str, ...]
    missing_columns: tuple[str, ...]
    rejected: list[dict[str, Any]] = field(default_factory=list)


def csv_to_parquet(
    source: Path,
    target: Path,
    columns: Mapping[str, str] | Callable[[tuple[str, ...]], Mapping[str, str]],
    *,
    required: Sequence[str],
    where: str,
    types: Mapping[str, str] | None = None,
    delimiter: str = ",",
) -> CsvResult:
    """Convert a CSV or gzipped CSV file to Parquet, column by name, row by row in file order.

    Args:
        columns: header name -> raw column, or what makes that of the header. Several header names may lead to one raw column: the first in this order that
            is not empty counts. The Parquet has every raw column named here, in this order.
        required: raw columns that the header must provide.
        where: what to call the file in messages (the object's key).
        types: raw column -> TIMESTAMP (UTC; text with offset, or epoch seconds, milliseconds above 1e11), DOUBLE, BIGINT or
            BOOLEAN; anything else stays text as it is. Empty fields are NULL. Values that cannot be read become NULL and are
            counted in ``rejected``.

    Raises DeliveryRefused for everything ``expand`` and ``copy_canonical`` refuse, and for missing required columns.
    """
    if source.suffix == ".gz" and not is_gzip(source):
        verify_gzip(source, where)  # raises: empty or not gzip
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".csv-") as folder:
        canonical = Path(folder, "canonical.csv")
        with canonical.open("wb") as sink:
            shape = copy_canonical(_pieces(source, where), sink, where=where, delimiter=delimiter)
        columns = columns(shape.header) if callable(columns) else columns
        raw_columns = list(dict.fromkeys(columns.values()))
        if unknown := [name for name in required if name not in raw_columns]:
            raise ValueError(f"required columns that no header name leads to: {unknown}")
        found = {raw: [h for h, r in columns.items() if r == raw and h in shape.header] for raw in raw_columns}
        if absent := [raw for raw in required if not found[raw]]:
            names = "; ".join(" or ".join(repr(h) for h, r in columns.items() if r == raw) for raw in absent)
            raise DeliveryRefused(f"column missing from the header: {names}", where=where, remedy="export the file with this column")
        rejected = _convert(canonical, target, shape, found, types or {}, where, delimiter, Path(folder))
    used = {h for headers in found.values() for h in headers}
    return CsvResult(
        shape.rows,
        shape.header,
        tuple(h for h in shape.header if h not in used),
        tuple(raw for raw in raw_columns if not found[raw]),
        rejected,
    )


def _pieces(source: Path, where: str) -> Iterator[bytes]:
    if is_gzip(source):
        yield from expand(source, where)
        return
    with source.open("rb") as handle:
        while piece := handle.read(_PIECE):
            yield piece


def _convert(
    canonical: Path,
    target: Path,
    shape: CsvShape,
    found: Mapping[str, list[str]],
    types: Mapping[str, str],
    where: str,
    delimiter: str,
    folder: Path,
) -> list[dict[str, Any]]:
    position = {name: f"c{i}" for i, name in enumerate(shape.header)}
    line_bytes = max(2 << 20, shape.longest_bytes + 1024)
    fields = ", ".join(f"c{i}: 'VARCHAR'" for i in range(len(shape.header)))
    reader = (
        f"read_csv({literal(canonical)}, columns={{{fields}}}, auto_detect=false, header=true, delim={literal(delimiter)}, quote='\"',"
        f" escape='\"', null_padding=false, strict_mode=true, max_line_size={line_bytes}, buffer_size={4 * line_bytes})"
    )
    texts = {raw: f"coalesce({', '.join(position[h] for h in headers)})" if headers else "NULL::VARCHAR" for raw, headers in found.items()}
    typed = [raw for raw, headers in found.items() if headers and types.get(raw) in _READ_AS]
    empty = [raw for raw, headers in found.items() if not headers and types.get(raw) in _READ_AS]
    texts |= {raw: f"NULL::{types[raw]}" for raw in empty}
    plain = Path(folder, "plain.parquet") if typed else target
    with connect(folder) as con:
        _copy(con, ", ".join(f"{sql} AS {identifier(raw)}" for raw, sql in texts.items()), reader, plain)
        rows = con.execute("SELECT count(*) FROM read_parquet(?)", [str(plain)]).fetchone()[0]  # type: ignore[index]
        if rows != shape.rows:
            raise DeliveryRefused(
                f"{shape.rows} rows counted, {rows} read", where=where, remedy="report this file: the reader and the count disagree"
            )
        if not typed:
            return []
        values = {raw: _READ_AS[types[raw]].format(x=identifier(raw)) if raw in typed else identifier(raw) for raw in texts}
        _copy(con, ", ".join(f"{sql} AS {identifier(raw)}" for raw, sql in values.items()), f"read_parquet({literal(plain)})", target)
        return _unreadable(con, plain, {raw: values[raw] for raw in typed}, types, where)


def _copy(con: duckdb.DuckDBPyConnection, select: str, relation: str, target: Path) -> None:
    con.execute(f"COPY (SELECT {select} FROM {relation}) TO {literal(target)} (FORMAT parquet, COMPRESSION zstd)")  # noqa: S608


def _unreadable(
    con: duckdb.DuckDBPyConnection, plain: Path, values: Mapping[str, str], types: Mapping[str, str], where: str
) -> list[dict[str, Any]]:
    bad = {raw: f"{identifier(raw)} IS NOT NULL AND ({sql}) IS NULL" for raw, sql in values.items()}
    counts = ", ".join(
        f"count(*) FILTER ({sql}), min(file_row_number) FILTER ({sql}), arg_min({identifier(raw)}, file_row_number) FILTER ({sql})"
        for raw, sql in bad.items()
    )
    found = con.execute(f"SELECT {counts} FROM read_parquet(?, file_row_number=true)", [str(plain)]).fetchone()  # noqa: S608
    entries = []
    for number, raw in enumerate(bad):
        rows, first, value = found[3 * number : 3 * number + 3]  # type: ignore[index]
        if rows:
            example = {"file": where, "row": first + 1, "value": value[:80]}
            entries.append({"reason": f"{raw} is not a {types[raw]}: kept as NULL", "rows": rows, "example": example})
    return entries
