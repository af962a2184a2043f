"""Helpers of the source tests: fetch a source, read what was landed as rows of its raw table."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.ingestion.tabular import identifier
from pipelines.landing import Landing
from pipelines.source import Delivery, Source, Window, source_kinds

DAY = dt.date(2026, 10, 5)


def source(kind: str, **entry: Any) -> Source:
    """A source of this kind with these options."""
    found = source_kinds()[kind]
    return found(found.config_model.model_validate({"name": "s", "kind": kind, **entry}))


def fetch(kind: str, tmp: Path, first: dt.date = DAY, last: dt.date | None = None, **entry: Any) -> list[Delivery]:
    """Fetch into ``tmp/raw``."""
    return list(source(kind, **entry).fetch(Window(first, last or first), Landing(tmp / "raw")))


def rows(delivery: Delivery, *columns: str) -> list[tuple[Any, ...]]:
    """The raw table's columns of the delivery's one file, through its column map, in file order."""
    (file,) = delivery.files
    mapping = file.columns or {c: c for c in columns}

    def sql(column: str) -> str:
        own = mapping.get(column, [])
        names = [own] if isinstance(own, str) else own
        found = [_member(n) if "." in n else identifier(n) for n in names]
        texts = [f"nullif(CAST({f} AS VARCHAR), '')" for f in found] if len(found) > 1 else found
        return f"coalesce({', '.join([*texts, 'NULL'])})"

    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        found = con.execute(f"SELECT {', '.join(map(sql, columns))} FROM read_parquet(?)", [str(file.path)]).fetchall()  # noqa: S608
    assert len(found) == file.rows
    return found


def _member(path: str) -> str:
    column, _, key = path.partition(".")
    return f"{identifier(column)}['{key}']"


def real_data() -> Path:
    """The folder of real data; skips where there is none."""
    folder = os.environ.get("APPORTION_REAL_DATA")
    if not folder:
        pytest.skip("APPORTION_REAL_DATA is not set: real data is not part of the repository")
    return Path(folder)


def reasons(delivery: Delivery) -> dict[str, tuple[int, Any]]:
    """reason -> (rows, place of the first)."""
    return {r["reason"]: (r["rows"], r["example"]["row"]) for r in delivery.rejected}
