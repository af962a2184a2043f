"""What the values of telemetry say: scales told by their values, poison, memory in use, the ladder's rungs side by side.

Belongs here: cases about values. Does not: cases about time and labels (case_time.py).
Every hour costs $3.60 per GPU: $0.001 a second. 120 slots of 30 s.
"""

from __future__ import annotations

from dataclasses import replace

from tests.gpu_cases.cases import TEN, Case, Question, Row, charge, node, run, samples
from tests.oracle.plan import Cluster, Node, Sample

HOUR = 3600
POISON = ("4294967295", "808334905", "9223372036854775792", "9223372036854775794", "140737488355328.0", "NaN", "Inf", "-0.5")
BUSY = {"fb_used_mib": "20000"}  # memory in use says that a process is there


def held(name: str, told: list[Sample], slot_seconds: int = 30) -> tuple[Cluster, str]:
    """A node of one GPU, held for the whole hour by one run that names it."""
    at = node(name)
    cluster = Cluster(name, slot_seconds=slot_seconds, nodes=[at], charges=[charge(at, "3.6")], samples=told)
    cluster.intervals = [run(f"{name}-r", at, gpu_ids=(at.gpus[0].uuid,))]
    return cluster, f"training_run/{name}-r"


def quality(at: Node, *rows: tuple[str, int]) -> Question:
    return Question(
        f"select measure, measured_value from published.fct_data_quality where subject = '{at.hostname}' order by measure",  # noqa: S608
        list(rows),
    )


def evidence(name: str, rung: str, coverage: str, discarded: int) -> list[Question]:
    """Rung, coverage and discarded values on the rows of the GPU, the attempt and the run."""
    places = {
        "fct_gpu_utilization": f"node = '{name}-n' and discarded_values + holder_count > 0",
        "fct_run_attempt_cost": f"workload_key = 'training_run/{name}-r'",
        "fct_run_cost": f"workload_key = 'training_run/{name}-r'",
    }
    query = "select activity_rung, activity_coverage_ratio::varchar, discarded_values from published."
    return [Question(f"{query}{table} where {where}", [(rung, coverage, discarded)]) for table, where in places.items()]


