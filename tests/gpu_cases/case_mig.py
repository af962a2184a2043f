"""MIG: instances and what they leave of a GPU, and layouts that change within the day (rule R2 of docs/sharing.md).

Belongs here: worked cases of instances. Does not: sharing without MIG (case_sharing.py).

Every node has one A100 of 80 GB (7 compute and 8 memory slices) and costs $7.00 an hour: a slice is $1.00.
"""

from __future__ import annotations

from tests.gpu_cases.cases import TEN, Case, Question, Row, charge, node, samples
from tests.oracle.plan import Cluster, Node, Sample

ELEVEN = TEN + 3600
NOON = TEN + 7200


def instance(at: Node, mig_id: int, profile: str, first: int = TEN, last: int = ELEVEN, pod: str = "", **values: str) -> list[Sample]:
    """Samples of an instance: GPU_UTIL reads 0 under MIG and says nothing; the graphics engine's activity is the instance's own."""
    given = {"gpu_util": "0", "gr_engine_active": "1", **values}
    label = {"namespace": "ml", "pod": pod} if pod else {}
    return samples(at, first, last, mig_instance_id=str(mig_id), mig_profile=profile, **given, **label)


def pod(name: str) -> str:
    return f"unregistered/pod/ml/{name}"


def mig(workload: str | None, cost_class: str, reason: str | None = None) -> Row:
    return Row(workload, cost_class, reason, "mig")


def seven_slices() -> Case:
    """Seven instances of one slice: five busy for a pod, one unlabelled at 0 (idle), one without any activity value (unknown): $1.00 each. GPU_UTIL 0 or
    absent is no activity."""
    at = node("mig7")
    seen = [s for n in range(5) for s in instance(at, n, "1g.10gb", pod=f"mig7-{n}", **({"gpu_util": ""} if n else {}))]
    seen += instance(at, 5, "1g.10gb", gr_engine_active="0") + instance(at, 6, "1g.10gb", pod="mig7-6", gr_engine_active="")
    return Case(
        "seven_slices_and_no_device_utilization",
        Cluster("mig7", nodes=[at], charges=[charge(at, "7")], samples=seen),
        ledger={
            **{mig(pod(f"mig7-{n}"), "used"): "1" for n in range(5)},
            mig(None, "unallocated_idle"): "1",
            mig(pod("mig7-6"), "unknown", "no_activity_value"): "1",
        },
        bug="B29",
    )


def two_threes() -> Case:
    """3g + 3g use 6 of 7 compute and 8 of 8 memory slices: the seventh is stranded. Samples of the bare device say nothing about it."""
    at = node("mig33")
    seen = (
        instance(at, 1, "3g.40gb", pod="mig33-1")
        + instance(at, 2, "3g.40gb", pod="mig33-2")
        + samples(at, TEN + 300, ELEVEN - 300, sm_active="1")
    )
    return Case(
        "two_threes_strand_a_seventh",
        Cluster("mig33", nodes=[at], charges=[charge(at, "7")], samples=seen),
        ledger={
            mig(pod("mig33-1"), "used"): "3",
            mig(pod("mig33-2"), "used"): "3",
            mig(None, "stranded", "outside_any_instance"): "1",
        },
        bug="B29",
    )


def four_and_two() -> Case:
    """4g + 2g use 4 + 2 memory slices too: another 1g fits, so the seventh slice is idle."""
    at = node("mig42")
    seen = instance(at, 1, "4g.40gb", pod="mig42-1") + instance(at, 2, "2g.20gb", pod="mig42-2")
    return Case(
        "four_and_two_leave_room_for_a_profile",
        Cluster("mig42", nodes=[at], charges=[charge(at, "7")], samples=seen),
        ledger={
            mig(pod("mig42-1"), "used"): "4",
            mig(pod("mig42-2"), "used"): "2",
            mig(None, "unallocated_idle", "profile_fits"): "1",
        },
        bug="B29",
    )


