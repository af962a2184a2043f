"""Delivered Parquet files, verified: complete, readable to the last page, and not a bomb.

Belongs here: the check before a Parquet file is landed as it is. Does not: meaning of columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.csv_records import MAX_COLUMNS
from pipelines.ingestion.gunzip import MAX_EXPANDED_BYTES, MAX_RATIO, RATIO_FREE_BYTES

MAX_ROWS_PER_BYTE = 10_000  # a file of repeated values reaches some 1,000; the known bombs 10 billion
_MAGIC = b"PAR1"


def parquet_facts(path: Path, where: str, columns: Sequence[str] | None = None) -> tuple[int, dict[str, str]]:
    """Check a Parquet file and say what it holds.

    Every page of ``columns`` (default: all) is decoded once, page checksums are verified where the file has them.

    Returns the number of rows and {top-level column: DuckDB type}. Names in ``columns`` that the file lacks are passed over.
    Raises DeliveryRefused for a truncated, corrupted or encrypted file and for one beyond the limits.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    size = path.stat().st_size
    with path.open("rb") as handle:
        head = handle.read(4)
        handle.seek(max(0, size - 8))
        tail = handle.read()
    if size < 12 or head != _MAGIC or tail[4:] != _MAGIC or int.from_bytes(tail[:4], "little") > size - 12:
        raise _refused("truncated or not a Parquet file: its first or last bytes are missing", where)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _check_limits(file.metadata, size, where)
            names = file.schema_arrow.names
            if len(set(names)) < len(names):
                raise _refused("Parquet file with a column named twice", where)
            wanted = [n for n in names if columns is None or n in columns]
            rows = 0
            for group in range(file.metadata.num_row_groups):
                for batch in file.iter_batches(65_536, row_groups=[group], columns=wanted):
                    rows += batch.num_rows
            promised = file.metadata.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _refused(f"unreadable Parquet file: {str(error).splitlines()[0][:200]}", where) from error
    if rows != promised:
        raise _refused(f"Parquet file promises {promised} rows and holds {rows}", where)
    try:
        with duckdb.connect(":memory:", config={"threads": 1}) as con:
            described = con.execute("DESCRIBE SELECT * FROM read_parquet(?, hive_partitioning=false)", [str(path)]).fetchall()
    except duckdb.Error as error:
        raise _refused(f"unreadable Parquet file: {str(error).splitlines()[0][:200]}", where) from error
    return rows, {name: kind for name, kind, *_ in described}


def _check_limits(metadata, size: int, where: str) -> None:  # noqa: ANN001 - pyarrow's FileMetaData has no stub
    if metadata.num_columns > MAX_COLUMNS:
        raise _refused(f"Parquet file with {metadata.num_columns:,} columns; at most {MAX_COLUMNS:,} are read", where)
    expanded = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if expanded > MAX_EXPANDED_BYTES or (expanded > RATIO_FREE_BYTES and expanded > MAX_RATIO * size):
        raise _refused(f"Parquet file that expands from {size:,} to {expanded:,} bytes", where)
    if metadata.num_rows > MAX_ROWS_PER_BYTE * size:
        raise _refused(f"Parquet file that claims {metadata.num_rows:,} rows in {size:,} bytes", where)


def _refused(what: str, where: str) -> DeliveryRefused:
    return DeliveryRefused(what, where=where, remedy="have the file delivered again; nothing of it was used")
