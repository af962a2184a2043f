"""Which run a second of a GPU belongs to: pods, Slurm jobs, tracker's runs, restarts, repetitions, days, clouds.

Belongs here: identity from Kubernetes, Slurm and MLflow inputs, with "one dollar never reaches two runs". Does not: how a GPU is shared
(case_sharing.py), what a source file's fields mean (tests/sources).

Each GPU-hour is $3.60, $0.001 a second, unless a case says otherwise; whoever holds is fully active, so that all it holds is `used`.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

from tests.gpu_cases.cases import DAY, TEN, Case, Question, Row, charge, gpus, node, run, samples
from tests.oracle.plan import Cluster, Gpu, Node
from tests.sources.fixtures import kubernetes as k8s

BUSY = {"sm_active": "1", "fb_used_mib": "20000"}
IDLE = {"sm_active": "0", "fb_used_mib": "0"}
MINUTE = 60


def at(second: int) -> str:
    return dt.datetime.fromtimestamp(second, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def local(second: int) -> str:
    return at(second).removesuffix("Z")


def sacct(raw: str, name: str, first: int, last: int | None, host: str, tres: str, job_id: str = "", state: str = "COMPLETED") -> str:
    elapsed = "" if last is None else f"{(last - first) // 3600:02d}:{(last - first) // 60 % 60:02d}:{(last - first) % 60:02d}"
    return "|".join([raw, job_id or raw, name, state, local(first), "Unknown" if last is None else local(last), elapsed, host, tres])


def ran(first: int, last: int | None) -> dict[str, Any]:
    """A container's state."""
    if last is None:
        return {"running": {"startedAt": at(first)}}
    return {"terminated": {"startedAt": at(first), "finishedAt": at(last), "reason": "Completed", "exitCode": 0}}


def pod(name: str, uid: str, where: Node, first: int, last: int | None, **more: Any) -> dict[str, Any]:
    phase = "Running" if last is None else "Succeeded"
    return k8s.pod(name, uid, node=where.hostname, start=at(first), state=ran(first, last), phase=phase, namespace="id", **more)


def mlflow(run_id: str, first: int, last: int | None, **tags: str) -> dict[str, Any]:
    info = {"run_id": run_id, "status": "RUNNING" if last is None else "FINISHED", "start_time": first * 1000}
    if last is not None:
        info["end_time"] = last * 1000
    return {"info": info, "data": {"tags": [{"key": k.replace("__", "."), "value": v} for k, v in tags.items()]}}


# ---- Kubernetes

STS = {"kind": "StatefulSet", "name": "w", "uid": "sts"}
reused = node("id-reused")


def a_pod_name_used_again() -> Case:
    """StatefulSet id/w: pod w-0 as uid a 10:00-10:20, as uid b from 10:30. The series carries id/w-0, without a uid, the whole hour and
    is busy: a 1,200 s = $1.20, b 1,800 s = $1.80; between them the label has outlived its pod: $0.60 busy for nobody known."""
    who = "endpoint/id/w"
    labels = {"exported_namespace": "id", "exported_pod": "w-0"}
    cluster = Cluster(
        "id-reused", nodes=[reused], charges=[charge(reused, "3.6")], samples=samples(reused, TEN, TEN + 3600, **BUSY, **labels)
    )
    return Case(
        "a_pod_name_used_again",
        cluster,
        ledger={Row(who, "used"): "3.0", Row(None, "unattributed", "active_unlabelled"): "0.6"},
        questions=[
            Question(
                "select attempt_key, sum(effective_cost)::varchar from published.fct_cost_allocation"
                " where workload_key = 'endpoint/id/w' and stage = 'allocated' group by 1 order by 1",
                [(f"{who}/a", "1.200000000000"), (f"{who}/b", "1.800000000000")],
            )
        ],
        bug="B32",
    )


replicas = node("id-replicas", 2)


