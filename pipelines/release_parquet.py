"""How a Parquet file of a release is written: in a total order, with fixed settings, forced to disk.

Belongs here: the one writer of a release's Parquet files. Does not: which files there are (publish.py, team_releases.py).
"""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

from pipelines.warehouse import quote_text

ROW_GROUP_ROWS = 122_880  # fixed, as the compression is: the bytes of a file may depend on its rows only


def write_parquet(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> int:
    """Write ``query`` to ``path`` ordered by all its columns, and force it to disk. Returns the rows."""
    result = connection.execute(
        f"copy (select * from ({query}) order by all) to {quote_text(str(path))}"  # noqa: S608
        f" (format parquet, compression zstd, row_group_size {ROW_GROUP_ROWS})"
    ).fetchone()
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
    return int(result[0]) if result else 0
