"""The yardstick: one DuckDB pass over every column that staging reads, of every input file, straight from Parquet.

Belongs here: which columns those are, and the pass. Does not: what is measured against it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import duckdb

from pipelines.settings import REPOSITORY, Settings
from pipelines.source import Delivery, source_kinds
from pipelines.warehouse import limit, quote_name


@dataclass(frozen=True)
class Scan:
    """What one pass read and cost. cpu_seconds: the least of three passes, in all threads."""

    rows: int
    columns: int
    cpu_seconds: float


def scan(settings: Settings, deliveries: Iterable[Delivery]) -> Scan:
    """Hash every needed value of every file of ``deliveries`` (a sum of hashes is not answered from statistics)."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for delivery in deliveries:
        for file in delivery.files:
            groups.setdefault(needed_columns(delivery.kind, file), []).append(str(file.path))
    costs = []
    with duckdb.connect() as connection:
        limit(connection, settings)
        for _ in range(3):
            before, rows = time.process_time(), 0
            for columns, paths in groups.items():
                hashed = f"sum(hash({', '.join(map(quote_name, columns))}))"
                found: Any = connection.execute(f"select count(*), {hashed} from read_parquet(?)", [paths]).fetchone()  # noqa: S608
                rows += found[0]
            costs.append(time.process_time() - before)
    return Scan(rows, sum(map(len, groups)), min(costs))


def needed_columns(kind: str, file: Any) -> tuple[str, ...]:
    """The file's own columns behind the raw columns whose names stand in the kind's staging models."""
    sql = "\n".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "dbt_project" / "models" / "staging" / kind).glob("*.sql"))
    words = set(re.findall(r"\w+", sql))
    words |= {f"exported_{word}" for word in words}
    table = next(t for t in source_kinds()[kind].tables if t.name == file.table)
    mapping = file.columns if file.columns is not None else {c.name: c.name for c in table.columns}
    wanted = [mapping[c.name] for c in table.columns if c.name in words and c.name in mapping]
    own = [name for entry in wanted for name in ([entry] if isinstance(entry, str) else entry)]
    return tuple(sorted({name.partition(".")[0] for name in own}))
