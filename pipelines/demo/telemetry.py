"""Writes GPU telemetry: wide Parquet as a collector stores it (AWS), saved Prometheus answers (GCP), one file a day.

Belongs here: labels and metrics as the DCGM exporter has them (Helm default: the exporter's own pod in pod/namespace, the workload in
exported_pod/exported_namespace). Does not: who held what (runs.py) and which samples are missing (company.py).

SM activity (AWS) and graphics-engine activity (GCP) carry the planned activity; GPU utilization reads higher, as it does in life.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.demo.model import DAY, HOUR, Attempt, Company, Hold, Node, activity_permille, epoch, hex_id

AWS_METRICS = ("DCGM_FI_PROF_SM_ACTIVE", "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_POWER_USAGE")
MEMORY_MIB = {"NVIDIA A100-SXM4-40GB": 33_792.0, "NVIDIA H100 80GB HBM3": 61_440.0}  # of a GPU that something runs on
LABELS = ("exported_pod", "exported_namespace", "exported_container", "hpc_job", "pod", "namespace", "container")


@dataclass(frozen=True)
class GpuDay:
    """One GPU's samples of one day: instants (epoch s), activity in per-mille, and per sample the index of its labels."""

    node: Node
    gpu: int
    at: np.ndarray
    permille: np.ndarray
    label: np.ndarray
    labels: list[dict[str, str]]


def write_aws_telemetry(company: Company, folder: Path, days: list[dt.date]) -> list[Path]:
    """One wide Parquet file per day: a row per GPU and sample, all nodes with an exporter."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_write_parquet(list(_gpu_days(company, "aws", epoch(day))), folder / f"dcgm-{day}.parquet") for day in days]


def write_gcp_telemetry(company: Company, folder: Path, days: list[dt.date]) -> list[Path]:
    """One saved query_range answer per day."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for day in days:
        series = [s for g in _gpu_days(company, "gcp", epoch(day)) for s in _matrix(g)]
        path = folder / f"dcgm-{day}.json"
        path.write_bytes(orjson.dumps({"status": "success", "data": {"resultType": "matrix", "result": series}}))
        written.append(path)
    return written


def _gpu_days(company: Company, source: str, begin: int) -> Iterator[GpuDay]:
    for node in company.nodes:
        if node.source != source or not node.has_telemetry:
            continue
        lives = [(max(a, begin), min(b, begin + DAY)) for a, b in node.lives if a < begin + DAY and b > begin]
        if lives:
            at = np.concatenate([np.arange(a, b, company.slot_seconds, dtype=np.int64) for a, b in lives])
            for gpu in range(node.gpu_count):
                yield _gpu_day(company, node, gpu, at)


def _gpu_day(company: Company, node: Node, gpu: int, at: np.ndarray) -> GpuDay:
    for gap in company.gaps:
        if gap.node == node.hostname and gpu in gap.gpus:
            at = at[(at < gap.start) | (at >= gap.end)]
    permille, label = np.zeros(len(at), np.int64), np.zeros(len(at), np.int64)
    labels = [_labels(node, None, None)]
    for stray in company.strays:
        if stray.node == node.hostname and gpu in stray.gpus:
            permille[(at >= stray.start) & (at < stray.end)] = stray.permille
    for attempt in company.attempts:
        for hold in attempt.holds:
            if hold.node != node.hostname or gpu not in hold.gpus or not len(at) or hold.end <= at[0] or hold.start > at[-1]:
                continue
            label[np.searchsorted(at, hold.start) : np.searchsorted(at, hold.end)] = len(labels)
            labels.append(_labels(node, attempt, hold))
            first, last = max(hold.start, int(at[0])), min(hold.end, int(at[-1]) + company.slot_seconds)
            for hour in range(first // HOUR * HOUR, last, HOUR):
                span = slice(np.searchsorted(at, max(hour, first)), np.searchsorted(at, min(hour + HOUR, last)))
                permille[span] = activity_permille(company.seed, attempt, node.hostname, gpu, hour)
    return GpuDay(node, gpu, at, permille, label, labels)


def _labels(node: Node, attempt: Attempt | None, hold: Hold | None) -> dict[str, str]:
    """The label names that tell of a workload; a run whose record names its GPUs shows none."""
    exporter = {"pod": f"dcgm-exporter-{hex_id(5, node.hostname)}", "namespace": "gpu-monitoring", "container": "exporter"}
    own = {} if node.cluster == "slurm-hpc" else exporter
    if hold is None or attempt is None:
        return own
    if hold.hpc_job:
        return own | {"hpc_job": hold.hpc_job}
    if hold.pod and hold.namespace:
        return own | {"exported_pod": hold.pod, "exported_namespace": hold.namespace, "exported_container": "main"}
    return own


def _gpu_labels(node: Node, gpu: int) -> dict[str, str]:
    return {"gpu": str(gpu), "UUID": node.gpu_uuids[gpu], "device": f"nvidia{gpu}", "modelName": node.gpu_model, "Hostname": node.hostname}


def _utilization(permille: np.ndarray) -> np.ndarray:
    return np.where(permille > 0, np.minimum(100, 55 + permille // 20), 0)


def _write_parquet(gpu_days: list[GpuDay], path: Path) -> Path:
    gpus = [_gpu_labels(g.node, g.gpu) for g in gpu_days]
    which = np.repeat(np.arange(len(gpu_days)), [len(g.at) for g in gpu_days])
    offsets = np.cumsum([0] + [len(g.labels) for g in gpu_days])
    label = np.concatenate([g.label + offset for g, offset in zip(gpu_days, offsets, strict=False)])
    labels = [labels for g in gpu_days for labels in g.labels]
    permille = np.concatenate([g.permille for g in gpu_days])
    columns: dict[str, Any] = {"timestamp": pa.array(np.concatenate([g.at for g in gpu_days]) * 1_000).cast(pa.timestamp("ms", "UTC"))}
    for name in ("gpu", "UUID", "device", "modelName", "Hostname"):
        columns[name] = _coded([g[name] for g in gpus], which)
    for name in LABELS:
        columns[name] = _coded([entry.get(name) for entry in labels], label)
    held = np.array([MEMORY_MIB.get(g.node.gpu_model, 0.0) for g in gpu_days])[which]
    memory = np.where(permille > 0, held, 512.0)
    values = (permille / 1_000, _utilization(permille).astype(float), memory, 90 + permille * 0.5)
    columns |= dict(zip(AWS_METRICS, (pa.array(v) for v in values), strict=True))
    pq.write_table(pa.table(columns), path, compression="zstd", row_group_size=1 << 20)
    return path


def _coded(values: list[str | None], code: np.ndarray) -> pa.DictionaryArray:
    distinct = sorted({v for v in values if v is not None})
    position = np.array([-1 if v is None else distinct.index(v) for v in values])[code]
    return pa.DictionaryArray.from_arrays(pa.array(position, pa.int32(), mask=position < 0), pa.array(distinct, pa.string()))


def _matrix(g: GpuDay) -> Iterator[dict[str, Any]]:
    at = g.at.tolist()
    texts = [[f"{v / 1_000:g}" for v in g.permille.tolist()], [str(v) for v in _utilization(g.permille).tolist()]]
    for code, labels in enumerate(g.labels):
        chosen = np.flatnonzero(g.label == code).tolist()
        for metric, text in zip(("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_DEV_GPU_UTIL"), texts, strict=True):
            if chosen:
                identity = {"__name__": metric, "job": "dcgm-exporter", **_gpu_labels(g.node, g.gpu), **labels}
                yield {"metric": identity, "values": [[at[i], text[i]] for i in chosen]}
