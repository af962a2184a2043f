"""The plain cases that every other one departs from: GPUs held by one run each, for all of an hour or for half of it.

Belongs here: nothing but the baseline.
"""

from __future__ import annotations

from tests.gpu_cases.cases import TEN, Case, Question, Row, charge, node, run, samples
from tests.oracle.plan import Cluster


def half_held() -> Case:
    """$3.60 for the hour, $0.001 a second. Held 10:00-10:30 at activity 0.75: 1,800 s = $1.80, of which 0.75 x 1.80 = $1.35 used and $0.45
    held idle (memory in use says that a process was there); then 1,800 s observed at 0: $1.80 idle."""
    at = node("plain")
    held = samples(at, TEN, TEN + 1800, sm_active="0.75", fb_used_mib="20000")
    cluster = Cluster("plain", nodes=[at], charges=[charge(at, "3.6")], samples=held + samples(at, TEN + 1800, TEN + 3600, sm_active="0"))
    cluster.intervals = [run("plain-r", at, TEN, TEN + 1800, gpu_ids=(at.gpus[0].uuid,))]
    who = "training_run/plain-r"
    return Case(
        "half_held",
        cluster,
        ledger={Row(who, "used"): "1.35", Row(who, "held_idle", "low_activity"): "0.45", Row(None, "unallocated_idle"): "1.8"},
        questions=[
            Question(
                "select distinct activity_rung, activity_coverage_ratio::varchar from published.fct_cost_allocation"
                " where workload_key = 'training_run/plain-r'",
                [("sm_active", "1.000000")],
            )
        ],
    )


def used_is_not_held() -> Case:
    """Two GPUs at $3.60, held for the whole hour by two runs, active 0.1 and 0.9: used $0.36 and $3.24, one to nine; idle the rest of each $3.60."""
    at = node("b24", 2)
    busy = [samples(at, TEN, TEN + 3600, index=n, sm_active=value, fb_used_mib="20000") for n, value in enumerate(("0.1", "0.9"))]
    cluster = Cluster("b24", nodes=[at], charges=[charge(at, "7.2")], samples=busy[0] + busy[1])
    cluster.intervals = [run("b24-low", at, gpu_ids=(at.gpus[0].uuid,)), run("b24-high", at, gpu_ids=(at.gpus[1].uuid,))]
    return Case(
        "used_cost_goes_by_activity",
        cluster,
        ledger={
            Row("training_run/b24-low", "used"): "0.36",
            Row("training_run/b24-low", "held_idle", "low_activity"): "3.24",
            Row("training_run/b24-high", "used"): "3.24",
            Row("training_run/b24-high", "held_idle", "low_activity"): "0.36",
        },
        bug="B24",
    )


CASES = [half_held(), used_is_not_held()]
