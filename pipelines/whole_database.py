"""A DuckDB file beside the release, replaced as a whole: a reader sees the old one or the new one, never half of either.

Belongs here: the replacement. Does not: what the file says (alerting/table.py, history/database.py); a release's own file (publish.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from pipelines.landing import fsync_directory
from pipelines.settings import Settings
from pipelines.warehouse import limit


@contextmanager
def whole_database(settings: Settings, target: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to an empty database that becomes ``target``, write-protected, when the block ends; for a single writer."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}")
    scratch.unlink(missing_ok=True)
    with duckdb.connect(str(scratch)) as connection:
        limit(connection, settings)
        yield connection
        connection.execute("checkpoint")
    with scratch.open("rb") as handle:
        os.fsync(handle.fileno())
    scratch.chmod(0o444)
    os.replace(scratch, target)
    fsync_directory(target.parent)
