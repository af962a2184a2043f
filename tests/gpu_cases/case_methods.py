"""How a node's price is split between GPUs and host: each method, its validity, mixed GPU models, workloads without GPU.

Belongs here: splits. Does not: which seconds a node has (case_nodes.py).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

from tests.gpu_cases.cases import DAY, TEN, Case, Question, Row, charge, node, run, samples
from tests.oracle.plan import Cluster

HALF = TEN + 1800
END = TEN + 3600
H100 = "NVIDIA H100 80GB HBM3"

NODE_SPLIT = [
    {"pool": "split-aws", "method": "weights_9_1"},
    {"pool": "split-list", "method": "price_list"},
    {"pool": "split-midnight", "method": "gpu_only", "valid_to": dt.date(2026, 10, 6)},
    {"pool": "split-midnight", "method": "fixed_95_3_2", "valid_from": dt.date(2026, 10, 6)},
    {"provider": "split-provider", "method": "fixed_95_3_2"},
]
# $3 an A100, $5 an H100, $0.04 a vCPU, $0.005 a GiB: 8 x 3 + 96 x 0.04 + 1152 x 0.005 = 33.60; 8 x 5 + 192 x 0.04 + 2048 x 0.005 = 57.92;
# 4 x 0.04 + 16 x 0.005 = 0.24; 4 x 0.04 + 8 x 0.005 = 0.20.
POLICY = {
    "price_list": [
        {"name": "p4d.24xlarge", "gpu_model": "A100", "gpus": 8, "vcpus": 96, "memory_gib": 1152, "hourly_price": "33.60"},
        {"name": "p5.48xlarge", "gpu_model": "H100", "gpus": 8, "vcpus": 192, "memory_gib": 2048, "hourly_price": "57.92"},
        {"name": "m5.xlarge", "vcpus": 4, "memory_gib": 16, "hourly_price": "0.24"},
        {"name": "c5.xlarge", "vcpus": 4, "memory_gib": 8, "hourly_price": "0.20"},
    ]
}


def requested(workload: str) -> Row:
    """A workload without GPU: its part of the host."""
    return Row(workload, "not_measured", sharing=None, is_unmeasured=None, component="host")


def aws_example() -> Case:
    """AWS's published example: a p3.16xlarge (8 GPUs, 64 vCPUs, 488 GB) at $10 an hour (one copy of the page says $110, its arithmetic uses 10).
    9 x 8 + 0.9 x 64 + 0.1 x 488 = 178.4 units of $0.0560538. Here at $17.84, so that a unit is ten cents: a GPU-hour $0.90, eight $7.20; the host
    0.9 x 64 + 0.1 x 488 = 106.4 units = $10.64. The run has all eight GPUs: it has the host with them."""
    at = node("aws-example", 8, vcpus="64", memory_gib="488", pool="split-aws")
    cluster = Cluster("aws-example", nodes=[at], charges=[charge(at, "17.84")])
    cluster.samples = [sample for n in range(8) for sample in samples(at, TEN, END, n, sm_active="1")]
    cluster.intervals = [run("aws-example-r", at, gpu_count=8)]
    who = "training_run/aws-example-r"
    return Case(
        "aws_published_example", cluster, ledger={Row(who, "used"): "7.2", Row(who, "used", component="host"): "10.64"},
        questions=[
            Question("select distinct method_id from published.fct_cost_allocation where workload_key = 'training_run/aws-example-r'", [("weights_9_1",)]),
            # 95 % of 17.84 = 16.948 and 5 % = 0.892; all of it on the GPUs; the run's total is the same under each method
            Question(
                "select method, gpu_cost_usd, host_cost_usd, difference_usd from published.fct_method_sensitivity"
                " where workload_key = 'training_run/aws-example-r' and method in ('fixed_95_3_2', 'gpu_only', 'weights_9_1') order by method",
                [
                    ("fixed_95_3_2", Decimal("16.948"), Decimal("0.892"), Decimal(0)),
                    ("gpu_only", Decimal("17.84"), Decimal(0), Decimal(0)),
                    ("weights_9_1", Decimal("7.2"), Decimal("10.64"), Decimal(0)),
                ],
            ),
        ],
    )  # fmt: skip


def by_size() -> Case:
    """weights_9_1 on a node that has 2 GPUs, 10 vCPUs and 90 GiB until 10:30, then 1 GPU, 10 vCPUs and 180 GiB. GPUs 9000 x 2 = 18000, then 9000 a
    second; host 900 x 10 + 100 x 90 = 18000, then 27000: x 1,800 s each, 27000 : 45000 = 3 : 5 over the hour. $12.96: GPUs $4.86, host $8.10, each
    evenly over 5,400 GPU-seconds: $0.0009 and $0.0015. The run's 3,600: 3.24 and 5.40; the idle 1,800: 1.62 and 2.70."""
    first = node("by-size", 2, last=HALF, vcpus="10", memory_gib="90", pool="split-aws")
    then = replace(first, gpus=first.gpus[:1], gpu_count=1, memory_gib="180", validity=((HALF, END),))
    cluster = Cluster("by-size", nodes=[first, then], charges=[charge(first, "12.96")])
    cluster.samples = samples(first, TEN, END, 0, sm_active="1") + samples(first, TEN, HALF, 1, sm_active="0")
    cluster.intervals = [run("by-size-r", first, gpu_ids=(first.gpus[0].uuid,))]
    who = "training_run/by-size-r"
    return Case(
        "method_weights_by_the_size_in_force",
        cluster,
        ledger={
            Row(who, "used"): "3.24",
            Row(who, "used", component="host"): "5.4",
            Row(None, "unallocated_idle"): "1.62",
            Row(None, "unallocated_idle", component="host"): "2.7",
        },
    )


