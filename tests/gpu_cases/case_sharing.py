"""Several holders of one GPU: time slicing, MPS, vGPU and fractional requests (sharing's rules R3, R4 and R6 of docs/sharing.md).

Belongs here: worked cases of who holds how much of a shared GPU. Does not: MIG (case_mig.py), activity, idle reasons.

Every node costs $3.60 an hour and has one GPU unless said otherwise: $0.001 a second. Activity is 1 where the figures are of the shares alone.
"""

from __future__ import annotations

from tests.gpu_cases.cases import TEN, Case, Question, Row, charge, node, run, samples
from tests.oracle.plan import Cluster, Node, Sample

ELEVEN = TEN + 3600
HALF = TEN + 1800

SHARING = [
    {"hostname": "b25-n", "strategy": "time_slicing"},
    {"hostname": "mps-n", "strategy": "mps"},
    {"hostname": "memory-n", "strategy": "time_slicing", "split": "memory"},
    {"hostname": "copied-n", "strategy": "time_slicing", "split": "memory"},
    {"hostname": "process-n", "strategy": "mps", "split": "process_utilization"},
    {"hostname": "turns-n", "strategy": "time_slicing"},
    {"hostname": "notshared-n", "strategy": "none"},
]


def pods(at: Node, count: int, first: int = TEN, last: int = ELEVEN, **values: str) -> list[Sample]:
    """The device's sample, copied to pods <node>-0, <node>-1, ... of namespace ml."""
    name = at.hostname.removesuffix("-n")
    return [s for n in range(count) for s in samples(at, first, last, namespace="ml", pod=f"{name}-{n}", **{"sm_active": "1", **values})]


def pod(name: str) -> str:
    return f"unregistered/pod/ml/{name}"


def time_sliced_pods() -> Case:
    """Four replicas, four pods: a quarter each, 3.6 / 4 = $0.90. The label never multiplies the price."""
    at = node("b22", gpu_sharing="time_slicing", gpu_replicas=4)
    cluster = Cluster("b22", nodes=[at], charges=[charge(at, "3.6")], samples=pods(at, 4))
    return Case(
        "four_time_sliced_pods_sum_to_one_gpu_hour",
        cluster,
        ledger={Row(pod(f"b22-{n}"), "used", None, "time_slicing", True): "0.9" for n in range(4)},
        questions=[
            Question(
                "select sum(gpu_seconds)::varchar from published.fct_cost_allocation where resource_id = 'i-b22'",
                [("3600.000000",)],
            ),
            Question(
                "select held_seconds::varchar, holder_count from published.fct_gpu_utilization where node = 'b22-n' and cost_usd > 0",
                [("3600.000000", 4)],
            ),
        ],
        bug="B22",
    )


def four_quarters() -> Case:
    """Four intervals name the GPU and ask for 0.25 of it: 4 x 0.25 = 1, $0.90 each."""
    at = node("b23four")
    cluster = Cluster("b23four", nodes=[at], charges=[charge(at, "3.6")], samples=samples(at, TEN, ELEVEN, sm_active="1"))
    cluster.intervals = [run(f"b23four-{n}", at, gpu_ids=(at.gpus[0].uuid,), gpu_count="0.25") for n in range(4)]
    return Case(
        "four_quarters_are_one_gpu",
        cluster,
        ledger={Row(f"training_run/b23four-{n}", "used", None, "fractional", True): "0.9" for n in range(4)},
        bug="B23",
    )


def three_quarters() -> Case:
    """Three of four quarters asked for: $0.90 each, and $0.90 idle that nobody asked for. 25 % is never charged as 100 %."""
    at = node("b23three")
    cluster = Cluster("b23three", nodes=[at], charges=[charge(at, "3.6")], samples=samples(at, TEN, ELEVEN, sm_active="1"))
    cluster.intervals = [run(f"b23three-{n}", at, gpu_ids=(at.gpus[0].uuid,), gpu_count="0.25") for n in range(3)]
    ledger = {Row(f"training_run/b23three-{n}", "used", None, "fractional", True): "0.9" for n in range(3)}
    return Case(
        "three_quarters_leave_a_quarter_idle",
        cluster,
        ledger={**ledger, Row(None, "unallocated_idle", "unrequested_share", "fractional", True): "0.9"},
        bug="B23",
    )


