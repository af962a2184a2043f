"""The oracle itself, on clusters small enough to be worked by hand: parts of a GPU, instances through a day, sharing, fractions, reasons.

Every node here costs 7.2072 USD for its one hour, so that a part of a GPU costs a millionth of a dollar where the node has one GPU.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.gpu_cases.cases import DAY, TEN, charge, gpus, node, run, samples
from tests.oracle import generate, oracle
from tests.oracle.classes import node_split
from tests.oracle.devices import instance_parts, memory_slices, remainder_of
from tests.oracle.plan import Cluster, Node, NodeSplitRule, Sample, SharingRule
from tests.oracle.readings import WHOLE

A100_40, A100_80, A30 = "NVIDIA A100-SXM4-40GB", "NVIDIA A100-SXM4-80GB", "NVIDIA A30"
SEVENTH = Decimal("1.0296")  # of 7.2072
Row = tuple[str | None, str, str | None, str | None, bool | None]


def cluster(at: Node, told: list[Sample], *intervals: Any, **values: Any) -> Cluster:
    """A cluster of one node, with one hour of 7.2072 USD."""
    return Cluster("c", nodes=[at], charges=[charge(at, "7.2072")], samples=told, intervals=list(intervals), **values)


def dollars(of: Cluster) -> dict[Row, Decimal]:
    """(run, class, reason, sharing, is_unmeasured) -> effective dollars, both components together."""
    found: dict[Row, Decimal] = {}
    for rows in oracle.judge(of, DAY, DAY).ledger.values():
        for (workload, _, cost_class, _, _, reason, how, is_unmeasured), amounts in rows.items():
            key = (workload and workload.rpartition("/")[2], cost_class, reason, how, is_unmeasured)
            found[key] = found.get(key, Decimal(0)) + amounts[1]
    assert sum(found.values()) == Decimal("7.2072")
    return found


def held(of: Cluster, attempt: str) -> Decimal:
    """GPU-seconds held by an attempt."""
    return Decimal(oracle.judge(of, DAY, DAY).attempts[f"training_run/{attempt}"].held) / WHOLE


def busy(at: Node, first: int = TEN, last: int = TEN + 3600, **values: str) -> list[Sample]:
    """A GPU wholly active, with a process in its memory."""
    return samples(at, first, last, **{"sm_active": "1", "fb_used_mib": "20000", **values})


def instance(at: Node, number: int, profile: str, first: int = TEN, last: int = TEN + 3600, **values: str) -> list[Sample]:
    return busy(at, first, last, mig_instance_id=str(number), mig_profile=profile, **values)


# --- R1, R2: instances


@pytest.mark.parametrize(
    ("model", "profiles", "idle", "stranded"),
    [
        # 3g+3g: 7 - 6 = 1 slice of compute and 8 - 4 - 4 = 0 of memory are left: of no use
        (A100_40, "3g.20gb 3g.20gb", 0, 1),
        # 4g.20gb has 20 x 8 / 40 = 4 of memory, 2g.10gb has 2: 1 of compute and 2 of memory are left, a 1g.5gb fits
        (A100_40, "4g.20gb 2g.10gb", 1, 0),
        (A100_80, "3g.40gb", 4, 0),  # 4 and 4 are left
        (A100_80, "1g.20gb 1g.20gb 1g.20gb 1g.20gb", 0, 3),  # 20 x 8 / 80 = 2 each: 3 and 0 are left
        (A100_80, "7g.80gb", 0, 0),
        (A100_40, "1g.10gb 1g.10gb", 4, 1),  # 5 of compute, 8 - 4 = 4 of memory are left
        (A30, "2g.12gb", 2, 0),  # 4 slices of each, 12 x 4 / 24 = 2
        ("NVIDIA H200", "1g.18gb", 6, 0),  # 18 x 8 / 141 = 1.02: 1; 6 and 7 are left
        ("a GPU of the future", "3g 3g", 0, 1),  # gigabytes unknown: 3g has 4 of memory
    ],
)
def test_what_instances_leave_of_a_gpu(model: str, profiles: str, idle: int, stranded: int) -> None:
    slices = 4 if model == A30 else 7
    assert remainder_of(model, profiles.split()) == (WHOLE // slices * idle, WHOLE // slices * stranded)


def test_sizes_of_instances() -> None:
    assert instance_parts(A100_80, "3g.40gb") == 3 * 1_029_600
    assert instance_parts(A30, "1g.6gb") == 1_801_800
    assert (memory_slices("NVIDIA H100 NVL", "1g.12gb"), memory_slices("NVIDIA A100", "3g.40gb")) == (1, 4)


def mig_node(model: str = A100_40) -> Node:
    at = node("c")
    return replace(at, gpus=tuple(replace(g, model=model) for g in at.gpus), gpu_model=model)


def test_two_instances_and_a_stranded_seventh() -> None:
    """Run r holds 3g instance 1 by label: 3/7; instance 2 is seen and free and busy: 3/7 active unlabelled; 1/7 is stranded."""
    at = mig_node()
    told = instance(at, 1, "3g.20gb", namespace="ml", pod="p") + instance(at, 2, "3g.20gb")
    of = cluster(at, told, run("r", at, namespace="ml", pod="p", gpu_count=1))
    assert dollars(of) == {
        ("r", "used", None, "mig", False): 3 * SEVENTH,
        (None, "unattributed", "active_unlabelled", "mig", False): 3 * SEVENTH,
        (None, "stranded", "outside_any_instance", "mig", False): SEVENTH,
    }


def test_an_instance_that_stays_away_is_unknown_and_lives_all_day() -> None:
    """Instance 2 (2g of a 40 GB card) is seen only in the first half hour (and 120 s after it): the layout fits, so it lives on, unknown."""
    at = mig_node()
    told = instance(at, 1, "4g.20gb") + instance(at, 2, "2g.10gb", last=TEN + 1800)
    assert dollars(cluster(at, told)) == {
        (None, "unattributed", "active_unlabelled", "mig", False): 4 * SEVENTH + 2 * SEVENTH * 1920 / 3600,
        (None, "unknown", "no_samples", "mig", False): 2 * SEVENTH * 1680 / 3600,
        (None, "unallocated_idle", "profile_fits", "mig", False): SEVENTH,
    }


def test_device_rows_beside_instances_are_set_aside() -> None:
    """The bare device's rows lie within the instances' time: nothing is counted twice, and its label holds nothing."""
    at = mig_node()
    told = instance(at, 1, "7g.40gb", sm_active="0") + busy(at, TEN + 60, TEN + 3000, namespace="ml", pod="p")
    of = cluster(at, told, run("r", at, namespace="ml", pod="p", gpu_count=1))
    found = dollars(of)
    # seen by no label that stands, the run takes its one GPU by count: all of the node
    assert found == {("r", "held_idle", "low_activity", "mig", False): Decimal("7.2072")}


def test_a_gpu_cut_anew_within_the_day() -> None:
    """3g+3g until 10:30, from then on 7g: 3+3+7 slices do not fit beside each other, so time decides. First half hour 2 x 3/7 and 1/7
    stranded, second half hour 7/7."""
    at = mig_node()
    half = TEN + 1800
    told = instance(at, 1, "3g.20gb", last=half, sm_active="0") + instance(at, 2, "3g.20gb", last=half, sm_active="0")
    told += instance(at, 3, "7g.40gb", half)
    assert dollars(cluster(at, told)) == {
        (None, "unallocated_idle", None, "mig", False): 3 * SEVENTH,  # 6/7 of half the hour
        (None, "stranded", "outside_any_instance", "mig", False): SEVENTH / 2,
        (None, "unattributed", "active_unlabelled", "mig", False): Decimal("3.6036"),
    }


def test_the_layout_that_went_lives_until_the_next_one_is_seen() -> None:
    """3g+3g until 10:20, the new 7g from 10:40: between them the old instances exist, filled for 120 s and then unknown."""
    at = mig_node()
    told = [s for n in (1, 2) for s in instance(at, n, "3g.20gb", last=TEN + 1200)] + instance(at, 3, "7g.40gb", TEN + 2400)
    unit = Decimal("7.2072") / 3600
    assert dollars(cluster(at, told)) == {
        (None, "unattributed", "active_unlabelled", "mig", False): unit * 1320 * 6 / 7 + unit * 1200,
        (None, "unknown", "no_samples", "mig", False): unit * 1080 * 6 / 7,
        (None, "stranded", "outside_any_instance", "mig", False): unit * 2400 / 7,
    }


def test_mig_switched_on_and_off_within_the_day() -> None:
    """Bare 10:00-10:20, a 3g 10:20-10:40, bare 10:40-11:00; idle but for the instance."""
    at = mig_node()
    told = busy(at, sm_active="0")[:40] + instance(at, 1, "3g.20gb", TEN + 1200, TEN + 2400) + busy(at, TEN + 2400, sm_active="0")
    third = Decimal("2.4024")
    assert dollars(cluster(at, told)) == {
        (None, "unallocated_idle", None, "none", False): 2 * third,
        (None, "unattributed", "active_unlabelled", "mig", False): third * 3 / 7,
        (None, "unallocated_idle", "profile_fits", "mig", False): third * 4 / 7,
    }


def test_the_same_instance_under_another_profile_is_another_unit() -> None:
    at = mig_node()
    told = instance(at, 1, "7g.40gb", last=TEN + 1800, sm_active="0") + instance(at, 1, "1g.5gb", TEN + 1800)
    half = Decimal("3.6036")
    assert dollars(cluster(at, told)) == {
        (None, "unallocated_idle", None, "mig", False): half,
        (None, "unattributed", "active_unlabelled", "mig", False): half / 7,
        (None, "unallocated_idle", "profile_fits", "mig", False): half * 6 / 7,
    }


def test_gpu_utilization_says_nothing_of_an_instance() -> None:
    """B29: under MIG the device's utilization reads 0: missing, not idle."""
    at = mig_node()
    found = dollars(cluster(at, instance(at, 1, "7g.40gb", sm_active="", gpu_util="0")))
    assert found == {(None, "unknown", "no_activity_value", "mig", False): Decimal("7.2072")}


