"""Running dbt so that every node's outcome is seen.

Belongs here: the invocation. Does not: building a warehouse (conftest.py), assertions.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from pipelines import dbt
from pipelines.settings import Settings


def run_dbt(settings: Settings, arguments: Sequence[str], manifest: Any = None) -> list[dbt.NodeResult]:
    """Every node's result, the failed ones included, where ``pipelines.dbt.invoke`` raises at the first. manifest: another than the project's."""
    return [dbt._result(result) for result in _outcome(settings, arguments, manifest)]


def compile_inline(settings: Settings, code: str) -> str:
    """The SQL that dbt makes of ``code``, which may call the project's macros and ref() its models."""
    [result] = _outcome(settings, ["compile", "--inline", code])
    return result.node.compiled_code


def _outcome(settings: Settings, arguments: Sequence[str], manifest: Any = None) -> list[Any]:
    from dbt.cli.main import dbtRunner

    full = [*arguments, "--project-dir", str(dbt.PROJECT), "--profiles-dir", str(dbt.PROJECT)]
    full += ["--log-path", str(settings.home / "logs"), "--log-level", "none", "--log-level-file", "none", "--quiet", "--no-use-colors"]
    with dbt._environment(dbt.environment(settings)), Path(os.devnull).open("w") as sink, redirect_stdout(sink):
        outcome = dbtRunner(manifest=manifest or dbt.kept_manifest()).invoke(full)
        dbt._close_connections()
    assert outcome.exception is None, outcome.exception
    return list(outcome.result.results)