def counted_fractions() -> Case:
    """Two GPUs for $7.20, nobody says which. 0.75 + 0.5 GPUs lie end to end: 0.75 and 0.25 of the first, 0.25 of the second, whose other 0.75 is
    idle: $2.70, $1.80 and $2.70."""
    at = node("b23pool", 2)
    seen = [s for index in (0, 1) for s in samples(at, TEN, ELEVEN, index, sm_active="1")]
    cluster = Cluster("b23pool", nodes=[at], charges=[charge(at, "7.2")], samples=seen)
    cluster.intervals = [run("b23pool-a", at, gpu_count="0.75"), run("b23pool-b", at, TEN + 1, gpu_count="0.5")]
    # b begins a second later: in the first second its 0.25 of either GPU are idle beside a, or free: the second GPU is nobody's, and busy
    return Case(
        "fractions_of_the_free_pool",
        cluster,
        ledger={
            Row("training_run/b23pool-a", "unknown", "count_only", "fractional", True): "2.7",
            Row("training_run/b23pool-b", "unknown", "count_only", "fractional", True): "1.7995",  # 0.5 x 3,599 s
            Row(None, "unallocated_idle", "unrequested_share", "fractional", True): "2.6995",  # 0.25 x 1 s + 0.75 x 3,599 s
            Row(None, "unattributed", "active_unlabelled"): "0.001",  # 1 s
        },
        bug="B23",
    )


def whole_beats_fraction() -> Case:
    """An interval for a whole GPU that starts later wins from 10:30 on and holds all of it; before, the half asked for: 0.5 x 1,800 s = $0.90 and as much
    unrequested; then 1,800 s = $1.80."""
    at = node("halfs")
    cluster = Cluster("halfs", nodes=[at], charges=[charge(at, "3.6")], samples=samples(at, TEN, ELEVEN, sm_active="1"))
    name = (at.gpus[0].uuid,)
    cluster.intervals = [run("halfs-half", at, gpu_ids=name, gpu_count="0.5"), run("halfs-whole", at, HALF, gpu_ids=name, gpu_count=1)]
    return Case(
        "a_whole_request_that_wins_holds_all",
        cluster,
        ledger={
            Row("training_run/halfs-half", "used", None, "fractional", True): "0.9",
            Row(None, "unallocated_idle", "unrequested_share", "fractional", True): "0.9",
            Row("training_run/halfs-whole", "used"): "1.8",
        },
    )


def half_chosen_by_label() -> Case:
    """A pod that asks for half a GPU, seen by its label: $1.80 of it. A label may be missing from the other half's samples: that is unattributed."""
    at = node("halfpod")
    cluster = Cluster("halfpod", nodes=[at], charges=[charge(at, "3.6")], samples=pods(at, 1))
    cluster.intervals = [run("halfpod-r", at, gpu_count="0.5", namespace="ml", pod="halfpod-0")]
    return Case(
        "a_label_chooses_the_gpu_of_a_fraction",
        cluster,
        ledger={
            Row("training_run/halfpod-r", "used", None, "fractional", True): "1.8",
            Row(None, "unattributed", "shared_unlabelled", "fractional", True): "1.8",
        },
    )


def identical_copies() -> Case:
    """The device's 0.714 copied to three pods: 3.6 x 0.714 = 2.5704 used, once; $0.8568 for each pod, and $0.3432 idle."""
    at = node("b25")
    cluster = Cluster("b25", nodes=[at], charges=[charge(at, "3.6")], samples=pods(at, 3, sm_active="0.714", vgpu="1"))
    return Case(
        "three_copies_of_one_value",
        cluster,
        questions=[
            Question(
                "select workload_key, cost_class, is_unmeasured, sum(effective_cost)::varchar from published.fct_cost_allocation"
                " where resource_id = 'i-b25' group by all order by all",
                [
                    row
                    for n in range(3)
                    for row in (
                        (pod(f"b25-{n}"), "held_idle", True, "0.343200000000"),
                        (pod(f"b25-{n}"), "used", True, "0.856800000000"),
                    )
                ],
            )
        ],
        bug="B25",
    )