# --- R3: declared sharing


def shared(*rules: SharingRule) -> dict[str, Any]:
    return {"sharing": list(rules) or [SharingRule("time_slicing", pool="pool")]}


def pods(at: Node, *names: str, **values: str) -> list[Sample]:
    """Copies of one device value under several pods' labels (B25)."""
    return [s for name in names for s in busy(at, namespace="ml", pod=name, **values)]


def of_pod(at: Node, name: str, **values: Any) -> Any:
    return run(name, at, namespace="ml", pod=name, **values)


def test_three_copies_share_a_gpu_evenly() -> None:
    """B25: three pods with a copy of 0.75 each: a third of 7.2072 = 2.4024, of which 1.8018 used."""
    at = node("c")
    of = cluster(at, pods(at, "a", "b", "d", sm_active="0.75"), *(of_pod(at, p) for p in "abd"), **shared())
    assert dollars(of) == {
        **{(p, "used", None, "time_slicing", True): Decimal("1.8018") for p in "abd"},
        **{(p, "held_idle", "low_activity", "time_slicing", True): Decimal("0.6006") for p in "abd"},
    }


def test_one_labelled_pod_of_four_replicas() -> None:
    """B26: one of four replicas is labelled: a quarter, the rest is nobody's that is known."""
    at = node("c")
    rule = SharingRule("mps", hostname=at.hostname, replicas=4)
    of = cluster(at, pods(at, "a"), of_pod(at, "a", gpu_count=1), **shared(rule))
    assert dollars(of) == {
        ("a", "used", None, "mps", True): Decimal("1.8018"),
        (None, "unattributed", "shared_unlabelled", "mps", True): Decimal("5.4054"),
    }