def silent_instance() -> Case:
    """The second instance is heard of until 10:15 only: filled to 10:17:00, then unknown for its slices: 3 x 2,580 / 3,600 = $2.15; pod 2 has the rest, $0.85."""
    at = node("migsilent")
    seen = instance(at, 1, "3g.40gb", pod="migsilent-1") + instance(at, 2, "3g.40gb", last=TEN + 900, pod="migsilent-2")
    return Case(
        "an_instance_without_samples_is_unknown",
        Cluster("migsilent", nodes=[at], charges=[charge(at, "7")], samples=seen),
        ledger={
            mig(pod("migsilent-1"), "used"): "3",
            mig(pod("migsilent-2"), "used"): "0.85",
            mig(None, "unknown", "no_samples"): "2.15",
            mig(None, "stranded", "outside_any_instance"): "1",
        },
    )


def recut() -> Case:
    """3g + 3g until 12:00 ($3 + $3 + $1 stranded in the hour before), 4g + 2g from then on ($4 + $2 + $1 idle). Instance 1 keeps its id: the profile tells
    them apart."""
    at = node("migrecut", first=NOON - 3600, last=NOON + 3600)
    seen = instance(at, 1, "3g.40gb", NOON - 3600, NOON, "migrecut-a") + instance(at, 2, "3g.40gb", NOON - 3600, NOON, "migrecut-b")
    seen += instance(at, 1, "4g.40gb", NOON, NOON + 3600, "migrecut-c") + instance(at, 3, "2g.20gb", NOON, NOON + 3600, "migrecut-d")
    return Case(
        "a_layout_cut_anew_at_noon",
        Cluster("migrecut", nodes=[at], charges=[charge(at, "7", NOON - 3600), charge(at, "7", NOON)], samples=seen),
        ledger={
            mig(pod("migrecut-a"), "used"): "3",
            mig(pod("migrecut-b"), "used"): "3",
            mig(None, "stranded", "outside_any_instance"): "1",
            mig(pod("migrecut-c"), "used"): "4",
            mig(pod("migrecut-d"), "used"): "2",
            mig(None, "unallocated_idle", "profile_fits"): "1",
        },
        questions=[
            Question(
                "select count(*) from published.fct_data_quality"
                " where measure = 'mig_layout_changed_within_the_day' and subject like 'migrecut-n|%'",
                [(1,)],
            )
        ],
    )


def switched_on() -> Case:
    """The bare device is a pod's until 10:30 ($3.50); then MIG is on: 3g + 3g for half an hour, 3 x 0.5 = $1.50 each, and $0.50 stranded."""
    at = node("migon")
    half = TEN + 1800
    seen = samples(at, TEN, half, sm_active="1", namespace="ml", pod="migon-whole")
    seen += instance(at, 1, "3g.40gb", half, ELEVEN, "migon-1") + instance(at, 2, "3g.40gb", half, ELEVEN, "migon-2")
    return Case(
        "mig_switched_on_within_the_day",
        Cluster("migon", nodes=[at], charges=[charge(at, "7")], samples=seen),
        ledger={
            Row(pod("migon-whole"), "used"): "3.5",
            mig(pod("migon-1"), "used"): "1.5",
            mig(pod("migon-2"), "used"): "1.5",
            mig(None, "stranded", "outside_any_instance"): "0.5",
        },
        bug="B29",
    )


def sliced_instance() -> Case:
    """One 3g.40gb, time-sliced into three: two pods with labels have a third of it, $1.00, each; the third third is unattributed. 4 compute and 4 memory
    slices are left of the GPU: $4.00 idle."""
    at = node("migts", gpu_sharing="time_slicing", gpu_replicas=3)
    seen = [s for n in range(2) for s in instance(at, 1, "3g.40gb", pod=f"migts-{n}")]
    return Case(
        "an_instance_shared_by_pods",
        Cluster("migts", nodes=[at], charges=[charge(at, "7")], samples=seen),
        ledger={
            **{Row(pod(f"migts-{n}"), "used", None, "time_slicing", True): "1" for n in range(2)},
            Row(None, "unattributed", "shared_unlabelled", "time_slicing", True): "1",
            mig(None, "unallocated_idle", "profile_fits"): "4",
        },
    )


CASES = [seven_slices(), two_threes(), four_and_two(), silent_instance(), recut(), switched_on(), sliced_instance()]