def one_of_four_labelled() -> Case:
    """Four replicas, one pod has its label: a quarter, $0.90. The other $2.70 are unattributed, never the labelled pod's."""
    at = node("b26", gpu_sharing="time_slicing", gpu_replicas=4)
    cluster = Cluster("b26", nodes=[at], charges=[charge(at, "3.6")], samples=pods(at, 1))
    return Case(
        "what_has_no_label_is_unattributed",
        cluster,
        ledger={
            Row(pod("b26-0"), "used", None, "time_slicing", True): "0.9",
            Row(None, "unattributed", "shared_unlabelled", "time_slicing", True): "2.7",
        },
        bug="B26",
    )


def more_pods_than_replicas() -> Case:
    """Two replicas, three pods: halves want 1.5 GPUs; in proportion a third each, $1.20."""
    at = node("crowd", gpu_sharing="time_slicing", gpu_replicas=2)
    cluster = Cluster("crowd", nodes=[at], charges=[charge(at, "3.6")], samples=pods(at, 3))
    return Case(
        "more_labels_than_replicas",
        cluster,
        ledger={Row(pod(f"crowd-{n}"), "used", None, "time_slicing", True): "1.2" for n in range(3)},
    )


def jobs_under_mps() -> Case:
    """The exporter copies the device's row to each job of its map: 101 all hour, 102 for half. Together half each (2 x $0.90), then 101 alone: $1.80.
    101 has 0.9 + 1.8 = $2.70."""
    at = node("mps")
    seen = samples(at, TEN, ELEVEN, sm_active="1", hpc_job="101") + samples(at, TEN, HALF, sm_active="1", hpc_job="102")
    cluster = Cluster("mps", nodes=[at], charges=[charge(at, "3.6")], samples=seen)
    cluster.intervals = [
        run("mps-a", at, TEN, ELEVEN, gpu_count=1, hpc_job="101"),
        run("mps-b", at, TEN, HALF, gpu_count=1, hpc_job="102"),
    ]
    return Case(
        "hpc_job_copies_under_mps",
        cluster,
        ledger={
            Row("training_run/mps-a", "used", None, "mps", True): "2.7",
            Row("training_run/mps-b", "used", None, "mps", True): "0.9",
        },
    )


def _two_pods(name: str, one: dict[str, str], other: dict[str, str]) -> Cluster:
    at = node(name)
    seen = [
        s
        for n, values in enumerate((one, other))
        for s in samples(at, TEN, ELEVEN, namespace="ml", pod=f"{name}-{n}", sm_active="1", **values)
    ]
    return Cluster(name, nodes=[at], charges=[charge(at, "3.6")], samples=seen)


def by_memory() -> Case:
    """10,000 and 30,000 MiB: a quarter and three quarters. What each does with the GPU's time the driver cannot tell: unmeasured."""
    return Case(
        "split_by_memory",
        _two_pods("memory", {"fb_used_mib": "10000"}, {"fb_used_mib": "30000"}),
        ledger={
            Row(pod("memory-0"), "used", None, "time_slicing", True): "0.9",
            Row(pod("memory-1"), "used", None, "time_slicing", True): "2.7",
        },
    )


def copied_memory() -> Case:
    """Both pods show 40,000 MiB, the device's: a copy says nothing about either, so evenly."""
    return Case(
        "a_copied_value_is_no_measure",
        _two_pods("copied", {"fb_used_mib": "40000"}, {"fb_used_mib": "40000"}),
        ledger={Row(pod(f"copied-{n}"), "used", None, "time_slicing", True): "1.8" for n in range(2)},
    )


def by_process_utilization() -> Case:
    """The processes of the pods used 20 % and 60 % of the device: a quarter and three quarters, measured."""
    return Case(
        "split_by_process_utilization",
        _two_pods("process", {"gpu_util": "20"}, {"gpu_util": "60"}),
        ledger={
            Row(pod("process-0"), "used", None, "mps", False): "0.9",
            Row(pod("process-1"), "used", None, "mps", False): "2.7",
        },
    )


