"""What a macro of levers or alerts returns over the rows that a test put into a warehouse, before any table unions it.

Belongs here: compiling a macro's call. Does not: running models (conftest.py), rows, assertions.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from pipelines.settings import Settings, SettingsFile
from tests.dbt.running import compile_inline

_NEXT = "-- the next call"


def compiled(settings: Settings, *calls: str) -> list[str]:
    """The SQL of each call of a macro; dbt runs once for all of them, and once a process for the same ones."""
    return list(_compiled(settings.home, calls))


@cache
def _compiled(home: Path, calls: tuple[str, ...]) -> list[str]:
    code = f"\n{_NEXT}\n".join(f"{{{{ {call} }}}}" for call in calls)
    found = compile_inline(Settings(SettingsFile(), home, None), code).split(_NEXT)
    assert len(found) == len(calls)
    return found


def returned(settings: Settings, connection: duckdb.DuckDBPyConnection, macro: str, *relations: str) -> list[dict[str, Any]]:
    """The rows that ``macro`` returns when it is handed ``relations`` (model names); compiled once a process.

    settings: those of the built, empty warehouse; connection: to a filled copy of it.
    """
    handed = ", ".join(f"ref('{name}')" for name in relations)
    [query] = compiled(settings, f"{macro}({handed})")
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