def mixed_by_list() -> Case:
    """An A100 ($3) and an H100 ($5) on one node with 30 vCPUs and 160 GiB (30 x 0.04 + 160 x 0.005 = $2): $10 an hour. Each GPU has its own part;
    the host goes by GPU-seconds, $1 each. Under gpu_only both would cost $5: the method moves $1 from one run to the other."""
    at = node("mixed", 2, vcpus="30", memory_gib="160", pool="split-list")
    at = replace(at, gpus=(at.gpus[0], replace(at.gpus[1], model=H100)), lists_gpus=True)
    cluster = Cluster("mixed-models", nodes=[at], charges=[charge(at, "10")])
    cluster.samples = samples(at, TEN, END, 0, sm_active="1") + samples(at, TEN, END, 1, sm_active="1")
    cluster.intervals = [run("mixed-a", at, gpu_ids=(at.gpus[0].uuid,)), run("mixed-h", at, gpu_ids=(at.gpus[1].uuid,))]
    a, h = "training_run/mixed-a", "training_run/mixed-h"
    return Case(
        "mixed_models_by_the_price_list",
        cluster,
        bug="B21",
        ledger={
            Row(a, "used"): "3",
            Row(a, "used", component="host"): "1",
            Row(h, "used"): "5",
            Row(h, "used", component="host"): "1",
        },
        questions=[
            Question(
                "select workload_key, method, cost_usd, in_force_cost_usd, difference_usd from published.fct_method_sensitivity"
                " where workload_key like 'training_run/mixed-%' and method in ('gpu_only', 'price_list') order by all",
                [
                    (a, "gpu_only", Decimal(5), Decimal(4), Decimal(1)),
                    (a, "price_list", Decimal(4), Decimal(4), Decimal(0)),
                    (h, "gpu_only", Decimal(5), Decimal(6), Decimal(-1)),
                    (h, "price_list", Decimal(6), Decimal(6), Decimal(0)),
                ],
            )
        ],
    )


def model_not_in_the_list() -> Case:
    """The list has no price for an L4: its node's price stays with the GPU, and the row says by which method."""
    at = node("l4", vcpus="4", memory_gib="16", pool="split-list", gpu_model="NVIDIA L4")
    cluster = Cluster("l4", nodes=[at], charges=[charge(at, "3.6")], samples=samples(at, TEN, END, sm_active="1"))
    cluster.intervals = [run("l4-r", at, gpu_ids=(at.gpus[0].uuid,))]
    return Case(
        "model_that_the_list_does_not_know",
        cluster,
        ledger={Row("training_run/l4-r", "used"): "3.6"},
        questions=[
            Question(
                "select distinct method_id from published.fct_cost_allocation where workload_key = 'training_run/l4-r'", [("gpu_only",)]
            )
        ],
    )


def midnight() -> Case:
    """gpu_only until the 5th, fixed_95_3_2 from the 6th: the hour from 23:00 is $3.60 on the GPU, the hour from 00:00 $3.42 and $0.18."""
    at = node("midnight", first=DAY - 3600, last=DAY + 3600, pool="split-midnight")
    cluster = Cluster("midnight", nodes=[at], charges=[charge(at, "3.6", hour=DAY - 3600), charge(at, "3.6", hour=DAY)])
    cluster.samples = samples(at, DAY - 3600, DAY + 3600, sm_active="1")
    cluster.intervals = [run("midnight-r", at, DAY - 3600, DAY + 3600, gpu_ids=(at.gpus[0].uuid,))]
    who = "training_run/midnight-r"
    return Case(
        "method_changes_at_midnight",
        cluster,
        ledger={Row(who, "used"): "7.02", Row(who, "used", component="host"): "0.18"},
        questions=[
            Question(
                "select usage_date::varchar, method_id, component, effective_cost from published.fct_cost_allocation"
                " where workload_key = 'training_run/midnight-r' order by all",
                [
                    ("2026-10-05", "gpu_only", "gpu", Decimal("3.6")),
                    ("2026-10-06", "fixed_95_3_2", "gpu", Decimal("3.42")),
                    ("2026-10-06", "fixed_95_3_2", "host", Decimal("0.18")),
                ],
            )
        ],
    )