def virtual_gpus() -> Case:
    """A vGPU profile of a quarter (4 replicas), two machines named by intervals: $0.90 each; half is free that nobody asked for: $1.80."""
    at = node("vgpu", gpu_sharing="vgpu", gpu_replicas=4)
    cluster = Cluster("vgpu", nodes=[at], charges=[charge(at, "3.6")], samples=samples(at, TEN, ELEVEN, gpu_util="100"))
    cluster.intervals = [run(f"vgpu-{n}", at, gpu_ids=(at.gpus[0].uuid,)) for n in range(2)]
    return Case(
        "virtual_machines_hold_their_profile",
        cluster,
        ledger={
            Row("training_run/vgpu-0", "used", None, "vgpu", True): "0.9",
            Row("training_run/vgpu-1", "used", None, "vgpu", True): "0.9",
            Row(None, "unallocated_idle", "unrequested_share", "vgpu", True): "1.8",
        },
    )


def shared_in_turn() -> Case:
    """Pod 0 until 10:30, pod 1 from 10:20 to 10:40, then nobody at activity 0: 0 alone 1,200 s, both 600 s, 1 alone 600 s: 1.2 + 0.3 = $1.50 and 0.3 + 0.6 =
    $0.90; 1,200 s idle: $1.20."""
    at = node("turns")
    cluster = Cluster("turns", nodes=[at], charges=[charge(at, "3.6")])
    for n, (first, last) in enumerate(((TEN, HALF), (TEN + 1200, TEN + 2400))):
        cluster.samples += samples(at, first, last, namespace="ml", pod=f"turns-{n}", sm_active="1")
    cluster.samples += samples(at, TEN + 2400, ELEVEN, sm_active="0")
    return Case(
        "a_share_ends_with_its_label",
        cluster,
        ledger={
            Row(pod("turns-0"), "used", None, "time_slicing", True): "1.5",
            Row(pod("turns-1"), "used", None, "time_slicing", True): "0.9",
            Row(None, "unallocated_idle", None, "time_slicing"): "1.2",
        },
    )


def not_declared() -> Case:
    """Two labels at one instant where nobody declared sharing (a rule says `none`, whatever the inventory has): one holder, and 3,600 s counted."""
    at = node("notshared", gpu_sharing="mps", gpu_replicas=2)
    cluster = Cluster("notshared", nodes=[at], charges=[charge(at, "3.6")], samples=pods(at, 2))
    return Case(
        "labels_without_a_declaration_are_never_split",
        cluster,
        ledger={Row(pod("notshared-0"), "used"): "3.6"},
        questions=[
            Question(
                "select measured_value from published.fct_data_quality"
                " where measure = 'several_labels_in_one_slot' and subject = 'notshared-n|i-notshared'",
                [(3600,)],
            )
        ],
    )


def rest_and_free_time() -> Case:
    """A pod that asks for half is there until 10:30 at activity 1; then nobody, at 0. What it leaves is busy with it and says nothing of the free time
    after: $0.90 used, $0.90 unattributed beside its label, $1.80 idle."""
    at = node("restfree")
    seen = pods(at, 1, TEN, HALF) + samples(at, HALF, ELEVEN, sm_active="0")
    cluster = Cluster("restfree", nodes=[at], charges=[charge(at, "3.6")], samples=seen)
    cluster.intervals = [run("restfree-r", at, TEN, HALF, gpu_count="0.5", namespace="ml", pod="restfree-0")]
    return Case(
        "what_sharers_leave_does_not_make_free_time_busy",
        cluster,
        ledger={
            Row("training_run/restfree-r", "used", None, "fractional", True): "0.9",
            Row(None, "unattributed", "shared_unlabelled", "fractional", True): "0.9",
            Row(None, "unallocated_idle"): "1.8",
        },
    )


CASES = [
    time_sliced_pods(), four_quarters(), three_quarters(), counted_fractions(), whole_beats_fraction(), half_chosen_by_label(), identical_copies(),
    one_of_four_labelled(), more_pods_than_replicas(), jobs_under_mps(), by_memory(), copied_memory(), by_process_utilization(), virtual_gpus(),
    shared_in_turn(), not_declared(), rest_and_free_time(),
]  # fmt: skip