def replicas_are_attempts_of_one_endpoint() -> Case:
    """Two pods of Deployment id/chat, known by their ReplicaSet and its template hash, on one GPU each: $1.80 a replica. The exporter's own pod stands in
    the plain labels, the workload's in the exported ones; the exporter owns nothing."""
    who = "endpoint/id/chat"
    own = {"namespace": "gpu-operator", "pod": "dcgm-exporter-x", "container": "exporter", "exported_namespace": "id"}
    seen = [s for i in (0, 1) for s in samples(replicas, TEN, TEN + 3600, i, **BUSY, **own, exported_pod=f"chat-7f-{i}")]
    return Case(
        "replicas_are_attempts_of_one_endpoint",
        Cluster("id-replicas", nodes=[replicas], charges=[charge(replicas, "3.6")], samples=seen),
        ledger={Row(who, "used"): "3.6"},
        questions=[
            Question(
                "select workload_type, attempt_count, is_registered from published.dim_workload where workload_id = 'id/chat'",
                [("endpoint", 2, True)],
            ),
            Question(
                "select count(*) from published.dim_workload where workload_id like '%exporter%' or workload_id like '%id-dcgm%'", [(0,)]
            ),
        ],
        bug="B27",
    )


labelled = node("id-labelled", 2)


def a_pods_run_is_what_its_labels_say() -> Case:
    """Job id/j's pod bears MLFLOW_RUN_ID=id-m1 in its environment: the run is id-m1. Job id/k's pod bears run_id=id-m2, which two trackers
    know: one run, $1.80, with the team that one of them names and the project that the other names."""
    seen = samples(labelled, TEN, TEN + 3600, 0, **BUSY, exported_namespace="id", exported_pod="j-x")
    seen += samples(labelled, TEN, TEN + 3600, 1, **BUSY, exported_namespace="id", exported_pod="k-x")
    return Case(
        "a_pods_run_is_what_its_labels_say",
        Cluster("id-labelled", nodes=[labelled], charges=[charge(labelled, "3.6")], samples=seen),
        ledger={Row("training_run/id-m1", "used"): "1.8", Row("training_run/id-m2", "used"): "1.8"},
        questions=[
            Question(
                "select run_id, team, project from published.fct_run_cost where run_id in ('id-m1', 'id-m2') order by 1",
                [("id-m1", None, None), ("id-m2", "vision", "P")],
            )
        ],
    )


# a node that only Kubernetes tells of: 1 GPU in 4 slots
sliced = Node("id-sliced-n", "i-id-sliced", gpus("id-sliced"), 1, is_known=False)


def four_slots_of_one_gpu() -> Case:
    """The node's capacity says nvidia.com/gpu: 4; it has one GPU in four slots. Four pods ask for one each and each series is a copy of the device's value:
    a quarter of $3.60 each, told apart by nothing that the driver measures."""
    seen = [
        s
        for i in range(4)
        for s in samples(sliced, TEN, TEN + 3600, **BUSY, exported_namespace="id", exported_pod=f"slice-{i}", vgpu=str(i))
    ]
    rows = {Row(f"job/id/slice-{i}", "used", sharing="time_slicing", is_unmeasured=True): "0.9" for i in range(4)}
    return Case(
        "four_slots_of_one_gpu", Cluster("id-sliced", nodes=[sliced], charges=[charge(sliced, "3.6")], samples=seen), ledger=rows, bug="B22"
    )


parted = Node("id-parted-n", "i-id-parted", (Gpu("GPU-1d-0", 0, "00000000:10:00.0", "NVIDIA A100-SXM4-80GB"),), 1, ((TEN, TEN + 3600),))


def three_quarters_by_hami() -> Case:
    """Three pods of 25 % (nvidia.com/gpucores: 25) on one GPU that an annotation names: $0.90 each, and a quarter that nobody asked for."""
    seen = samples(parted, TEN, TEN + 3600, **BUSY)
    rows = {Row(f"job/id/quarter-{i}", "used", sharing="fractional", is_unmeasured=True): "0.9" for i in range(3)}
    rows[Row(None, "unallocated_idle", "unrequested_share", sharing="fractional", is_unmeasured=True)] = "0.9"
    return Case(
        "three_quarters_by_hami",
        Cluster("id-parted", nodes=[parted], charges=[charge(parted, "3.6")], samples=seen),
        ledger=rows,
        bug="B23",
    )


# ---- Slurm

array = node("id-array", 2)


def array_tasks_and_steps_in_any_spelling() -> Case:
    """Task 7200_3 is job 7203; GPU 0 is labelled with its step 7203.0, then with 7200_3.batch: one job, $1.80. GPU 1 is labelled 7200: the raw id of task
    7200_9, never the array's: $1.80."""
    seen = samples(array, TEN, TEN + 1800, 0, **BUSY, hpc_job="7203.0") + samples(
        array, TEN + 1800, TEN + 3600, 0, **BUSY, hpc_job="7200_3.batch"
    )
    seen += samples(array, TEN, TEN + 3600, 1, **BUSY, hpc_job="7200")
    return Case(
        "array_tasks_and_steps_in_any_spelling",
        Cluster("id-array", nodes=[array], charges=[charge(array, "3.6")], samples=seen),
        ledger={Row("training_run/id-task3", "used"): "1.8", Row("training_run/id-task9", "used"): "1.8"},
    )


