"""Writes planned clusters as the inputs that the pipeline reads: a bill, an inventory, intervals and telemetry files.

Belongs here: file formats only. What is written is what the plan objects say, nothing is decided here.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tests.oracle.plan import Cluster, Sample
from tests.sources.fixtures import aws_cur

EXPORT = "bill"
SHIPPED_POLICY = Path(__file__).parents[2] / "policy.yml"
BILL_COLUMNS = (
    "identity_line_item_id", "bill_invoice_id", "bill_payer_account_id", "bill_billing_period_start_date", "line_item_usage_account_id",
    "line_item_line_item_type", "line_item_usage_start_date", "line_item_usage_end_date", "line_item_product_code", "line_item_operation",
    "line_item_resource_id", "line_item_usage_type", "line_item_usage_amount", "line_item_currency_code", "line_item_unblended_cost",
    "pricing_public_on_demand_cost", "savings_plan_savings_plan_a_r_n", "savings_plan_savings_plan_effective_cost", "resource_tags",
)  # fmt: skip
SAMPLE_LABELS = {
    "Hostname": "hostname", "UUID": "uuid", "gpu": "index", "pci_bus_id": "pci", "instance": "exporter", "namespace": "namespace", "pod": "pod",
    "pod_uid": "pod_uid", "hpc_job": "hpc_job", "modelName": "gpu_model", "GPU_I_PROFILE": "mig_profile", "GPU_I_ID": "mig_instance_id",
    "vgpu": "vgpu", "exported_namespace": "exported_namespace", "exported_pod": "exported_pod", "container": "container",
}  # fmt: skip
METRICS = {
    "DCGM_FI_PROF_SM_ACTIVE": "sm_active", "DCGM_FI_PROF_GR_ENGINE_ACTIVE": "gr_engine_active", "DCGM_FI_DEV_GPU_UTIL": "gpu_util",
    "DCGM_FI_DEV_FB_USED": "fb_used_mib", "DCGM_FI_DEV_POWER_USAGE": "power_w", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": "energy_mj",
}  # fmt: skip
INTERVAL_COLUMNS = (
    "workload_type", "workload_id", "attempt_id", "started_at", "ended_at", "state", "hostname", "gpu_ids", "gpu_count", "namespace", "pod",
    "pod_uid", "hpc_job", "labels", "vcpus", "memory_gib", "parent_workload_id",
)  # fmt: skip


def utc(second: int) -> str:
    """ISO 8601 in UTC."""
    return dt.datetime.fromtimestamp(second, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """One CSV file; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def write_inputs(folder: Path, clusters: Sequence[Cluster], *, policy: Mapping[str, Any] | None = None, extra: Sequence[str] = ()) -> Path:
    """Write every input of ``clusters`` and an ``apportion.yml`` that reads them; return ``folder``.

    ``policy``: top-level keys of the policy file that differ from the shipped one (such as ``sharing``), beside the clusters' own rules.
    ``extra``: YAML flow mappings of
    further sources.
    """
    write_bill(folder / "bill", [row for cluster in clusters for row in bill_rows(cluster)])
    write_nodes(folder / "nodes" / "nodes.csv", clusters)
    write_intervals(folder / "workloads" / "intervals.csv", clusters)
    slots = sorted({cluster.slot_seconds for cluster in clusters})
    for slot in slots:
        write_telemetry(folder / f"telemetry-{slot}", [c for c in clusters if c.slot_seconds == slot])
    write_settings(folder, slots, policy={**policy_of(clusters), **(policy or {})}, extra=extra)
    return folder


def policy_of(clusters: Sequence[Cluster]) -> dict[str, Any]:
    """The clusters' rules as the policy file has them; without a rule no key."""
    rules = {name: [rule for c in clusters for rule in getattr(c, name)] for name in ("sharing", "node_split")}
    return {
        name: [{k: v for k, v in asdict(rule).items() if v not in ("", None)} for rule in found] for name, found in rules.items() if found
    }


