"""Telemetry and time: repeats, two exporters, restarts, gaps, labels that flap, outlive or contradict, clocks that are ahead.

Belongs here: cases of when and whose, with the metrics of disagreement and coverage. Does not: values (case_telemetry.py). Further
cases of this kind: the golden day (a pod that misses scrapes), test_property_attribution.py (slots cut by an edge, fills over midnight).
Every hour costs $3.60 per GPU: $0.001 a second. No memory is told, so that held idle time is `process_unknown`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from tests.gpu_cases.cases import TEN, Case, Question, Row, charge, node, run, samples
from tests.oracle.plan import Cluster, Interval, Node

HOUR, UNKNOWN = 3600, "process_unknown"


def pod(name: str) -> dict[str, str]:
    """The labels of a pod, on samples and intervals alike."""
    return {"namespace": "ml", "pod": f"{name}-p"}


def plan(name: str, at: Node, told: list[Any], intervals: list[Interval]) -> Cluster:
    return Cluster(name, nodes=[at], charges=[charge(at, "3.6")], samples=told, intervals=intervals)


def coverage(at: Node, columns: str, *row: Any) -> Question:
    return Question(
        f"select {columns} from published.fct_telemetry_coverage where node = '{at.hostname}' and usage_date = date '2026-10-06'",  # noqa: S608
        [row],
    )


def halves(who: str, dollars: str) -> dict[Row, str]:
    """Used and held idle alike."""
    return {Row(who, "used"): dollars, Row(who, "held_idle", UNKNOWN): dollars}


def two_exporters() -> Case:
    """The same GPU told twice, once with the pod's label and once without: held once, 0.5 x 3.60 used; 3,600 s expected, all observed."""
    at = node("twoexp")
    told = samples(at, TEN, TEN + HOUR, sm_active="0.5", **pod("twoexp")) + samples(
        at, TEN + 7, TEN + HOUR, exporter="b:9400", sm_active="0.5"
    )
    return Case(
        "two_exporters",
        plan("twoexp", at, told, [run("twoexp-r", at, gpu_count=1, **pod("twoexp"))]),
        halves("training_run/twoexp-r", "1.8"),
        [coverage(at, "expected_gpu_seconds::double, observed_gpu_seconds::double, several_labels_seconds", 3600.0, 3600.0, 0)],
        bug="B11",
    )


def repeated_and_out_of_order() -> Case:
    """In each slot 0.9 at :00 and 0.1 at :20, delivered backwards and twice: the slot has its latest sample's 0.1. 0.36 used."""
    at = node("repeat")
    told = samples(at, TEN, TEN + HOUR, sm_active="0.9") + samples(at, TEN + 20, TEN + HOUR, sm_active="0.1")
    who = "training_run/repeat-r"
    return Case(
        "repeated_and_out_of_order",
        plan("repeat", at, told[::-1] + told, [run("repeat-r", at, gpu_ids=(at.gpus[0].uuid,))]),
        {Row(who, "used"): "0.36", Row(who, "held_idle", UNKNOWN): "3.24"},
    )


def irregular_scrapes() -> Case:
    """0.8 every 5 s for the first half, 0.2 every 30 s for the second: time weighs, not count. Mean of 120 slots: 0.5."""
    at = node("irregular")
    told = samples(at, TEN, TEN + 1800, step=5, sm_active="0.8") + samples(at, TEN + 1800, TEN + HOUR, sm_active="0.2")
    return Case(
        "irregular_scrapes",
        plan("irregular", at, told, [run("irregular-r", at, gpu_ids=(at.gpus[0].uuid,))]),
        halves("training_run/irregular-r", "1.8"),
    )


def exporter_restart() -> Case:
    """The exporter is away from 10:30 to 10:35 and comes back under another address: 120 s are filled, 180 s are unknown, charged to their
    holder. The other 3,420 s are at 0.5. Of both addresses' 60 and 50 slots the first tells the hour's activity."""
    at = node("restart")
    told = samples(at, TEN, TEN + 1800, sm_active="0.5") + samples(at, TEN + 2100, TEN + HOUR, exporter="c:9400", sm_active="0.5")
    who = "training_run/restart-r"
    gap = dt.datetime(2026, 10, 6, 10, 32), dt.datetime(2026, 10, 6, 10, 35)
    return Case(
        "exporter_restart",
        plan("restart", at, told, [run("restart-r", at, gpu_ids=(at.gpus[0].uuid,))]),
        {**halves(who, "1.71"), Row(who, "unknown", "no_samples"): "0.18"},
        [
            coverage(
                at,
                "observed_gpu_seconds::double, filled_gpu_seconds::double, uncovered_gpu_seconds::double, coverage_ratio::double, gap_count,"
                " longest_gap_seconds, held_without_samples_gpu_seconds::double, unknown_cost_usd::double",
                3300.0, 120.0, 180.0, 0.95, 1, 180, 180.0, 0.18,
            ),
            Question(
                "select gap_start, gap_end, gap_seconds, gpu_count, missing_gpu_seconds::double, held_gpu_seconds::double"  # noqa: S608
                f" from published.fct_telemetry_gap where node = '{at.hostname}'",  # noqa: S608
                [(*gap, 180, 1, 180.0, 180.0)],
            ),
        ],
    )  # fmt: skip