gap = node("id-gap")


def an_hour_lost_to_a_repeated_job_id() -> Case:
    """A repeated id in the job map breaks the exporter's page at 10:30. The job has the whole node: what was seen and 120 s of fill, 1,920 s = $1.92, are
    used; 1,680 s = $1.68 are its own, unknown: the bill is whole and coverage says how much was seen."""
    return Case(
        "an_hour_lost_to_a_repeated_job_id",
        Cluster("id-gap", nodes=[gap], charges=[charge(gap, "3.6")], samples=samples(gap, TEN, TEN + 1800, **BUSY, hpc_job="7500")),
        ledger={Row("training_run/id-gap", "used"): "1.92", Row("training_run/id-gap", "unknown", "no_samples"): "1.68"},
        bug="B31",
    )


# ---- trackers

turns = node("id-turns")


def child_runs_in_turn_within_one_job() -> Case:
    """Slurm job 7300 has the GPU from 10:00 to 11:00. MLflow run id-p (its whole length) names it; its children id-a (10:10-10:30) and id-b (10:30-10:50) name none
    and are where their parent is. Children before parents: a $1.20, b $1.20, p the 1,200 s around them, $1.20. The parent's roll-up is a sum over dim_workload."""
    return Case(
        "child_runs_in_turn_within_one_job",
        Cluster("id-turns", nodes=[turns], charges=[charge(turns, "3.6")], samples=samples(turns, TEN, TEN + 3600, **BUSY, hpc_job="7300")),
        ledger={Row(f"training_run/id-{r}", "used"): "1.2" for r in "pab"},
        questions=[
            Question(
                "with recursive family as (select workload_key from published.dim_workload where workload_key = 'training_run/id-p'"
                " union select child.workload_key from published.dim_workload as child"
                " inner join family on child.parent_workload_key = family.workload_key)"
                " select sum(run_cost_usd)::varchar, count(*) from published.fct_run_cost"
                " where workload_key in (select workload_key from family)",
                [("3.600000000000", 3)],
            ),
            Question("select count(*) from published.dim_workload where workload_id = 'id-batch'", [(0,)]),
        ],
    )


rivals = node("id-rivals")


def two_runs_claim_one_job() -> Case:
    """Runs id-c (10:00-11:00) and id-d (10:30-11:00) both name job 7600: the later start has its 1,800 s, $1.80; before it id-c has $1.80. Told once."""
    return Case(
        "two_runs_claim_one_job",
        Cluster(
            "id-rivals", nodes=[rivals], charges=[charge(rivals, "3.6")], samples=samples(rivals, TEN, TEN + 3600, **BUSY, hpc_job="7600")
        ),
        ledger={Row("training_run/id-c", "used"): "1.8", Row("training_run/id-d", "used"): "1.8"},
        questions=[
            Question(
                "select subject, measured_value from published.fct_data_quality where measure = 'jobs_claimed_by_two_runs' and subject like '%/id-%'",
                [("training_run/id-d", 1)],
            )
        ],
    )


twice = node("id-twice", 2)


def one_job_told_by_two_sources() -> Case:
    """The file of intervals says that run id-twice had GPU 0 from 10:00 to 11:00, as job 7400; sacct tells of job 7400 from 10:00:05 on, one GPU. It is one holding:
    GPU 0, $1.80. Slurm's telling is counted and takes no second GPU: GPU 1 is idle, $1.80."""
    seen = samples(twice, TEN, TEN + 3600, 0, **BUSY) + samples(twice, TEN, TEN + 3600, 1, **IDLE)
    cluster = Cluster("id-twice", nodes=[twice], charges=[charge(twice, "3.6")], samples=seen)
    cluster.intervals = [run("id-twice", twice, gpu_ids=("0",), hpc_job="7400")]
    return Case(
        "one_job_told_by_two_sources",
        cluster,
        ledger={Row("training_run/id-twice", "used"): "1.8", Row(None, "unallocated_idle"): "1.8"},
        questions=[
            Question(
                "select subject, measured_value from published.fct_data_quality where measure = 'intervals_told_by_two_sources' and subject like '%/id-%'",
                [("training_run/id-twice-job", 1)],
            )
        ],
    )


