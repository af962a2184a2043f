"""The private in-memory engine that sources convert with, and the few ways to write SQL text safely.

Belongs here: connecting, quoting, reading time. Does not: the warehouse, any table. Data values are always bound parameters;
only identifiers and paths become text, through ``identifier`` and ``literal``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

MEMORY_LIMIT = "2GB"
TIMESTAMP_TEXT = (  # text with an offset, or epoch seconds (milliseconds above 1e11), as naive UTC
    "CASE WHEN regexp_full_match(trim({x}), '[+-]?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?') THEN make_timestamp(CAST(round("
    "TRY_CAST({x} AS DOUBLE) * CASE WHEN abs(TRY_CAST({x} AS DOUBLE)) > 1e11 THEN 1e3 ELSE 1e6 END) AS BIGINT))"
    " WHEN regexp_matches(trim({x}), '^[0-9]{{4}}-') THEN TRY_CAST({x} AS TIMESTAMPTZ) AT TIME ZONE 'UTC' END"
)


def identifier(name: str) -> str:
    """A quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | Path) -> str:
    """A quoted SQL string literal, for paths and options that cannot be bound."""
    return "'" + str(value).replace("'", "''") + "'"


def timestamp_sql(name: str, kind: str) -> str:
    """SQL that reads a column of DuckDB type ``kind`` as naive UTC; NULL where it cannot be read."""
    column = identifier(name)
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"({column} AT TIME ZONE 'UTC')"
    if kind.startswith("TIMESTAMP") or kind == "DATE":
        return f"{column}::TIMESTAMP"
    return f"({TIMESTAMP_TEXT.format(x=f'{column}::VARCHAR')})"


@contextmanager
def connect(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A private in-memory engine: one thread (so that files come out the same), UTC, spilling into ``scratch``."""
    config = {
        "threads": 1,
        "memory_limit": MEMORY_LIMIT,
        "temp_directory": str(scratch),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(":memory:", config=config) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