def by_provider() -> Case:
    """A rule for a provider: 95 % and 5 % of $3.60."""
    at = node("by-provider", provider="split-provider")
    cluster = Cluster("by-provider", nodes=[at], charges=[charge(at, "3.6")], samples=samples(at, TEN, END, sm_active="0"))
    return Case(
        "rule_for_a_provider",
        cluster,
        ledger={Row(None, "unallocated_idle"): "3.42", Row(None, "unallocated_idle", component="host"): "0.18"},
    )


def cpu_only(name: str, pool: str, wants: tuple[tuple[str, int, int, str, str], ...]) -> Cluster:
    """A node of 1 GPU, 8 vCPUs and 18 GiB at $3.60, its GPU held and busy, and workloads that ask for vCPUs and memory alone. weights_9_1: GPU
    9000, host 900 x 8 + 100 x 18 = 9000: $1.80 each. (name, first, last, vcpus, memory)."""
    at = node(name, vcpus="8", memory_gib="18", pool=pool)
    cluster = Cluster(name, nodes=[at], charges=[charge(at, "3.6")], samples=samples(at, TEN, END, sm_active="1"))
    cluster.intervals = [run(f"{name}-r", at, gpu_ids=(at.gpus[0].uuid,))]
    cluster.intervals += [
        run(f"{name}-{who}", at, first, last, vcpus=vcpus, memory_gib=memory) for who, first, last, vcpus, memory in wants
    ]
    return cluster


def cpu_only_half() -> Case:
    """etl asks for 4 vCPUs and 9 GiB, half of the host, for half of the hour: a quarter of the host's $1.80 = $0.45. The GPU's holder inherits the
    rest, $1.35. fixed_95_3_2 would give it a quarter of 5 %: $0.045; gpu_only nothing."""
    who = "training_run/cpu-half-etl"
    return Case(
        "cpu_only_takes_what_it_asks_for",
        cpu_only("cpu-half", "split-aws", (("etl", TEN, HALF, "4", "9"),)),
        ledger={
            Row("training_run/cpu-half-r", "used"): "1.8",
            Row("training_run/cpu-half-r", "used", component="host"): "1.35",
            requested(who): "0.45",
        },
        questions=[
            Question(
                "select distinct evidence, method_id, gpu_seconds from published.fct_cost_allocation where workload_key = 'training_run/cpu-half-etl'",
                [("cpu_request", "weights_9_1", None)],
            ),
            Question(
                "select method, gpu_cost_usd, host_cost_usd, in_force_cost_usd, difference_usd from published.fct_method_sensitivity"
                " where workload_key = 'training_run/cpu-half-etl' and method in ('fixed_95_3_2', 'gpu_only', 'weights_9_1') order by method",
                [
                    ("fixed_95_3_2", Decimal(0), Decimal("0.045"), Decimal("0.45"), Decimal("-0.405")),
                    ("gpu_only", Decimal(0), Decimal(0), Decimal("0.45"), Decimal("-0.45")),
                    ("weights_9_1", Decimal(0), Decimal("0.45"), Decimal("0.45"), Decimal(0)),
                ],
            ),
        ],
    )


def cpu_only_too_much() -> Case:
    """Two ask for the whole host each, one of them from 10:30 on: until then a has all of it, then each half: of $1.80 a has 0.90 + 0.45, b 0.45. The
    GPU's holder inherits nothing."""
    return Case(
        "cpu_only_never_more_than_the_host",
        cpu_only("cpu-much", "split-aws", (("a", TEN, END, "8", "18"), ("b", HALF, END, "8", "18"))),
        ledger={
            Row("training_run/cpu-much-r", "used"): "1.8",
            requested("training_run/cpu-much-a"): "1.35",
            requested("training_run/cpu-much-b"): "0.45",
        },
    )


def cpu_only_under_gpu_only() -> Case:
    """Under gpu_only there is no host part: the workload is told with its seconds, at $0. A GPU count, or a label on a GPU, makes it none of these."""
    who = "training_run/cpu-none-etl"
    return Case(
        "cpu_only_under_gpu_only_is_told",
        cpu_only("cpu-none", "split-nowhere", (("etl", TEN, HALF, "4", "9"),)),
        ledger={Row("training_run/cpu-none-r", "used"): "3.6", requested(who): "0"},
        questions=[
            Question(
                "select attempt_key, cpu_only_seconds, held_gpu_seconds::int, run_cost_usd from published.fct_run_attempt_cost"
                " where workload_key like 'training_run/cpu-none-%' order by all",
                [(f"{who}/1", 1800, 0, Decimal(0)), ("training_run/cpu-none-r/1", 0, 3600, Decimal("3.6"))],
            )
        ],
    )


CASES = [
    aws_example(),
    by_size(),
    mixed_by_list(),
    model_not_in_the_list(),
    midnight(),
    by_provider(),
    cpu_only_half(),
    cpu_only_too_much(),
    cpu_only_under_gpu_only(),
]