# ---- time

restarted = node("id-restarted", 2)


def a_restart_and_a_neighbour() -> Case:
    """Run id-x on GPU 0: attempt 1 10:00-10:20, attempt 2 10:30-11:00, $0.60 + $0.90; in between $0.30 idle. Run id-y has GPU 1 beside it: $1.80."""
    seen = samples(restarted, TEN, TEN + 1200, 0, **BUSY) + samples(restarted, TEN + 1200, TEN + 1800, 0, **IDLE)
    seen += samples(restarted, TEN + 1800, TEN + 3600, 0, **BUSY) + samples(restarted, TEN, TEN + 3600, 1, **BUSY)
    cluster = Cluster("id-restarted", nodes=[restarted], charges=[charge(restarted, "3.6")], samples=seen)
    cluster.intervals = [
        run("id-x", restarted, TEN, TEN + 1200, "1", gpu_ids=("0",), state="FAILED"),
        run("id-x", restarted, TEN + 1800, TEN + 3600, "2", gpu_ids=("0",)),
        run("id-y", restarted, gpu_ids=("1",)),
    ]
    return Case(
        "a_restart_and_a_neighbour",
        cluster,
        ledger={Row("training_run/id-x", "used"): "1.5", Row("training_run/id-y", "used"): "1.8", Row(None, "unallocated_idle"): "0.3"},
        questions=[
            Question(
                "select attempt_id, run_cost_usd::varchar from published.fct_run_attempt_cost where workload_key = 'training_run/id-x' order by 1",
                [("1", "0.600000000000"), ("2", "0.900000000000")],
            )
        ],
    )


night = node("id-night", 1, DAY - 3600, DAY + 3600)


def a_run_over_midnight() -> Case:
    """23:30 to 00:30: $1.80 on each day; before and after it the GPU is idle. One run, one attempt, two days."""
    seen = (
        samples(night, DAY - 3600, DAY - 1800, **IDLE)
        + samples(night, DAY - 1800, DAY + 1800, **BUSY)
        + samples(night, DAY + 1800, DAY + 3600, **IDLE)
    )
    cluster = Cluster("id-night", nodes=[night], charges=[charge(night, "3.6", DAY - 3600), charge(night, "3.6", DAY)], samples=seen)
    cluster.intervals = [run("id-night", night, DAY - 1800, DAY + 1800, gpu_ids=("0",))]
    return Case(
        "a_run_over_midnight",
        cluster,
        ledger={Row("training_run/id-night", "used"): "3.6", Row(None, "unallocated_idle"): "3.6"},
        questions=[
            Question(
                "select usage_date::varchar, sum(effective_cost)::varchar from published.fct_cost_allocation where workload_key = 'training_run/id-night'"
                " group by 1 order by 1",
                [("2026-10-05", "1.800000000000"), ("2026-10-06", "1.800000000000")],
            ),
            Question("select attempt_count, held_gpu_hours from published.fct_run_cost where run_id = 'id-night'", [(1, 1.0)]),
        ],
    )


killed = node("id-killed", 1, TEN, TEN + 1800)


def a_run_that_never_ends_on_a_node_that_was_killed() -> Case:
    """The node is valid and billed from 10:00 to 10:30: $1.80. Run id-open, with a count and no end, pays all of it: an open interval
    holds to the end of the day, 14 h, of which 48,600 s are unbilled and cost nothing. MLflow's run id-ghost, RUNNING for ever without naming a machine, holds nothing
    anywhere."""
    cluster = Cluster(
        "id-killed", nodes=[killed], charges=[charge(killed, "1.8", hours="0.5")], samples=samples(killed, TEN, TEN + 1800, **BUSY)
    )
    cluster.intervals = [run("id-open", killed, TEN, None, gpu_count=1)]
    return Case(
        "a_run_that_never_ends_on_a_node_that_was_killed",
        cluster,
        ledger={Row("training_run/id-open", "used"): "1.8"},
        questions=[
            Question("select count(*) from published.fct_cost_allocation where workload_key = 'training_run/id-ghost'", [(0,)]),
            Question(
                "select held_gpu_seconds::varchar, held_unbilled_seconds::varchar from published.fct_run_cost where run_id = 'id-open'",
                [("50400.000000", "48600.000000")],
            ),
            Question("select ended_at, state from published.dim_workload where workload_id = 'id-ghost'", [(None, "running")]),
        ],
    )