def test_more_labels_than_replicas_share_the_whole() -> None:
    """Three pods on two replicas want 3/2: a third each."""
    at = node("c")
    of = cluster(at, pods(at, "a", "b", "d"), *(of_pod(at, p) for p in "abd"), **shared(SharingRule("vgpu", pool="pool", replicas=2)))
    assert dollars(of) == {(p, "used", None, "vgpu", True): Decimal("2.4024") for p in "abd"}


def test_the_inventory_declares_and_a_rule_knows_better() -> None:
    at = replace(node("c"), gpu_sharing="time_slicing", gpu_replicas=2)
    told = pods(at, "a")
    half = {
        ("a", "used", None, "time_slicing", True): Decimal("3.6036"),
        (None, "unattributed", "shared_unlabelled", "time_slicing", True): Decimal("3.6036"),
    }
    whole = {("a", "used", None, "none", False): Decimal("7.2072")}
    assert dollars(cluster(at, told, of_pod(at, "a"))) == half
    assert dollars(cluster(at, told, of_pod(at, "a"), **shared(SharingRule("none", pool="pool")))) == whole
    late = SharingRule("none", pool="pool", valid_from="2026-10-07")
    elsewhere = SharingRule("none", pool="pool", hostname="another")
    assert dollars(cluster(at, told, of_pod(at, "a"), **shared(late, elsewhere))) == half