def poisoned(told: list[Sample], every: int, metric: str, values: tuple[str, ...] = POISON) -> list[Sample]:
    """Each ``every``-th sample has a value of ``values`` instead of its own."""
    return [replace(s, **{metric: values[n // every % len(values)]}) if n % every == 0 else s for n, s in enumerate(told)]


def ratio_in_percent() -> Case:
    """SM activity delivered as 75 instead of 0.75, two samples of 120 poisoned (1.7 %): 0.75 x 3.60 = 2.70 used, as if nothing was wrong."""
    at = node("pct")
    cluster, who = held("pct", poisoned(samples(at, TEN, TEN + HOUR, sm_active="75", **BUSY), 60, "sm_active"))
    return Case(
        "ratio_in_percent",
        cluster,
        {Row(who, "used"): "2.7", Row(who, "held_idle", "low_activity"): "0.9"},
        # 118 of 120 slots have a value
        [quality(at, ("discarded_activity_values", 2), ("metric_in_percent", 1)), *evidence("pct", "sm_active", "0.983333", 2)],
    )


def utilization_as_ratio() -> Case:
    """GPU_UTIL delivered as 0.75: nothing above 1 and fractions, so a ratio: 2.70 used. Read in percent it would be 0.027."""
    at = node("utilratio")
    cluster, who = held("utilratio", samples(at, TEN, TEN + HOUR, step=15, gpu_util="0.75", **BUSY), slot_seconds=15)
    return Case(
        "utilization_as_ratio",
        cluster,
        {Row(who, "used"): "2.7", Row(who, "held_idle", "low_activity"): "0.9"},
        [quality(at, ("metric_as_ratio", 1)), *evidence("utilratio", "gpu_util", "1.000000", 0)],
    )


def poison_among_equal_values() -> Case:
    """Every tenth of 120 values is poison: the 108 others say 0.75, to the last digit. No memory is told: why it idled is unknown."""
    at = node("poison")
    cluster, who = held("poison", poisoned(samples(at, TEN, TEN + HOUR, sm_active="0.75"), 10, "sm_active"))
    return Case(
        "poison_among_equal_values",
        cluster,
        {Row(who, "used"): "2.7", Row(who, "held_idle", "process_unknown"): "0.9"},
        [quality(at, ("discarded_activity_values", 12)), *evidence("poison", "sm_active", "0.900000", 12)],
        bug="B30",
    )


def poison_among_varying_values() -> Case:
    """0.2 and 0.6 by turns, one of the 0.2 poisoned: (59 x 0.2 + 60 x 0.6) / 119 = 47.8 / 119 = 0.401681 (rounded to millionths);
    3.60 x 0.401681 = 1.4460516. True is 0.4 x 3.60 = 1.44: off by less than the dropped 1/120 of the hour."""
    at = node("varying")
    told = [replace(s, sm_active="0.2" if n % 2 == 0 else "0.6") for n, s in enumerate(samples(at, TEN, TEN + HOUR, **BUSY))]
    cluster, who = held("varying", poisoned(told, 120, "sm_active"))
    return Case(
        "poison_among_varying_values",
        cluster,
        {Row(who, "used"): "1.4460516", Row(who, "held_idle", "low_activity"): "2.1539484"},
        evidence("varying", "sm_active", "0.991666", 1),
        bug="B30",
    )


def ratio_with_strays_above_one() -> Case:
    """Two of 120 values of a ratio lie above 1 (50, 1.5): no percentage, nothing clamped. The 118 others say 0.5."""
    at = node("strays")
    cluster, who = held("strays", poisoned(samples(at, TEN, TEN + HOUR, sm_active="0.5", **BUSY), 60, "sm_active", ("50", "1.5")))
    return Case(
        "ratio_with_strays_above_one",
        cluster,
        {Row(who, "used"): "1.8", Row(who, "held_idle", "low_activity"): "1.8"},
        [quality(at, ("discarded_activity_values", 2)), *evidence("strays", "sm_active", "0.983333", 2)],
    )


def held_without_a_process() -> Case:
    """Active 0.25 all hour; 50 MiB in use for the first half (no process fits), 20,000 MiB for the second. Of the idle 0.75: no process
    0.5 x 3.60 = 1.80, low activity 0.25 x 3.60 = 0.90. A blank memory value is dropped and counted."""
    at = node("noproc")
    told = samples(at, TEN, TEN + 1800, sm_active="0.25", fb_used_mib="50")
    told += samples(at, TEN + 1800, TEN + HOUR, sm_active="0.25", **BUSY)
    told += samples(at, TEN + 10, TEN + 11, sm_active="0.25", fb_used_mib="9223372036854775794")
    cluster, who = held("noproc", told)
    return Case(
        "held_without_a_process",
        cluster,
        {Row(who, "used"): "0.9", Row(who, "held_idle", "no_process"): "1.8", Row(who, "held_idle", "low_activity"): "0.9"},
        [quality(at, ("discarded_meter_values", 1))],
    )


def rungs_side_by_side() -> Case:
    """SM activity 0.25, graphics engine 0.5, utilization 100 %: 0.90, 1.80 or 3.60 of the hour's 3.60 used. The ledger goes by the first."""
    at = node("rungs")
    cluster, who = held("rungs", samples(at, TEN, TEN + HOUR, sm_active="0.25", gr_engine_active="0.5", gpu_util="100", **BUSY))
    columns = "used_cost_usd, held_idle_cost_usd, unknown_cost_usd, used_difference_usd, measured_gpu_seconds, coverage_ratio"
    return Case(
        "rungs_side_by_side",
        cluster,
        {Row(who, "used"): "0.9", Row(who, "held_idle", "low_activity"): "2.7"},
        [
            Question(
                "select activity_rung, ledger_activity_rung, "  # noqa: S608
                + ", ".join(f"{c}::double" for c in columns.split(", "))
                + f" from published.fct_activity_sensitivity where workload_key = '{who}' order by 1",  # noqa: S608
                [
                    ("gpu_util", "sm_active", 3.6, 0.0, 0.0, 2.7, 3600.0, 1.0),
                    ("gr_engine_active", "sm_active", 1.8, 1.8, 0.0, 0.9, 3600.0, 1.0),
                    ("sm_active", "sm_active", 0.9, 2.7, 0.0, 0.0, 3600.0, 1.0),
                ],
            )
        ],
    )


def rung_of_half_the_gpus() -> Case:
    """Two GPUs, $7.20: GPU 0 tells SM activity 0.5 and utilization 100, GPU 1 utilization 50 only. The ladder: 1.80 + 1.80 used. By SM
    activity alone GPU 1 is unknown (3.60) and 1.80 used; by utilization alone 3.60 + 1.80 used."""
    at = node("halfrung", count=2)
    told = samples(at, TEN, TEN + HOUR, sm_active="0.5", gpu_util="100", **BUSY) + samples(
        at, TEN, TEN + HOUR, index=1, gpu_util="50", **BUSY
    )
    cluster = Cluster("halfrung", nodes=[at], charges=[charge(at, "7.2")], samples=told)
    cluster.intervals = [run("halfrung-r", at, gpu_ids=tuple(g.uuid for g in at.gpus))]
    who = "training_run/halfrung-r"
    return Case(
        "rung_of_half_the_gpus",
        cluster,
        {Row(who, "used"): "3.6", Row(who, "held_idle", "low_activity"): "3.6"},
        [
            Question(
                "select activity_rung, ledger_activity_rung, used_cost_usd::double, held_idle_cost_usd::double, unknown_cost_usd::double,"  # noqa: S608
                f" used_difference_usd::double, coverage_ratio::double from published.fct_activity_sensitivity where workload_key = '{who}'"  # noqa: S608
                " order by 1",
                [("gpu_util", "mixed", 5.4, 1.8, 0.0, 1.8, 1.0), ("sm_active", "mixed", 1.8, 1.8, 3.6, -1.8, 0.5)],
            )
        ],
    )


CASES = [
    ratio_in_percent(),
    utilization_as_ratio(),
    poison_among_equal_values(),
    poison_among_varying_values(),
    ratio_with_strays_above_one(),
    held_without_a_process(),
    rungs_side_by_side(),
    rung_of_half_the_gpus(),
]