def whole_node_gap() -> Case:
    """Two GPUs, two hours at $7.20; no telemetry from 11:00 to 12:00. 10-11: the run's GPU works (3.60 used), the other idles (3.60).
    11-12: until 11:02 it is filled, without a value of that hour (0.12 each), then nothing is known (3.48 each)."""
    at = node("nodegap", count=2, last=TEN + 2 * HOUR)
    told = samples(at, TEN, TEN + HOUR, sm_active="1") + samples(at, TEN, TEN + HOUR, index=1, sm_active="0")
    cluster = Cluster("nodegap", nodes=[at], charges=[charge(at, "7.2"), charge(at, "7.2", hour=TEN + HOUR)], samples=told)
    cluster.intervals = [run("nodegap-r", at, last=TEN + 2 * HOUR, gpu_ids=(at.gpus[0].uuid,))]
    who = "training_run/nodegap-r"
    return Case(
        "whole_node_gap",
        cluster,
        {
            Row(who, "used"): "3.6",
            Row(None, "unallocated_idle"): "3.6",
            Row(who, "unknown", "no_activity_value"): "0.12",
            Row(who, "unknown", "no_samples"): "3.48",
            Row(None, "unknown", "no_activity_value"): "0.12",
            Row(None, "unknown", "no_samples"): "3.48",
        },
        [
            # 7,200 + 240 of 14,400 GPU-seconds
            coverage(
                at,
                "expected_gpu_seconds::double, observed_gpu_seconds::double, filled_gpu_seconds::double, coverage_ratio::varchar, gap_count,"
                " longest_gap_seconds, unknown_cost_usd::double",
                14400.0, 7200.0, 240.0, "0.516666", 1, 3480, 7.2,
            ),
            Question(
                f"select gpu_count, missing_gpu_seconds::double, held_gpu_seconds::double from published.fct_telemetry_gap where node = '{at.hostname}'",  # noqa: S608
                [(2, 6960.0, 3480.0)],
            ),
        ],
        bug="B31",
    )  # fmt: skip


def label_outlives_its_pod() -> Case:
    """The pod ends at 10:30, its label stays until the last sample at 10:59:30: 1,800 s outside its interval, 1,770 s late. The GPU then
    idles for nobody (1.80)."""
    at = node("outlive")
    told = samples(at, TEN, TEN + 1800, sm_active="0.5", **pod("outlive")) + samples(
        at, TEN + 1800, TEN + HOUR, sm_active="0", **pod("outlive")
    )
    return Case(
        "label_outlives_its_pod",
        plan("outlive", at, told, [run("outlive-r", at, last=TEN + 1800, gpu_count=1, **pod("outlive"))]),
        {**halves("training_run/outlive-r", "0.9"), Row(None, "unallocated_idle"): "1.8"},
        [coverage(at, "label_outside_interval_seconds, label_lag_seconds, label_lead_seconds", 1800, 1770, 0)],
        bug="B28",
    )


def pod_name_used_again() -> Case:
    """One pod name, two runs: 10:00-10:20 and 10:30-11:00, the label never leaves. 1.20 and 1.80, and 600 s idle between them."""
    at = node("reuse")
    told = [
        s
        for first, last, sm in ((0, 1200, "0.5"), (1200, 1800, "0"), (1800, HOUR, "0.5"))
        for s in samples(at, TEN + first, TEN + last, sm_active=sm, **pod("reuse"))
    ]
    one = run("reuse-1", at, last=TEN + 1200, gpu_count=1, **pod("reuse"))
    two = run("reuse-2", at, first=TEN + 1800, gpu_count=1, **pod("reuse"))
    return Case(
        "pod_name_used_again",
        plan("reuse", at, told, [one, two]),
        {**halves("training_run/reuse-1", "0.6"), **halves("training_run/reuse-2", "0.9"), Row(None, "unallocated_idle"): "0.6"},
        [coverage(at, "label_outside_interval_seconds, label_lag_seconds, label_lead_seconds", 600, 0, 0)],
        bug="B32",
    )


