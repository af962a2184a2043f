"""Files exported from the GCP billing export's table, as SQL relations: Parquet, JSON lines, flat CSV.

Belongs here: opening and checking one downloaded file, and saying where it is broken. Does not: what its columns mean (gcp_schema.py,
gcp_rows.py), where it came from (objects.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import orjson

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.csv_records import MAX_LINE_BYTES, copy_canonical
from pipelines.ingestion.gcp_schema import json_columns, literal, quoted
from pipelines.ingestion.gunzip import expand, is_gzip
from pipelines.repeated import repeated

_FORMATS = {".parquet": "parquet", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".csv": "csv"}
_AGAIN = "have the file exported again; nothing of it was used"


def format_of(key: str) -> str | None:
    """``parquet``, ``json`` or ``csv`` by the key's ending (``.gz`` aside); None for anything else."""
    return _FORMATS.get(Path(key.lower().removesuffix(".gz")).suffix)


def relation_of(path: Path, kind: str | None, *, where: str = "", gzipped: bool = False) -> str:
    """The SQL of a FROM clause that reads a downloaded file in its own row order.

    Text files are expanded and checked first (``path`` is replaced). Raises DeliveryRefused for truncated or corrupted gzip and
    for CSV of another structure than its header.
    """
    if kind == "parquet":
        return f"read_parquet({literal(path)})"
    plain = path.with_name(f"{path.name}.{kind}")
    if kind == "csv":
        return _csv_relation(_pieces(path, where, gzipped), plain, where)
    if gzipped or is_gzip(path):
        with plain.open("wb") as sink:
            for piece in expand(path, where):
                sink.write(piece)
        path.unlink()
        plain.rename(path)
    return (
        f"read_json({literal(path)}, format='newline_delimited', compression='uncompressed', columns={json_columns()}, "
        f"maximum_object_size={MAX_LINE_BYTES}, ignore_errors=false)"
    )


def refusal(path: Path, kind: str | None, where: str, error: duckdb.Error) -> Exception:
    """What to raise when the engine could not read a file: the file and line at fault, or ``error`` where the machine is."""
    message = str(error).splitlines()[0]
    ours = isinstance(error, (duckdb.OutOfMemoryException, duckdb.ParserException, duckdb.CatalogException))
    if ours or "No space left" in message or "Could not write" in message:
        return error
    message = message.replace(str(path), where)[:300]
    if kind == "json" and (line := _broken_line(path)):
        return DeliveryRefused(f"broken JSON line: {line[1]}", where=f"{where}, line {line[0]}", remedy=_AGAIN)
    return DeliveryRefused(f"unreadable {kind} file: {message}", where=where, remedy=_AGAIN)


def _broken_line(path: Path) -> tuple[int, str] | None:
    """The first line that is not a JSON object (looked for only once the engine has refused the file)."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                if line.strip() and not isinstance(orjson.loads(line), dict):
                    return number, "not an object; one row a line is expected (an array is not JSON lines)"
            except orjson.JSONDecodeError as error:
                return number, str(error)
    return None


def _pieces(path: Path, where: str, gzipped: bool) -> Iterator[bytes]:
    if gzipped or is_gzip(path):
        yield from expand(path, where)
        return
    with path.open("rb") as handle:
        while piece := handle.read(4 << 20):
            yield piece


def _csv_relation(pieces: Iterator[bytes], plain: Path, where: str) -> str:
    with plain.open("wb") as sink:
        shape = copy_canonical(pieces, sink, where=where)
    if twice := repeated(shape.header):
        raise DeliveryRefused(f"columns named twice: {', '.join(twice)}", where=where, remedy="export each column once")
    columns = "{" + ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(shape.header))) + "}"
    names = ", ".join(f"c{i} as {quoted(name)}" for i, name in enumerate(shape.header))
    return (
        f"(select {names} from read_csv({literal(plain)}, columns={columns}, auto_detect=false, header=true, delim=',', "  # noqa: S608
        f"""quote='"', escape='"', new_line='\\n', max_line_size={max(shape.longest_bytes + 2, 1 << 16)}))"""
    )