aws_part = node("id-aws")
other_part = Node("id-gcp-n", "id-gcp-vm", gpus("id-gcp"), 1, ((TEN, TEN + 3600),), provider="id-gcp-cloud", pool="id-gcp-pool")


def one_run_on_two_clouds() -> Case:
    """Run id-both has an AWS node ($3.60 by the bill) and a node of another provider whose rate card is the bill ($2.00 an hour): $5.60, its ledger rows from two sources."""
    cluster = Cluster(
        "id-both",
        nodes=[aws_part, other_part],
        charges=[charge(aws_part, "3.6")],
        samples=samples(aws_part, TEN, TEN + 3600, **BUSY) + samples(other_part, TEN, TEN + 3600, **BUSY),
    )
    cluster.intervals = [run("id-both", aws_part, gpu_ids=("0",), attempt="a"), run("id-both", other_part, gpu_ids=("0",), attempt="b")]
    return Case(
        "one_run_on_two_clouds",
        cluster,
        ledger={Row("training_run/id-both", "used"): "3.6"},
        questions=[
            Question(
                "select run_cost_usd::varchar, attempt_count from published.fct_run_cost where run_id = 'id-both'", [("5.600000000000", 2)]
            ),
            Question(
                "select source, sum(effective_cost)::varchar from published.fct_cost_allocation where workload_key = 'training_run/id-both' group by 1 order by 1",
                [("bill", "3.600000000000"), ("id-rates", "2.000000000000")],
            ),
        ],
    )


law = node("id-law")


def no_second_is_held_twice() -> Case:
    """Over every case of the night: a second of a unit that is not shared has one holder at most; a ledger row has one workload; a workload that a label names
    is not also `unregistered`."""
    cluster = Cluster("id-law", nodes=[law], charges=[charge(law, "3.6")], samples=samples(law, TEN, TEN + 3600, **IDLE))
    return Case(
        "no_second_is_held_twice",
        cluster,
        ledger={Row(None, "unallocated_idle"): "3.6"},
        questions=[
            Question(
                "select count(*) from intermediate.int_gpu_segments a join intermediate.int_gpu_segments b using (usage_date, unit_key)"
                " where a.attempt_key <> b.attempt_key and a.from_second < b.to_second and b.from_second < a.to_second"
                " and (a.sharing in ('none', 'mig') or b.sharing in ('none', 'mig'))",
                [(0,)],
            ),
            Question(
                "select count(*) from published.fct_cost_allocation where attempt_key is not null and not starts_with(attempt_key, workload_key)",
                [(0,)],
            ),
        ],
    )


CASES = [
    a_pod_name_used_again(),
    replicas_are_attempts_of_one_endpoint(),
    a_pods_run_is_what_its_labels_say(),
    four_slots_of_one_gpu(),
    three_quarters_by_hami(),
    array_tasks_and_steps_in_any_spelling(),
    an_hour_lost_to_a_repeated_job_id(),
    child_runs_in_turn_within_one_job(),
    two_runs_claim_one_job(),
    one_job_told_by_two_sources(),
    a_restart_and_a_neighbour(),
    a_run_over_midnight(),
    a_run_that_never_ends_on_a_node_that_was_killed(),
    one_run_on_two_clouds(),
    no_second_is_held_twice(),
]


