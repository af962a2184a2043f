"""What a macro of levers or alerts returns over the rows that a test put into a warehouse, before any table unions it.

Belongs here: compiling a macro's call. Does not: running models (conftest.py), rows, assertions.
"""

from __future__ import annotations

import os
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from pipelines import dbt
from pipelines.settings import Settings


@cache
def _compiled(home: Path, call: str) -> str:
    from dbt.cli.main import dbtRunner

    from pipelines.settings import SettingsFile

    settings = Settings(SettingsFile(), home, None)
    folders = ["--project-dir", str(dbt.PROJECT), "--profiles-dir", str(dbt.PROJECT), "--log-path", str(home / "logs")]
    with dbt._environment(dbt.environment(settings)), Path(os.devnull).open("w") as sink, redirect_stdout(sink):
        arguments = ["compile", "--inline", f"{{{{ {call} }}}}", *folders, "--log-level", "none", "--log-level-file", "none", "--quiet"]
        outcome = dbtRunner(manifest=dbt.kept_manifest()).invoke(arguments)
        dbt._close_connections()
    assert outcome.success, outcome.exception
    return str(outcome.result.results[0].node.compiled_code)


def returned(settings: Settings, connection: duckdb.DuckDBPyConnection, macro: str, *relations: str) -> list[dict[str, Any]]:
    """The rows that ``macro`` returns when it is handed ``relations`` (model names); compiled once a process.

    settings: those of the built, empty warehouse; connection: to a filled copy of it.
    """
    handed = ", ".join(f"ref('{name}')" for name in relations)
    cursor = connection.execute(_compiled(settings.home, f"{macro}({handed})"))
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
