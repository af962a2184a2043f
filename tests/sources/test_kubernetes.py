"""Kubernetes objects: what each field of a pod, an owner and a node becomes."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.kubernetes_objects import quantity
from pipelines.source import Delivery
from tests.sources.fixtures import kubernetes as fixture
from tests.sources.fixtures.kubernetes import listed, node, owner, pod
from tests.sources.reading import fetch, reasons

TEN = dt.datetime(2026, 10, 5, 10)
LAST = dt.date(9999, 12, 31)


def rows(delivery: Delivery, table: str, *columns: str) -> list[tuple[Any, ...]]:
    """Columns of one raw table of a delivery, in file order."""
    (file,) = [f for f in delivery.files if f.table == table]
    selected = ", ".join(f'"{c}"' for c in columns)
    return duckdb.execute(f"SELECT {selected} FROM read_parquet(?)", [str(file.path)]).fetchall()  # noqa: S608


def land(tmp_path: Path, text: str, name: str = "all-20261005T120000Z.json", **entry: Any) -> Delivery:
    (tmp_path / "in").mkdir(exist_ok=True)
    (tmp_path / "in" / name).write_text(text)
    (delivery,) = fetch("kubernetes", tmp_path, location=str(tmp_path / "in"), **entry)
    return delivery


def test_lists_and_events_of_a_cluster(tmp_path: Path) -> None:
    morning, noon, watch = fetch("kubernetes", tmp_path, **fixture.write(tmp_path / "in"))
    at = dt.datetime(2026, 10, 5, 10, 15)
    columns = (
        "uid",
        "namespace",
        "name",
        "node_name",
        "owner_kind",
        "owner_name",
        "observed_at",
        "is_listed",
        "gpus",
        "vcpus",
        "memory_gib",
        "phase",
    )
    assert rows(morning, "pods", *columns) == [
        ("p-1", "ml", "train-x1", "node1", "Job", "train", at, True, 2.0, 4.5, 16.0, "Running"),
        ("p-2", "ml", "chat-7f-a", "node1", "ReplicaSet", "chat-7f", at, True, 1.0, 4.5, 16.0, "Running"),
        ("p-3", "gpu-operator", "dcgm-exporter-q", "node1", "DaemonSet", "dcgm-exporter", at, True, None, 4.5, 16.0, "Running"),
    ]
    assert rows(morning, "owners", "kind", "name", "owner_kind", "owner_name") == [
        ("Job", "train", None, None),
        ("ReplicaSet", "chat-7f", "Deployment", "chat"),
    ]
    assert rows(
        morning, "nodes", "hostname", "provider", "resource_id", "gpu_count", "pool", "cluster", "zone", "vcpus", "memory_gib", "aliases"
    ) == [("node1", "aws", "i-0abc", 8, "gpu", "east", "us-east-1a", 96.0, 1152.0, '["ip-10-0-0-1.ec2.internal"]')]
    assert reasons(noon) == {"an object of kind ConfigMap, which tells of no workload": (1, 5)}
    assert rows(watch, "pods", "uid", "event", "is_listed", "observed_at", "resource_version") == [
        ("p-4", "ADDED", False, dt.datetime(2026, 10, 5, 13, 0, 1), 1),
        ("p-4", "DELETED", False, dt.datetime(2026, 10, 5, 13, 30), 8),
    ]
    assert reasons(watch) == {"a bookmark or error of a watch": (1, 2)}
    # what a list lacks may have ended on any day; an event says only what it says
    assert (morning.covers, watch.covers) == ((dt.date(1, 1, 1), LAST), (dt.date(2026, 10, 5), LAST))


def test_only_the_named_environment_becomes_labels(tmp_path: Path) -> None:
    morning, *_ = fetch("kubernetes", tmp_path, **fixture.write(tmp_path / "in"))
    assert rows(morning, "pods", "labels")[0] == ('{"MLFLOW_RUN_ID":"run-7","team":"core"}',)
    for file in (tmp_path / "raw").rglob("*.parquet"):
        assert b"canary" not in file.read_bytes()
    env = [
        {"name": "RUN_ID", "value": "a"},
        {"name": "RUN_ID", "value": "b"},
        {"name": "MLFLOW_RUN_ID", "valueFrom": {"secretKeyRef": {"name": "x"}}},
    ]
    text = listed(pod("a", "u", env=env, labels={"RUN_ID": "own"}), pod("b", "v", env=env))
    delivery = land(tmp_path / "b", text) if (tmp_path / "b").mkdir() is None else None
    assert delivery and rows(delivery, "pods", "labels") == [('{"RUN_ID":"own"}',), ('{"RUN_ID":"a"}',)]


PODS: list[tuple[dict[str, Any], str, Any]] = [
    ({"limits": {"nvidia.com/mig-1g.10gb": "2"}}, "mig_instances", 2.0),
    ({"limits": {"nvidia.com/mig-1g.10gb": 1}}, "mig_profile", "1g.10gb"),
    ({"gpus": 1, "limits": {"nvidia.com/gpucores": "25"}}, "gpu_core_percent", 25.0),
    ({"gpus": 1, "limits": {"nvidia.com/gpumem": "8k"}}, "gpu_memory_mib", 8000.0),
    ({"limits": {"nvidia.com/gpu.shared": "3"}}, "gpus", 3.0),
    ({"annotations": {"gpu-fraction": "0.25"}}, "gpu_fraction", 0.25),
    ({"labels": {"gpu-fraction": "0.5"}}, "gpu_fraction", 0.5),
    (
        {"annotations": {"hami.io/vgpu-devices-allocated": "GPU-0a-1,NVIDIA,3000,30:GPU-0b-2,NVIDIA,3000,30:;"}},
        "gpu_ids",
        '["GPU-0a-1","GPU-0b-2"]',
    ),
    ({"labels": {"ray.io/originated-from-cr-name": "rj", "ray.io/originated-from-crd": "RayJob"}}, "root_kind", "RayJob"),
    ({"labels": {"serving.kserve.io/inferenceservice": "llm", "app": "x"}}, "root_name", "llm"),
    ({"labels": {"training.kubeflow.org/job-name": "pt"}}, "root_kind", "PyTorchJob"),
    ({"labels": {"app": "x"}}, "root_kind", None),
    ({"limits": {"amd.com/gpu": "1"}}, "gpus", None),
    ({"gpus": "many"}, "gpus", None),
]


def test_what_a_pod_asks_for_and_is_part_of(tmp_path: Path) -> None:
    delivery = land(tmp_path, listed(*(pod(f"a{n}", f"u{n}", **more) for n, (more, _, _) in enumerate(PODS))))
    for number, (more, column, value) in enumerate(PODS):
        assert rows(delivery, "pods", column)[number] == (value,), more


def test_init_containers_count_where_they_ask_for_more(tmp_path: Path) -> None:
    one = pod("a", "u", gpus=1)
    one["spec"]["containers"].append({"resources": {"limits": {"nvidia.com/gpu": 2}}})
    more = json.loads(json.dumps(one))
    more["metadata"]["uid"] = "v"
    more["spec"]["initContainers"] = [{"resources": {"limits": {"nvidia.com/gpu": 4}}}, {"resources": {"limits": {"nvidia.com/gpu": 1}}}]
    assert rows(land(tmp_path, listed(one, more)), "pods", "uid", "gpus") == [("u", 3.0), ("v", 4.0)]


def ended(reason: str, code: int = 0) -> dict[str, Any]:
    return {"terminated": {"startedAt": "2026-10-05T10:00:00Z", "finishedAt": "2026-10-05T10:30:00Z", "reason": reason, "exitCode": code}}


def test_starts_ends_and_reasons(tmp_path: Path) -> None:
    half = dt.datetime(2026, 10, 5, 10, 30)
    later = {"running": {"startedAt": "2026-10-05T10:31:00Z"}}
    conditions = [
        {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "lastTransitionTime": "2026-10-05T10:29:00Z"}
    ]
    delivery = land(
        tmp_path,
        listed(
            pod("done", "1", state=ended("Completed"), phase="Succeeded"),
            pod("oom", "2", state=ended("OOMKilled", 137), phase="Failed"),
            pod("restarted", "3", state=later, last=ended("Error", 1), restarts=1),
            pod("often", "4", state=later, last=ended("Error", 1), restarts=5, accepted="2026-10-05T09:00:00Z"),
            pod("looping", "5", state=ended("Error", 1)),  # phase Running: it will be started again
            pod(
                "evicted",
                "6",
                phase="Failed",
                state={},
                status={"reason": "Evicted", "conditions": conditions[:0], "containerStatuses": []},
            ),
            pod(
                "preempted",
                "7",
                phase="Failed",
                deleted="2026-10-05T10:30:30Z",
                state=ended("Error", 143),
                status={"conditions": conditions},
            ),
        ),
    )
    assert rows(delivery, "pods", "name", "container_started_at", "accepted_at", "finished_at", "deletion_at", "reason") == [
        ("done", TEN, TEN, half, None, None),
        ("oom", TEN, TEN, half, None, "OOMKilled"),
        ("restarted", TEN, TEN, None, None, None),
        ("often", None, TEN.replace(hour=9), None, None, None),
        ("looping", TEN, TEN, None, None, "Error"),
        ("evicted", None, TEN, None, None, "Evicted"),
        ("preempted", TEN, TEN, half, half.replace(second=30), "PreemptionByScheduler"),
    ]


NODES: list[tuple[dict[str, str], dict[str, str], tuple[Any, ...]]] = [
    # B22: capacity under time-slicing is GPUs x replicas
    ({"nvidia.com/gpu.count": "2", "nvidia.com/gpu.replicas": "4", "nvidia.com/gpu.sharing-strategy": "time-slicing", "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB-SHARED"},
     {"nvidia.com/gpu": "8"}, (2, "NVIDIA-A100-SXM4-80GB", "time_slicing", 4)),
    ({"cloud.google.com/gke-max-shared-clients-per-gpu": "4", "cloud.google.com/gke-gpu-sharing-strategy": "mps", "cloud.google.com/gke-accelerator": "nvidia-l4"},
     {"nvidia.com/gpu": "8"}, (2, "nvidia-l4", "mps", 4)),
    ({"nvidia.com/gpu.sharing-strategy": "none", "nvidia.com/gpu.replicas": "1"}, {"nvidia.com/gpu": "8"}, (8, None, "none", None)),
    # MIG's single strategy counts instances: 14 of 1g.10gb on 80 GB are 7 a GPU; 8 of 1g.20gb, 4 a GPU (memory); 4 of 3g.40gb, 2 a GPU; on A30 8 of 1g.6gb, 4 a GPU
    ({"nvidia.com/gpu.count": "14", "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB-MIG-1g.10gb"}, {"nvidia.com/gpu": "14"}, (2, "NVIDIA-A100-SXM4-80GB", None, None)),
    ({"nvidia.com/gpu.count": "8", "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB-MIG-1g.20gb"}, {"nvidia.com/gpu": "8"}, (2, "NVIDIA-A100-SXM4-80GB", None, None)),
    ({"nvidia.com/gpu.count": "4", "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3-MIG-3g.40gb"}, {"nvidia.com/gpu": "4"}, (2, "NVIDIA-H100-80GB-HBM3", None, None)),
    ({"nvidia.com/gpu.count": "8", "nvidia.com/gpu.product": "NVIDIA-A30-MIG-1g.6gb"}, {"nvidia.com/gpu": "8"}, (2, "NVIDIA-A30", None, None)),
    ({}, {}, (0, None, None, None)),
]  # fmt: skip


def test_physical_gpus_of_a_node(tmp_path: Path) -> None:
    machines = [node(f"n{i}", f"u{i}", labels=labels, capacity=capacity) for i, (labels, capacity, _) in enumerate(NODES)]
    delivery = land(tmp_path, listed(*machines))
    assert rows(delivery, "nodes", "gpu_count", "gpu_model", "gpu_sharing", "gpu_replicas") == [found for _, _, found in NODES]


@pytest.mark.parametrize(
    ("provider_id", "found"),
    [
        ("gce://proj/us-central1-a/gke-pool-1", ("gcp", "gke-pool-1")),
        ("azure:///subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm1", ("azure", "vm1")),
        ("", (None, "n")),
    ],
)
def test_provider_ids_are_taken_apart(tmp_path: Path, provider_id: str, found: tuple[Any, ...]) -> None:
    assert rows(land(tmp_path, listed(node("n", "u", provider_id=provider_id))), "nodes", "provider", "resource_id") == [found]


def test_a_list_of_one_kind_and_lines_of_objects_say_the_same(tmp_path: Path) -> None:
    one = pod("a", "u", gpus=1)
    bare = {k: v for k, v in one.items() if k not in ("kind", "apiVersion")}
    texts = {
        "a-20261005T120000Z.json": json.dumps({"kind": "PodList", "items": [bare]}),
        "b-20261005T120000Z.jsonl": json.dumps(one) + "\n",
    }
    (tmp_path / "in").mkdir()
    for name, text in texts.items():
        (tmp_path / "in" / name).write_text(text)
    typed, lines = fetch("kubernetes", tmp_path, location=str(tmp_path / "in"))
    columns = [c.name for c in fixture_columns()]
    first, second = rows(typed, "pods", *columns), rows(lines, "pods", *columns)
    assert [r[:2] for r in first] == [(dt.datetime(2026, 10, 5, 12), None)]
    assert [[v for c, v in zip(columns, r, strict=True) if c != "is_listed"] for r in first] == [
        [v for c, v in zip(columns, r, strict=True) if c != "is_listed"] for r in second
    ]


def fixture_columns() -> Any:
    from pipelines.ingestion.kubernetes_pods import PODS

    return PODS.columns


def test_what_cannot_be_used(tmp_path: Path) -> None:
    nameless = pod("a", "u")
    del nameless["metadata"]["uid"]
    delivery = land(tmp_path, listed(nameless, pod("b", "v")), name="pods.json")
    assert rows(delivery, "pods", "uid", "observed_at") == [("v", None)]
    assert reasons(delivery) == {
        "a pod without uid or name": (1, 1),
        "a list whose file name tells no instant: nothing can be seen to be gone from it": (1, 2),
    }
    for text, words in (
        ("", "empty file"),
        ('{"kind": "List", "items": [', "not complete JSON"),
        ('{"kind": "List", "items": [1]}', "not a JSON object"),
    ):
        with pytest.raises(DeliveryRefused, match=words):
            land(tmp_path, text, name="bad.json", include="bad.json")
    assert land(tmp_path, listed(), name="none.json", include="none.json").covers is None


def test_an_owner_tells_its_end_and_its_ray_submission(tmp_path: Path) -> None:
    delivery = land(
        tmp_path,
        listed(
            owner(
                "Job", "j", "1", status={"completionTime": "2026-10-05T10:30:00Z", "conditions": [{"type": "Complete", "status": "True"}]}
            ),
            owner(
                "Job", "f", "2", status={"conditions": [{"type": "Failed", "status": "True", "lastTransitionTime": "2026-10-05T10:30:00Z"}]}
            ),
            owner("RayJob", "r", "3", status={"jobId": "raysubmit_9", "jobStatus": "SUCCEEDED", "endTime": "2026-10-05T10:30:00Z"}),
            owner("RayCluster", "c", "4", owner={"kind": "RayJob", "name": "r", "uid": "3"}),
        ),
    )
    half = dt.datetime(2026, 10, 5, 10, 30)
    assert rows(delivery, "owners", "kind", "state", "ended_at", "job_id", "owner_uid") == [
        ("Job", "Complete", half, None, None),
        ("Job", "Failed", half, None, None),
        ("RayJob", "SUCCEEDED", half, "raysubmit_9", None),
        ("RayCluster", None, None, None, "3"),
    ]


@given(st.integers(0, 10**9), st.integers(0, 999), st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi", "Ti"]))
@settings(max_examples=60, deadline=None)
def test_quantities(whole: int, part: int, suffix: str) -> None:
    powers = {"": 1, "m": Decimal("0.001"), "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
    text = f"{whole}.{part:03d}"
    query = f"SELECT {quantity('x')} FROM (SELECT ? AS x)"  # noqa: S608
    (value,) = duckdb.execute(query, [text + suffix]).fetchone()  # type: ignore[misc]
    assert value == pytest.approx(float(Decimal(text) * powers[suffix]), rel=1e-12)


@given(st.lists(st.tuples(st.sampled_from(["list", "line", "event"]), st.integers(0, 3), st.booleans()), min_size=1, max_size=6))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_object_is_lost_however_files_are_shaped(tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[str, int, bool]]) -> None:
    """Each document is a list of n pods, a pod on a line, or an event; what lands and what is counted is all of it."""
    folder = tmp_path_factory.mktemp("shapes")
    documents, expected, others = [], 0, 0
    for number, (shape, count, odd) in enumerate(parts):
        items = [pod(f"p{number}-{i}", f"u{number}-{i}", gpus=1) for i in range(count if shape == "list" else 1)]
        expected += len(items)
        if odd and shape == "list":
            items.append({"kind": "Secret", "metadata": {"name": "s", "uid": "s"}, "data": {"k": "canary"}})
            others += 1
        document = {
            "list": {"kind": "List", "items": items},
            "line": items[0] if items else {},
            "event": {"type": "ADDED", "object": items[0] if items else {}},
        }[shape]
        documents.append(json.dumps(document))
    delivery = land(folder, "\n".join(documents) + "\n", name="x.jsonl")
    assert len(rows(delivery, "pods", "uid")) == expected
    assert sum(r["rows"] for r in delivery.rejected if "tells of no workload" in r["reason"]) == others
