"""Writes what schedulers and inventories know: nodes, Kubernetes workloads, Slurm accounting.

Belongs here: the columns and states of those files. Does not: samples, bills, traffic. A file tells what is known at the end of the
last written day: what still runs then has no end.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from pipelines.demo.model import HOUR, Attempt, Company, Hold, utc

TYPES = {"run": "training_run", "endpoint": "endpoint", "notebook": "notebook"}
KUBERNETES_STATES = {
    "completed": "Succeeded", "failed": "Failed", "cancelled": "Deleted", "preempted": "Preempted", "running": "Running",
}  # fmt: skip
SLURM_STATES = {"completed": "COMPLETED", "failed": "FAILED", "cancelled": "CANCELLED by 1003", "node_fail": "NODE_FAIL"}
LABELS = ("team", "model", "environment", "project", "run_id", "endpoint")
SACCT = ("JobIDRaw", "JobID", "JobName", "User", "Account", "Partition", "WCKey", "State", "ExitCode", "Start", "End", "Elapsed",
         "AllocTRES", "NodeList", "Comment")  # fmt: skip


def write_nodes(company: Company, folder: Path) -> list[Path]:
    """The inventory: one row per node and life that has begun."""
    rows = []
    for node in company.nodes:
        for start, end in node.lives:
            if start < company.cut:
                rows.append(
                    {
                        "hostname": node.hostname, "provider": node.source, "resource_id": node.resource_id, "gpu_count": node.gpu_count,
                        "gpu_model": node.gpu_model, "vcpus": node.vcpu, "memory_gib": node.memory_gib, "pool": node.pool,
                        "cluster": node.cluster, "zone": node.zone, "valid_from": _iso(start),
                        "valid_to": _iso(end) if end < company.cut else "",
                        "labels": json.dumps({"team": node.owner_team}),
                        "gpus": json.dumps([{"uuid": uuid, "index": i} for i, uuid in enumerate(node.gpu_uuids)]),
                    }
                )  # fmt: skip
    return [_write_csv(folder / "nodes.csv", rows)]


def write_workloads(company: Company, folder: Path) -> list[Path]:
    """Kubernetes' records, a row per pod, one file per kind; a run outside Kubernetes names its GPUs."""
    written = []
    for kind in TYPES:
        rows = [
            _workload(company, attempt, hold)
            for attempt in company.attempts
            for hold in attempt.holds
            if attempt.kind == kind and attempt.evidence != "hpc_job" and hold.start < company.cut
        ]
        written.append(_write_csv(folder / f"{kind}s.csv", rows))
    return written


def _workload(company: Company, attempt: Attempt, hold: Hold) -> dict[str, Any]:
    ended = hold.end < company.cut
    named = attempt.evidence == "gpu_ids"
    uuids = company.node[hold.node].gpu_uuids
    return {
        "workload_type": TYPES[attempt.kind], "workload_id": attempt.workload_id, "attempt_id": attempt.attempt_id,
        "started_at": _iso(hold.start), "ended_at": _iso(hold.end) if ended else "",
        "state": KUBERNETES_STATES[attempt.state if ended else "running"], "hostname": hold.node,
        "gpu_ids": json.dumps([uuids[g] for g in hold.gpus]) if named else "", "gpu_count": "" if named else len(hold.gpus),
        "namespace": hold.namespace or "", "pod": hold.pod or "", "pod_uid": hold.pod_uid or "",
        **{f"label_{key}": attempt.tags.get(key, "") for key in LABELS},
    }  # fmt: skip


def write_sacct(company: Company, folder: Path) -> list[Path]:
    """``sacct -P --allocations --duplicates`` in UTC; names no GPU."""
    lines = ["|".join(SACCT)]
    for attempt in company.attempts:
        if attempt.evidence == "hpc_job" and attempt.start < company.cut:
            lines.append("|".join(_sacct(company, attempt)))
    path = folder / "sacct.txt"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [path]


def _sacct(company: Company, attempt: Attempt) -> list[str]:
    ended = attempt.end < company.cut
    elapsed = min(attempt.end, company.cut) - attempt.start
    gpus, nodes = sum(len(h.gpus) for h in attempt.holds), len(attempt.holds)
    node_list = attempt.holds[0].node if nodes == 1 else f"slurm-a100-[1-{nodes}]"
    tres = f"billing={gpus},cpu={12 * gpus},gres/gpu={gpus},mem={140 * gpus}G,node={nodes}"
    failed = attempt.state in ("failed", "node_fail")
    return [
        attempt.attempt_id, attempt.attempt_id, attempt.workload_id, attempt.user, attempt.tags["team"], "a100", "",
        SLURM_STATES[attempt.state] if ended else "RUNNING", "1:0" if failed and ended else "0:0", _iso(attempt.start)[:-1],
        _iso(attempt.end)[:-1] if ended else "Unknown", _elapsed(elapsed), tres, node_list, f"project={attempt.tags['project']}",
    ]  # fmt: skip


def write_revenue(company: Company, folder: Path) -> list[Path]:
    """What 1,000 requests earn, by endpoint."""
    rows = [
        {"endpoint": r.endpoint, "revenue_per_1k_usd": f"{r.micro_usd_per_1k / 1e6:.6f}", "valid_from": company.first_day.isoformat(), "valid_to": ""}
        for r in company.revenue
    ]  # fmt: skip
    return [_write_csv(folder / "revenue.csv", rows)]


def write_quality(company: Company, folder: Path) -> list[Path]:
    """What evaluations said of model versions, as far as they have been made."""
    rows = [
        {
            "model": q.model, "model_version": q.run_id, "run_id": q.run_id, "metric": q.metric, "evaluation_set": "holdout-2026-09",
            "quality": f"{q.millionths / 1e6:.6f}", "is_higher_better": "true", "measured_at": _iso(q.at),
        }
        for q in company.quality
        if q.at < company.cut
    ]  # fmt: skip
    return [_write_csv(folder / "quality.csv", rows)]


def _elapsed(seconds: int) -> str:
    days, rest = divmod(seconds, 24 * HOUR)
    clock = f"{rest // HOUR:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{days}-{clock}" if days else clock


def _iso(second: int) -> str:
    return f"{utc(second):%Y-%m-%dT%H:%M:%SZ}"


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["workload_id", "started_at", "hostname"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")
    return path