def write_settings(
    folder: Path, slots: Sequence[int], *, extra: Sequence[str] = (), engine: str = "", policy: Mapping[str, Any] | None = None
) -> None:
    """An ``apportion.yml``; ``extra`` are further YAML flow mappings of sources, ``engine`` a flow mapping of engine limits, ``policy`` what
    differs from the shipped policy."""
    lines = [
        "sources:",
        f"- {{name: bill, kind: aws_cur, location: ./bill, export: {EXPORT}}}",
        "- {name: inventory, kind: nodes, location: ./nodes}",
        "- {name: intervals, kind: workloads, location: ./workloads}",
        *(f"- {{name: dcgm-{slot}, kind: dcgm, location: ./telemetry-{slot}, slot_seconds: {slot}}}" for slot in slots),
        *(f"- {entry}" for entry in extra),
        *([f"engine: {engine}"] if engine else []),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    if policy:
        shipped = yaml.safe_load(SHIPPED_POLICY.read_text(encoding="utf-8"))
        (folder / "policy.yml").write_text(yaml.safe_dump({**shipped, **policy}, sort_keys=False), encoding="utf-8")
        lines.append("policy: ./policy.yml")
    (folder / "apportion.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def bill_rows(cluster: Cluster) -> list[dict[str, Any]]:
    """CUR 2.0 rows of the cluster's charges."""
    rows = []
    for number, charge in enumerate(cluster.charges):
        start = dt.datetime.fromtimestamp(charge.hour, dt.UTC)
        rows.append(
            {
                "identity_line_item_id": f"{cluster.name}-{number}",
                "bill_invoice_id": "",
                "bill_payer_account_id": "111122223333",
                "bill_billing_period_start_date": start.strftime("%Y-%m-01T00:00:00.000Z"),
                "line_item_usage_account_id": "444455556666",
                "line_item_line_item_type": charge.line_type,
                "line_item_usage_start_date": utc(charge.hour),
                "line_item_usage_end_date": utc(charge.hour + 3600),
                "line_item_product_code": "AmazonEC2",
                "line_item_operation": charge.operation,
                "line_item_resource_id": charge.resource_id,
                "line_item_usage_type": charge.usage_type,
                "line_item_usage_amount": charge.usage_hours,
                "line_item_currency_code": "USD",
                "line_item_unblended_cost": charge.unblended,
                "pricing_public_on_demand_cost": charge.list_cost,
                "savings_plan_savings_plan_a_r_n": "arn:plan" if charge.line_type.startswith("SavingsPlan") else "",
                "savings_plan_savings_plan_effective_cost": charge.plan_effective,
                "resource_tags": {},
            }
        )
    return rows


def write_bill(folder: Path, rows: Sequence[dict[str, Any]], period: str = "2026-10") -> None:
    """One billing period of a CUR 2.0 export that overwrites itself."""
    aws_cur.put_folder(
        folder, aws_cur.export_objects([aws_cur.csv_gz(rows, BILL_COLUMNS)], export=EXPORT, period=period, uri="s3://bills/")
    )


def write_nodes(path: Path, clusters: Sequence[Cluster]) -> None:
    """The inventory: one row for each validity stretch of each node. Each cluster is a provider of its own: its bill comes by itself."""
    rows = []
    for cluster, node in ((c, n) for c in clusters for n in c.nodes):
        gpus = (
            json.dumps([{"uuid": g.uuid, "index": g.index, "pci_bus_id": g.pci, "model": g.model} for g in node.gpus])
            if node.lists_gpus
            else ""
        )
        for first, last in node.validity or ((None, None),):
            rows.append(
                [node.hostname, node.provider or cluster.name, node.resource_id, node.gpu_count, node.gpu_model, node.vcpus, node.memory_gib,
                 node.pool, utc(first) if first is not None else "", utc(last) if last is not None else "", gpus, node.gpu_sharing,
                 "" if node.gpu_replicas is None else node.gpu_replicas, node.labels, node.zone, node.cluster]
            )  # fmt: skip
    columns = [
        "hostname",
        "provider",
        "resource_id",
        "gpu_count",
        "gpu_model",
        "vcpus",
        "memory_gib",
        "pool",
        "valid_from",
        "valid_to",
        "gpus",
        "gpu_sharing",
        "gpu_replicas",
        "labels",
        "zone",
        "cluster",
    ]
    write_csv(path, columns, rows)


def write_intervals(path: Path, clusters: Sequence[Cluster]) -> None:
    """Workload intervals."""
    rows = [
        [i.workload_type, i.workload_id, i.attempt_id, utc(i.start), utc(i.end) if i.end is not None else "", i.state, i.hostname,
         json.dumps(list(i.gpu_ids)) if i.gpu_ids else "", "" if i.gpu_count is None else i.gpu_count, i.namespace, i.pod, i.pod_uid, i.hpc_job,
         i.labels, i.vcpus, i.memory_gib, i.parent_workload_id]
        for c in clusters
        for i in c.intervals
    ]  # fmt: skip
    write_csv(path, INTERVAL_COLUMNS, rows)


def write_telemetry(folder: Path, clusters: Sequence[Cluster]) -> None:
    """Two files for each shape in use; every second sample goes to the second file, in the plan's (not time's) order."""
    shapes: dict[str, list[Sample]] = defaultdict(list)
    for cluster in clusters:
        shapes[cluster.shape] += cluster.samples
    for shape, samples in sorted(shapes.items()):
        for part in (0, 1):
            write_samples(folder, f"{shape}-{part}", shape, samples[part::2])


def write_samples(folder: Path, name: str, shape: str, samples: Sequence[Sample]) -> None:
    """One telemetry file: ``wide_csv``, ``long_csv``, ``wide_parquet`` or ``long_parquet``."""
    folder.mkdir(parents=True, exist_ok=True)
    if shape.startswith("wide"):
        columns = ["timestamp", *SAMPLE_LABELS, *METRICS]
        rows = [
            [_instant(s), *(getattr(s, f) for f in SAMPLE_LABELS.values()), *(getattr(s, f) for f in METRICS.values())] for s in samples
        ]
    else:
        columns = ["timestamp", *SAMPLE_LABELS, "metric", "value"]
        rows = [
            [_instant(s), *(getattr(s, f) for f in SAMPLE_LABELS.values()), metric, value]
            for s in samples
            for metric, value in [("DCGM_FI_DEV_SM_CLOCK", "1410"), *((m, getattr(s, f)) for m, f in METRICS.items())]
            if value != ""
        ]
    if shape.endswith("csv"):
        write_csv(folder / f"{name}.csv", columns, rows)
        return
    numbers = {*METRICS, "value"}
    arrays = {}
    for position, column in enumerate(columns):
        values = [row[position] for row in rows]
        if column == "timestamp":
            arrays[column] = (
                pa.array([s.replace("Z", "") for s in values]).cast(pa.timestamp("us")) if values else pa.array([], pa.timestamp("us"))
            )
        elif column in numbers:
            arrays[column] = pa.array([None if v == "" else float(v) for v in values], pa.float64())
        else:
            arrays[column] = pa.array(values, pa.string())
    pq.write_table(pa.table(arrays), folder / f"{name}.parquet")


def _instant(sample: Sample) -> str:
    second, micros = divmod(sample.micros, 1_000_000)
    return dt.datetime.fromtimestamp(second, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{micros:06d}Z"
