"""One night, measured: `python -m bench.measure` runs in a child process and writes what each stage cost as JSON.

Belongs here: CPU, wall time and memory of the night's stages and of dbt's layers. Does not: the stages themselves: they are
``nightly.STAGES``, run as the command line runs them.

Memory is the high-water mark of the process, set back before each stage where the kernel can (Linux), else the mark so far.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import platform
import resource
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb

from bench.scan import scan
from pipelines import nightly
from pipelines.settings import Settings, load_settings
from pipelines.warehouse import connect

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Meter:
    """CPU, wall time and memory of named stages."""

    def __init__(self) -> None:
        self.stages: list[dict[str, Any]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what the block costs, in all threads and finished children."""
        reset_peak()
        wall, cpu = time.monotonic(), cpu_seconds()
        yield
        self.stages.append(
            {"stage": name, "cpu_seconds": cpu_seconds() - cpu, "wall_seconds": time.monotonic() - wall, "peak_bytes": peak_bytes()}
        )


def cpu_seconds() -> float:
    """CPU seconds of this process, its threads and its finished children."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)


def reset_peak() -> None:
    """Let the high-water mark start at what is in use now, where the kernel can."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        pass


def peak_bytes() -> int:
    """The high-water mark of resident memory."""
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def measure(settings: Settings, first: dt.date, last: dt.date) -> dict[str, Any]:
    """Run the night of ``first`` to ``last`` and report stages, layers, models, the scan and the published facts."""
    meter = Meter()
    night = nightly.Night(settings, nightly.window_of(first, last))
    with nightly.writer(settings):
        for name, stage in nightly.STAGES:
            if name.startswith("check") and find_spec("pipelines.checks") is None:
                continue
            with meter.stage(name):
                if name == "transform":
                    with dbt_meter() as nodes:
                        stage(night, lambda _: None)
                else:
                    stage(night, lambda _: None)
    days = night.planned.dirty_days
    needed = [d for d in night.deliveries if d.covers and any(d.covers[0] <= day <= d.covers[1] for day in days)]
    yardstick = scan(settings, needed)
    return {
        "duckdb": duckdb.__version__,
        "python": platform.python_version(),
        "threads": settings.engine.threads,
        "memory_limit": settings.engine.memory_limit,
        "days": len(days),
        "full_refresh": night.planned.full_refresh,
        "scan": vars(yardstick),
        "stages": meter.stages,
        "models": nodes,
        "layers": layers(nodes, next(s["cpu_seconds"] for s in meter.stages if s["stage"] == "transform")),
        "facts": facts(settings),
        "bytes": {name: sum(f.stat().st_size for f in path.rglob("*") if f.is_file()) for name, path in places(settings).items()},
    }


@contextmanager
def dbt_meter() -> Iterator[list[dict[str, Any]]]:
    """CPU seconds between the finishes of dbt's nodes: right where nodes run one after another, as ours do."""
    import dbt.cli.main as runner

    nodes: list[dict[str, Any]] = []
    last = cpu_seconds()

    def heard(event: Any) -> None:
        nonlocal last
        if event.info.name not in ("NodeStart", "NodeFinished"):
            return
        now = cpu_seconds()
        if event.info.name == "NodeFinished":
            info = event.data.node_info
            nodes.append({"node": info.unique_id, "layer": layer_of(info.node_path, info.resource_type), "cpu_seconds": now - last})
        last = now

    plain = runner.dbtRunner

    def metered(*arguments: Any, callbacks: Sequence[Any] = (), **options: Any) -> Any:
        return plain(*arguments, callbacks=[*callbacks, heard], **options)

    runner.dbtRunner = metered  # type: ignore[assignment, misc]
    try:
        yield nodes
    finally:
        runner.dbtRunner = plain  # type: ignore[misc]


def layer_of(path: str, resource_type: str) -> str:
    """``staging``, ``intermediate/gpu``, ``marts``, ``tests`` or ``seeds``."""
    if resource_type != "model":
        return f"{resource_type}s"
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "intermediate" else parts[0]


def layers(nodes: list[dict[str, Any]], transform_cpu_seconds: float) -> dict[str, float]:
    """CPU seconds by layer; ``frame`` is what dbt itself costs around its nodes."""
    found: dict[str, float] = defaultdict(float)
    for node in nodes:
        found[node["layer"]] += node["cpu_seconds"]
    return {**dict(sorted(found.items())), "frame": transform_cpu_seconds - sum(found.values())}


def facts(settings: Settings) -> dict[str, Any]:
    """What was computed, so that no timing counts for a wrong result: rows and the residual."""
    queries: dict[str, str] = {
        "charges": "select sum(charge_count) from published.fct_charge_bucket",
        "buckets": "select count(*) from published.fct_charge_bucket",
        "ledger_rows": "select count(*) from published.fct_cost_allocation",
        "gpu_hours": "select count(*) from published.fct_gpu_utilization",
        "samples": "select sum(measured_value) from published.fct_data_quality where measure = 'telemetry_samples'",
        "residual_usd": "select sum(abs(delivery_residual) + abs(allocation_residual_usd)) from published.fct_reconciliation",
        "effective_usd": "select sum(effective_cost) from published.fct_cost_allocation",
    }
    with connect(settings, read_only=True) as connection:
        found = {name: connection.execute(query).fetchone()[0] for name, query in queries.items()}  # type: ignore[index]
    return {name: str(value) if "usd" in name else int(value or 0) for name, value in found.items()}


def places(settings: Settings) -> dict[str, Path]:
    """What a night leaves on disk."""
    return {"landed": settings.raw, "warehouse": settings.warehouse.parent, "published": settings.published}


def main() -> None:
    """The child: one night, its report as JSON to ``--report``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    for name in ("--config", "--home", "--from", "--to", "--report"):
        parser.add_argument(name, required=True)
    told = vars(parser.parse_args())
    settings = load_settings(told["config"], told["home"])
    result = measure(settings, dt.date.fromisoformat(told["from"]), dt.date.fromisoformat(told["to"]))
    Path(told["report"]).write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