def test_labels_flap_in_a_shared_gpu() -> None:
    """Pod b is labelled in the first slot only: its label covers 30 s, and no fill passes the next observed slot (a's). 30 s in halves, then
    a holds the rest alone: the count is not stated, so nothing keeps b on the GPU. 7.2072 / 3600 = 0.002002 a second."""
    at = node("c")
    told = pods(at, "a") + busy(at, TEN, TEN + 1, namespace="ml", pod="b")
    of = cluster(at, told, of_pod(at, "a"), of_pod(at, "b"), **shared())
    second = Decimal("0.002002")
    assert dollars(of) == {
        ("a", "used", None, "time_slicing", True): second * (15 + 3570),
        ("b", "used", None, "time_slicing", True): second * 15,
    }
    # where b states that it wants one GPU, its label chose this one for all its time
    of = cluster(at, told, of_pod(at, "a"), of_pod(at, "b", gpu_count=1), **shared())
    assert dollars(of) == {(p, "used", None, "time_slicing", True): Decimal("3.6036") for p in "ab"}


def test_copies_of_jobs_share_and_strangers_hold_by_themselves() -> None:
    at = node("c")
    told = [s for job in ("7", "8") for s in busy(at, hpc_job=job)]
    of = cluster(at, told, run("r", at, hpc_job="7"), **shared())
    assert dollars(of) == {
        ("r", "used", None, "time_slicing", True): Decimal("3.6036"),
        ("8", "used", None, "time_slicing", True): Decimal("3.6036"),  # unregistered/job/8
    }


def test_an_attempt_holds_a_shared_gpu_once() -> None:
    """Run a names the GPU and its label is there too: one holder, beside pod b. A count alone holds nothing where somebody does."""
    at = node("c")
    of = cluster(at, pods(at, "a", "b"), of_pod(at, "a", gpu_ids=(at.gpus[0].uuid,)), of_pod(at, "b"), **shared())
    assert dollars(of) == {(p, "used", None, "time_slicing", True): Decimal("3.6036") for p in "ab"}


def test_two_that_name_a_shared_gpu_both_hold_it() -> None:
    """Not declared, the later one would have it."""
    at = node("c")
    names = {"gpu_ids": (at.gpus[0].uuid,)}
    of = cluster(at, busy(at), run("a", at, **names), run("b", at, TEN + 1800, **names), **shared())
    assert (held(of, "a/1"), held(of, "b/1")) == (Decimal(1800 + 900), Decimal(900))
    of.sharing.clear()
    assert (held(of, "a/1"), held(of, "b/1")) == (Decimal(1800), Decimal(1800))


def test_the_activity_of_a_shared_gpu_is_the_devices() -> None:
    """a holds the whole hour, b from 10:30 on; the device reads 0.2 before and 0.8 after: a's mean is 0.5, b's 0.8."""
    at = node("c")
    told = busy(at, last=TEN + 1800, sm_active="0.2", namespace="ml", pod="a")
    told += [s for p in "ab" for s in busy(at, TEN + 1800, sm_active="0.8", namespace="ml", pod=p)]
    of = cluster(at, told, of_pod(at, "a"), of_pod(at, "b", first=TEN + 1800), **shared())
    found = dollars(of)
    assert found["a", "used", None, "time_slicing", True] == Decimal("5.4054") / 2  # 2,700 GPU-seconds x 0.5
    assert found["b", "used", None, "time_slicing", True] == Decimal("1.8018") * Decimal("0.8")