def sources(folder: Path) -> list[str]:
    """A cluster's watch and list, an accounting file, a tracker's runs and a rate card."""
    kube, slurm, tracker, other, rates = (folder / f"id-{name}" for name in ("kube", "slurm", "mlflow", "other", "rates"))
    for path in (kube, slurm, tracker, other, rates):
        path.mkdir(parents=True, exist_ok=True)
    deployed = {"kind": "ReplicaSet", "name": "chat-7f", "uid": "rs"}
    first = pod("w-0", "a", reused, TEN, None, gpus=1, owner=STS)
    hami = {"hami.io/vgpu-devices-allocated": "GPU-1d-0,NVIDIA,20000,25:;"}
    slicing = {"nvidia.com/gpu.count": "1", "nvidia.com/gpu.replicas": "4", "nvidia.com/gpu.sharing-strategy": "time-slicing"}
    machine = k8s.node(
        sliced.hostname,
        "sliced",
        provider_id="aws:///us-east-1a/i-id-sliced",
        created=at(TEN),
        labels=slicing,
        capacity={"nvidia.com/gpu": "4"},
    )
    morning = [
        first,
        machine,
        *(pod(f"chat-7f-{i}", f"r{i}", replicas, TEN, None, gpus=1, owner=deployed, labels={"pod-template-hash": "7f"}) for i in (0, 1)),
    ]
    (kube / f"all-{at(TEN + 300).replace(':', '').replace('-', '')}.json").write_text(k8s.listed(*morning))
    ended = pod("w-0", "a", reused, TEN, TEN + 1200, gpus=1, owner=STS, version="5")
    last = TEN + 3600
    later = [
        pod("w-0", "b", reused, TEN + 1800, last, gpus=1, owner=STS),
        *(pod(f"chat-7f-{i}", f"r{i}", replicas, TEN, last, gpus=1, owner=deployed, labels={"pod-template-hash": "7f"}) for i in (0, 1)),
        pod(
            "j-x",
            "jx",
            labelled,
            TEN,
            last,
            gpus=1,
            owner={"kind": "Job", "name": "j", "uid": "j"},
            env=[{"name": "MLFLOW_RUN_ID", "value": "id-m1"}],
        ),
        pod("k-x", "kx", labelled, TEN, last, gpus=1, owner={"kind": "Job", "name": "k", "uid": "k"}, labels={"run_id": "id-m2"}),
        pod("id-dcgm-x", "ex", labelled, TEN, None, owner={"kind": "DaemonSet", "name": "dcgm-exporter", "uid": "ds"}),
        *(pod(f"slice-{i}", f"s{i}", sliced, TEN, last, gpus=1) for i in range(4)),
        *(
            pod(f"quarter-{i}", f"q{i}", parted, TEN, last, gpus=1, limits={"nvidia.com/gpucores": "25"}, annotations=hami)
            for i in range(3)
        ),
    ]
    events = [
        {"type": "DELETED", "object": ended, "timestamp": at(TEN + 1230)},
        *({"type": "MODIFIED", "object": o, "timestamp": at(last)} for o in later),
    ]
    (kube / "watch.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
    jobs = [
        sacct("7203", "id-task3", TEN, last, array.hostname, "cpu=8,gres/gpu=1,mem=8G", "7200_3"),
        sacct("7203.0", "python", TEN, last, array.hostname, "cpu=8,gres/gpu=1", "7200_3.0"),
        sacct("7200", "id-task9", TEN, last, array.hostname, "gres/gpu:a100=1", "7200_9"),
        sacct("7500", "id-gap", TEN, last, gap.hostname, "gres/gpu=1"),
        sacct("7300", "id-batch", TEN, last, turns.hostname, "gres/gpu=1"),
        sacct("7600", "id-rival-job", TEN, last, rivals.hostname, "gres/gpu=1"),
        sacct("7400", "id-twice-job", TEN + 5, last, twice.hostname, "gres/gpu=1"),
    ]
    header = "JobIDRaw|JobID|JobName|State|Start|End|Elapsed|NodeList|AllocTRES"
    (slurm / "sacct.txt").write_text("\n".join([header, *jobs]) + "\n")
    runs = [
        mlflow("id-p", TEN, last, slurm_job_id="7300"),
        mlflow("id-a", TEN + 10 * MINUTE, TEN + 30 * MINUTE, mlflow__parentRunId="id-p"),
        mlflow("id-b", TEN + 30 * MINUTE, TEN + 50 * MINUTE, mlflow__parentRunId="id-p"),
        mlflow("id-c", TEN, last, slurm_job_id="7600"),
        mlflow("id-d", TEN + 1800, last, slurm_job_id="7600.0"),
        mlflow("id-m2", TEN, last, team="Vision"),
        mlflow("id-ghost", TEN, None, mlflow__user="ann"),
    ]
    (tracker / "runs.json").write_text(json.dumps({"runs": runs}))
    (other / "runs.json").write_text(json.dumps({"runs": [mlflow("id-m2", TEN + 60, last, project="P")]}))
    (rates / "rates.csv").write_text(
        "provider,gpu_model,pool,rate_unit,hourly_rate,currency,is_bill\nid-gcp-cloud,,id-gcp-pool,node_hour,2,,yes\n"
    )
    return [
        f"{{name: id-kube, kind: kubernetes, location: '{kube}'}}",
        f"{{name: id-slurm, kind: slurm, location: '{slurm}'}}",
        f"{{name: id-mlflow, kind: mlflow, location: '{tracker}'}}",
        f"{{name: id-other, kind: mlflow, location: '{other}'}}",
        f"{{name: id-rates, kind: rate_card, location: '{rates}'}}",
    ]
