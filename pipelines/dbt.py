"""One dbt invocation, in process.

Belongs here: the environment that dbt reads, its arguments, and what its result means. Does not: models.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from pipelines.errors import ApportionError, GateError
from pipelines.facts import FACTS, staged_models
from pipelines.settings import REPOSITORY, Settings

PROJECT = REPOSITORY / "dbt_project"


@dataclass(frozen=True)
class NodeResult:
    """What became of one dbt node."""

    unique_id: str
    resource_type: str
    status: str
    message: str
    seconds: float


class _Told:
    """A failure that knows what became of every node (``results``)."""

    def __init__(self, results: list[NodeResult], what: str, *, where: str, remedy: str) -> None:
        super().__init__(what, where=where, remedy=remedy)  # type: ignore[call-arg]
        self.results = results


class ModelFailed(_Told, ApportionError):
    """A dbt model failed."""


class LawBroken(_Told, GateError):
    """A dbt data test failed."""


def environment(settings: Settings) -> dict[str, str]:
    """What dbt reads from the environment. No credential is among it: dbt sees landed files only."""
    return {
        "APPORTION_WAREHOUSE": str(settings.warehouse),
        "APPORTION_THREADS": str(settings.engine.threads),
        "APPORTION_MEMORY_LIMIT": settings.engine.memory_limit,
        "APPORTION_DBT_TARGET": str(settings.home / "dbt" / "target"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
        **staged_environment(),
    }


def staged_environment() -> dict[str, str]:
    """The staging models of every fact, found by name, as the macro ``staged`` reads them."""
    return {f"APPORTION_STAGED_{fact.upper()}": ",".join(staged_models(fact)) for fact in FACTS}


def build_arguments(*, full_refresh: bool) -> list[str]:
    """The arguments of the night's one invocation: everything but unit tests, which need no data."""
    arguments = ["build", "--exclude-resource-type", "unit_test", "--no-write-json"]  # nobody reads dbt's artifacts of a night
    return [*arguments, "--full-refresh"] if full_refresh else arguments


def invoke(settings: Settings, arguments: Sequence[str], *, project: Path = PROJECT, parsed: Any = None) -> list[NodeResult]:
    """Run dbt. Raises LawBroken where a data test failed, ModelFailed where a model did, ApportionError where dbt could not run at all.

    project: another folder with a dbt project than the whole of this one. parsed: its manifest, where it has been read before.
    """
    from dbt.cli.main import dbtRunner

    # a `parse` is asked for its files, which dbt does not write of what it was handed; and a night cannot build on what a `parse` kept
    reuses = parsed is None and project == PROJECT and "--vars" not in arguments and arguments[0] != "parse"
    kept = _parse_key() if reuses else None
    if kept is not None:
        parsed = kept_manifest()
    log_path = settings.home / "dbt" / "logs"
    full = [
        *arguments,
        "--project-dir",
        str(project),
        "--profiles-dir",
        str(project),
        "--log-path",
        str(log_path),
        "--log-level",
        "none",
        "--log-level-file",
        "none",  # dbt's own loggers format every debug event, a third of a small night: _writer keeps what a reader needs
        "--quiet",
        "--no-use-colors",
    ]
    log_path.mkdir(parents=True, exist_ok=True)
    with (
        _environment(environment(settings)),
        _seldom_collecting(),
        (log_path / "dbt.log").open("w", encoding="utf-8") as log,
        redirect_stdout(log),
    ):
        outcome = dbtRunner(manifest=parsed, callbacks=[_writer(log)]).invoke(full)
        _close_connections()
    fresh = settings.home / "dbt" / "target" / "partial_parse.msgpack"
    if kept is not None and parsed is None and fresh.exists():
        _PARSES.clear()
        _PARSES[kept] = fresh.read_bytes()
    if outcome.exception is not None:
        raise ApportionError(
            f"dbt could not run: {outcome.exception}", where=str(log_path / "dbt.log"), remedy="read the log named above"
        ) from None
    results = [_result(r) for r in getattr(outcome.result, "results", [])]
    bad = [r for r in results if r.status in ("error", "fail", "runtime error")]
    tests = [r for r in bad if r.resource_type == "test"]
    models = [r for r in bad if r.resource_type != "test"]
    if models:
        first = models[0]
        raise ModelFailed(
            results,
            f"dbt model failed: {first.unique_id}: {first.message}",
            where=str(log_path / "dbt.log"),
            remedy="nothing was published",
        )
    if tests:
        detail = "; ".join(f"{t.unique_id.split('.')[2]}: {t.message}" for t in tests)
        raise LawBroken(
            results,
            f"a law does not hold: {detail}",
            where=str(log_path / "dbt.log"),
            remedy="nothing was published; the last release stands",
        )
    return results


def _writer(log: TextIO) -> Callable[[Any], None]:
    """A callback for dbt's events: what is more than debugging goes to the log, a line each."""

    def write(event: Any) -> None:
        if event.info.level != "debug" and event.info.msg:
            log.write(f"{event.info.ts.ToJsonString()} {event.info.level:5} {event.info.msg}\n")

    return write


_PARSES: dict[str, bytes] = {}  # what dbt parsed in this process: reading the project again costs more than a small night's models


def _parse_key() -> str:
    """What a parse depends on: the project's files and the staging models. Where the warehouse lies is no part of it."""
    from pipelines.planning import code_digest

    return f"{code_digest()} {sorted(staged_environment().items())}"


def kept_manifest() -> Any:
    """The project's manifest, where this process has parsed the project as it is now; else None."""
    from dbt.contracts.graph.manifest import Manifest

    parsed = _PARSES.get(_parse_key())
    if parsed is None:
        return None
    manifest = Manifest.from_msgpack(parsed)
    manifest.build_flat_graph()  # as a parse does: what `graph` is in Jinja
    return manifest


def _result(result: Any) -> NodeResult:
    node = result.node
    return NodeResult(node.unique_id, str(node.resource_type), str(result.status), str(result.message or ""), float(result.execution_time))


def _close_connections() -> None:
    """Let go of the warehouse file: dbt-duckdb keeps it open for the life of the process otherwise."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Look for cyclic garbage seldom: dbt's manifest is a million objects that all live on, and looking through them was a tenth of a night."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