# --- R4: fractions


def test_four_quarters_are_one_gpu() -> None:
    """B23: 4 x 0.25 of one GPU, named; 3 x 0.25 leave a quarter that nobody asked for."""
    at = node("c")
    quarter = [run(r, at, gpu_ids=("0",), gpu_count="0.25") for r in "abde"]
    of = cluster(at, busy(at), *quarter)
    assert dollars(of) == {(r, "used", None, "fractional", True): Decimal("1.8018") for r in "abde"}
    of = cluster(at, busy(at), *quarter[:3])
    assert dollars(of) == {
        **{(r, "used", None, "fractional", True): Decimal("1.8018") for r in "abd"},
        (None, "unallocated_idle", "unrequested_share", "fractional", True): Decimal("1.8018"),
    }


def test_more_quarters_than_a_gpu_has_are_cut_in_proportion() -> None:
    """0.5 + 0.5 + 0.5 + 0.5: a quarter each."""
    at = node("c")
    of = cluster(at, busy(at), *(run(r, at, gpu_ids=("0",), gpu_count="0.5") for r in "abde"))
    assert dollars(of) == {(r, "used", None, "fractional", True): Decimal("1.8018") for r in "abde"}


def test_a_whole_claim_and_fractions() -> None:
    """The interval that started last wins: where it is whole it has all, where it is a fraction the whole one loses."""
    at = node("c")
    whole, half = run("w", at, TEN + 1800, gpu_ids=("0",)), run("h", at, gpu_ids=("0",), gpu_count="0.5")
    of = cluster(at, busy(at), whole, half)
    assert (held(of, "w/1"), held(of, "h/1")) == (Decimal(1800), Decimal(900))
    of = cluster(at, busy(at), replace(whole, start=TEN), replace(half, start=TEN + 1800))
    assert (held(of, "w/1"), held(of, "h/1")) == (Decimal(1800), Decimal(900))


def test_less_than_the_gpus_it_names() -> None:
    """One GPU asked for, two named: half of each; the other halves are nobody's. Two GPUs: 3.6036 each."""
    at = replace(node("c"), gpus=gpus("c", 2), gpu_count=2)
    told = busy(at) + samples(at, TEN, TEN + 3600, index=1, sm_active="1", fb_used_mib="20000")
    of = cluster(at, told, run("r", at, gpu_ids=("0", "1"), gpu_count="1"))
    assert dollars(of) == {
        ("r", "used", None, "fractional", True): Decimal("3.6036"),
        (None, "unallocated_idle", "unrequested_share", "fractional", True): Decimal("3.6036"),
    }


def test_a_labelled_fraction() -> None:
    """A pod with a quarter: by label, the rest of the GPU beside it is nobody's that is known."""
    at = node("c")
    of = cluster(at, pods(at, "a"), of_pod(at, "a", gpu_count="0.25"))
    assert dollars(of) == {
        ("a", "used", None, "fractional", True): Decimal("1.8018"),
        (None, "unattributed", "shared_unlabelled", "fractional", True): Decimal("5.4054"),
    }


def test_fractions_by_count_lie_end_to_end_in_the_free_pool() -> None:
    """Two free GPUs, 0.75 (earlier), then 0.5: the second has a quarter of GPU 0 and a quarter of GPU 1. 7.2072 / 2 = 3.6036 a GPU."""
    at = replace(node("c"), gpus=gpus("c", 2), gpu_count=2)
    told = busy(at) + samples(at, TEN, TEN + 3600, index=1, sm_active="1")
    of = cluster(at, told, run("a", at, TEN - 10, gpu_count="0.75"), run("b", at, TEN - 5, gpu_count="0.5"))
    found = dollars(of)
    assert found == {
        ("a", "unknown", "count_only", "fractional", True): Decimal("2.7027"),
        ("b", "unknown", "count_only", "fractional", True): Decimal("1.8018"),
        (None, "unallocated_idle", "unrequested_share", "fractional", True): Decimal("2.7027"),
    }


# --- R7: why it was idle


