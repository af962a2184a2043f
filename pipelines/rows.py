"""Rows of a query as what Python works with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb


def rows_of(connection: duckdb.DuckDBPyConnection, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
    """A query's rows as dicts, column -> value."""
    cursor = connection.execute(query, values)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