def flapping_label() -> Case:
    """The label is there in every other 5 minutes; between them the exporter's own pod stands there. The run's label chose the GPU, so that it
    holds it all hour; the exporter owns nothing."""
    at = node("flap")
    own = {"namespace": "monitoring", "pod": "dcgm-exporter-x7k2p", "container": "exporter"}
    told = [
        s
        for part in range(12)
        for s in samples(at, TEN + part * 300, TEN + part * 300 + 300, sm_active="0.5", **(own if part % 2 else pod("flap")))
    ]
    return Case(
        "flapping_label",
        plan("flap", at, told, [run("flap-r", at, gpu_count=1, **pod("flap"))]),
        halves("training_run/flap-r", "1.8"),
        [Question("select count(*) from published.fct_cost_allocation where workload_key like '%dcgm-exporter%'", [(0,)])],
        bug="B27",
    )


def interval_against_label() -> Case:
    """Run a names the GPU all hour; the label of run b stands on it until 10:20. The interval wins, 1,200 s of disagreement are told."""
    at = node("against")
    told = samples(at, TEN, TEN + 1200, sm_active="0.5", **pod("against")) + samples(at, TEN + 1200, TEN + HOUR, sm_active="0.5")
    intervals = [run("against-a", at, gpu_ids=(at.gpus[0].uuid,)), run("against-b", at, last=TEN + 1200, **pod("against"))]
    return Case(
        "interval_against_label",
        plan("against", at, told, intervals),
        halves("training_run/against-a", "1.8"),
        [coverage(at, "interval_against_label_seconds, two_intervals_seconds, label_outside_interval_seconds", 1200, 0, 0)],
    )


def two_intervals_name_one_gpu() -> Case:
    """The later start has it: a holds 10:00-10:30, b 10:30-11:00; for 1,800 s two name it."""
    at = node("contest")
    gpu = (at.gpus[0].uuid,)
    told = samples(at, TEN, TEN + HOUR, sm_active="0.5")
    return Case(
        "two_intervals_name_one_gpu",
        plan("contest", at, told, [run("contest-a", at, gpu_ids=gpu), run("contest-b", at, first=TEN + 1800, gpu_ids=gpu)]),
        {**halves("training_run/contest-a", "0.9"), **halves("training_run/contest-b", "0.9")},
        [coverage(at, "two_intervals_seconds, interval_against_label_seconds", 1800, 0)],
    )


def two_labels_in_one_slot() -> Case:
    """In the slots of the first 10 minutes the label of pod a stands at :00 and that of pod b at :15. Not declared shared: the later sample has
    the slot. 600 s are told, none is split."""
    at = node("twolabels")
    other = {"namespace": "ml", "pod": "twolabels-q"}
    told = samples(at, TEN, TEN + HOUR, sm_active="0.5", **pod("twolabels")) + samples(at, TEN + 15, TEN + 600, sm_active="0.5", **other)
    return Case(
        "two_labels_in_one_slot",
        plan("twolabels", at, told, []),
        {**halves("unregistered/pod/ml/twolabels-q", "0.3"), **halves("unregistered/pod/ml/twolabels-p", "1.5")},
        [coverage(at, "several_labels_seconds", 600)],
    )


def clock_ahead() -> Case:
    """The host's clock is 90 s ahead of the scheduler's: the label is first sampled at 9:58:30, its interval begins at 10:00."""
    at = node("ahead")
    told = samples(at, TEN - 90, TEN + HOUR, sm_active="0.5", **pod("ahead"))
    return Case(
        "clock_ahead",
        plan("ahead", at, told, [run("ahead-r", at, gpu_count=1, **pod("ahead"))]),
        halves("training_run/ahead-r", "1.8"),
        [coverage(at, "label_lead_seconds, label_lag_seconds, label_outside_interval_seconds", 90, 0, 90)],
    )


CASES = [
    two_exporters(),
    repeated_and_out_of_order(),
    irregular_scrapes(),
    exporter_restart(),
    whole_node_gap(),
    label_outlives_its_pod(),
    pod_name_used_again(),
    flapping_label(),
    interval_against_label(),
    two_intervals_name_one_gpu(),
    two_labels_in_one_slot(),
    clock_ahead(),
]