def test_held_idle_without_a_process() -> None:
    """Activity 0.25; in 30 of 120 slots 100 MiB or less are in use: a quarter of the time no process, half of it low activity."""
    at = node("c")
    told = busy(at, last=TEN + 900, sm_active="0.25", fb_used_mib="100")
    told += busy(at, TEN + 900, sm_active="0.25", fb_used_mib="100.5")
    of = cluster(at, told, run("r", at, gpu_ids=("0",)))
    assert dollars(of) == {
        ("r", "used", None, "none", False): Decimal("1.8018"),
        ("r", "held_idle", "no_process", "none", False): Decimal("1.8018"),
        ("r", "held_idle", "low_activity", "none", False): Decimal("3.6036"),
    }


def test_no_process_takes_no_more_than_what_was_idle() -> None:
    at = node("c")
    of = cluster(at, busy(at, sm_active="0.75", fb_used_mib="0"), run("r", at, gpu_ids=("0",)))
    assert dollars(of) == {
        ("r", "used", None, "none", False): Decimal("5.4054"),
        ("r", "held_idle", "no_process", "none", False): Decimal("1.8018"),
    }


def test_memory_that_is_no_number_says_nothing() -> None:
    at = node("c")
    of = cluster(at, busy(at, sm_active="0.5", fb_used_mib="9223372036854775794"), run("r", at, gpu_ids=("0",)))
    assert dollars(of)["r", "held_idle", "process_unknown", "none", False] == Decimal("3.6036")


# --- the node's price


def test_the_host_inherits_the_class_of_its_gpu_seconds() -> None:
    """weights_9_1 on one GPU, 10 vCPUs, 90 GiB: 9 : 0.9 x 10 + 0.1 x 90 = 9 : 18, a third of the price is the GPU's."""
    at = replace(node("c"), vcpus="10", memory_gib="90")
    of = cluster(at, busy(at), run("r", at, gpu_ids=("0",)), node_split=[NodeSplitRule("weights_9_1", pool="pool")])
    (rows,) = oracle.judge(of, DAY, DAY).ledger.values()
    assert {key[3]: amounts[1] for key, amounts in rows.items()} == {"gpu": Decimal("2.4024"), "host": Decimal("4.8048")}


def test_the_methods_by_rule() -> None:
    at = replace(node("c"), vcpus="10", memory_gib="90")
    of = cluster(at, [])
    rules = [NodeSplitRule("fixed_95_3_2", provider="c", valid_to="2026-10-06"), NodeSplitRule("base_price", pool="pool")]
    of.node_split = rules
    assert node_split(of, at, DAY - 1) == {"gpu": 95, "host": 5}
    # 0.95 : 10 x 0.031611 + 90 x 0.004237 = 0.31611 + 0.38133
    assert node_split(of, at, DAY) == {"gpu": 950_000, "host": 697_440}
    assert node_split(of, replace(at, vcpus=""), DAY) == {"gpu": 1}
    of.node_split = []
    assert node_split(of, at, DAY) == {"gpu": 1}


# --- the clusters


def test_generated_clusters_meet_every_rule() -> None:
    """Whatever the seeds, sixty clusters cut and share GPUs in every way that the rules speak of."""
    made = [generate.cluster(seed, DAY) for seed in range(60)]
    marks: dict[str, set[bool]] = {}
    for sample in (s for c in made for s in c.samples):
        marks.setdefault(sample.uuid, set()).add(sample.mig_profile != "")
    assert sum(True in m for m in marks.values()) >= 10
    assert sum(len(m) == 2 for m in marks.values()) >= 2, "MIG switched on or off, or rows of the device beside its instances"
    assert {r.strategy for c in made for r in c.sharing} >= {"time_slicing", "mps", "vgpu", "none"}
    assert {n.gpu_sharing for c in made for n in c.nodes} >= {"", "time_slicing"}
    assert {r.method for c in made for r in c.node_split} >= {"weights_9_1", "base_price", "fixed_95_3_2", "gpu_only"}
    counts = {i.gpu_count for c in made for i in c.intervals}
    assert counts >= {"0.25", "0.5", "0.75", "1.5", 1, 2, None}
    assert {s.exporter for c in made for s in c.samples} >= {"", "a:9400", "b:9400", "restarted:9400"}
