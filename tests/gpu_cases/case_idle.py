"""Idle by kind and owner, and what became of interrupted work: worked cases.

Belongs here: which dollars are idle or unexplained, whose they are, and how attempts ended. Does not: how they came into their class.

2026-10-06 is a Tuesday: its hour 10 is hour 24 + 10 = 34 of the week. Every GPU-second costs $0.001 unless said otherwise.
"""

from __future__ import annotations

from decimal import Decimal

from tests.gpu_cases.cases import TEN, Case, Question, Row, charge, node, run, samples
from tests.oracle.plan import Charge, Cluster

WHERE = (
    "select idle_kind, reason, owner_team, owner_basis, workload_key, outcome, is_rolled_back, hour_of_week, sum(cost_usd), sum(gpu_seconds)"
    " from published.fct_idle_cost where {} group by all order by all"
)
TUESDAY_TEN = 34


def dollars(text: str) -> Decimal:
    return Decimal(text)


def owned() -> Case:
    """Two GPUs in vision's pool, $7.20. GPU 0: nlp's run holds it 10:00-10:30 at 0.75 (1,800 s: $1.35 used, $0.45 held idle: nlp's), then nobody
    and idle: $1.80, vision's. GPU 1: busy at 0.5 for nobody known, 3,600 s = $3.60: it worked, so it is unexplained, and in vision's pool."""
    at = node("idle-owned", 2, labels='{"team": "vision"}', pool="idle-train")
    held = samples(at, TEN, TEN + 1800, sm_active="0.75", fb_used_mib="20000")
    free = samples(at, TEN + 1800, TEN + 3600, sm_active="0.005")
    busy = samples(at, TEN, TEN + 3600, index=1, sm_active="0.5")
    cluster = Cluster("idle-owned", nodes=[at], charges=[charge(at, "7.2")], samples=held + free + busy)
    cluster.intervals = [
        run("idle-owned-r", at, TEN, TEN + 1800, gpu_ids=(at.gpus[0].uuid,), state="COMPLETED", labels='{"team": "nlp"}'),
    ]
    who = "training_run/idle-owned-r"
    return Case(
        "idle_owned",
        cluster,
        questions=[
            Question(
                "select idle_kind, finding, owner_team, owner_basis, workload_key, outcome, is_rolled_back, hour_of_week, sum(cost_usd),"
                " sum(gpu_seconds) from published.fct_idle_cost where pool = 'idle-train' group by all order by all",
                [
                    ("active_unlabelled", "unexplained", "vision", "pool", None, None, None, TUESDAY_TEN, dollars("3.6"), dollars("3600")),
                    (
                        "held_idle",
                        "bought_nothing",
                        "nlp",
                        "workload",
                        who,
                        "succeeded",
                        False,
                        TUESDAY_TEN,
                        dollars("0.45"),
                        dollars("450"),
                    ),
                    (
                        "unallocated_idle",
                        "bought_nothing",
                        "vision",
                        "pool",
                        None,
                        None,
                        None,
                        TUESDAY_TEN,
                        dollars("1.8"),
                        dollars("1800"),
                    ),
                ],
            ),
            # the run that succeeded: $1.80, nothing of it thrown away
            Question(
                "select outcome, succeeded_cost_usd, failed_cost_usd, rolled_back_cost_usd, rolled_back_gpu_seconds, rollback_unknown_cost_usd"  # noqa: S608
                f" from published.fct_run_cost where workload_key = '{who}'",
                [("succeeded", dollars("1.8"), 0, 0, 0, 0)],
            ),
            # the heat map's day: GPU 0 was held 1,800 s, 1,350 s of 3,600 worked (and 0.005 x 1,800 = 9 s for nobody); idle 2,250 of 3,600
            Question(
                "select gpu_key[-1:], covered_seconds, active_seconds, idle_ratio, known_ratio, cost_usd, held_idle_cost_usd, pricing_status"
                " from published.fct_gpu_utilization_daily where node = 'idle-owned-n' and usage_date = '2026-10-06' order by 1",
                [
                    ("0", 3600, dollars("1359"), 0.625, 1.0, dollars("3.6"), dollars("0.45"), "priced"),
                    ("1", 3600, dollars("1800"), 0.0, 1.0, dollars("3.6"), 0, "priced"),
                ],
            ),
        ],
    )


def orphan() -> Case:
    """Nobody's pool: observed idle until 10:30, filled for 120 s (1,920 s = $1.92), then silent: 1,680 s = $1.68 unknown, never idle. No tag names
    a team: only the account has it."""
    at = node("idle-orphan", pool="idle-orphan")
    cluster = Cluster("idle-orphan", nodes=[at], charges=[charge(at, "3.6")], samples=samples(at, TEN, TEN + 1800, sm_active="0"))
    return Case(
        "idle_orphan",
        cluster,
        ledger={Row(None, "unallocated_idle"): "1.92", Row(None, "unknown", "no_samples"): "1.68"},
        questions=[
            Question(
                WHERE.format("pool = 'idle-orphan'"),
                [
                    ("unallocated_idle", None, None, "account", None, None, None, TUESDAY_TEN, dollars("1.92"), dollars("1920")),
                    ("unknown", "no_samples", None, "account", None, None, None, TUESDAY_TEN, dollars("1.68"), dollars("1680")),
                ],
            ),
            # of the day's 3,600 billed seconds 1,920 are known (0.5333...), all of them idle
            Question(
                "select idle_ratio, round(known_ratio, 9), activity_ratio, unknown_seconds from published.fct_gpu_utilization_daily"
                " where node = 'idle-orphan-n' and usage_date = '2026-10-06'",
                [(1.0, 0.533333333, 0.0, dollars("1680"))],
            ),
        ],
    )


def dark() -> Case:
    """A node of speech's pool that nobody hears of: $3.60 unknown, and every ratio of its GPU is NULL, not 0."""
    at = node("idle-dark", labels='{"team": "speech"}', pool="idle-dark")
    cluster = Cluster("idle-dark", nodes=[at], charges=[charge(at, "3.6")])
    return Case(
        "idle_dark",
        cluster,
        questions=[
            Question(
                "select idle_kind, finding, reason, owner_team, owner_basis, cost_usd, gpu_seconds from published.fct_idle_cost where pool = 'idle-dark'",
                [("node_without_telemetry", "unexplained", "node_without_telemetry", "speech", "pool", dollars("3.6"), None)],
            ),
            Question(
                "select activity_ratio, idle_ratio, known_ratio, unknown_seconds from published.fct_gpu_utilization_daily"
                " where node = 'idle-dark-n' and usage_date = '2026-10-06'",
                [(None, None, 0.0, dollars("3600"))],
            ),
            Question("select gpu_state, idle_since_hour from published.fct_idle_gpu where node = 'idle-dark-n'", []),
        ],
    )


def stranded() -> Case:
    """Two 3g instances of seven slices: 1/7 of $3.78 = $0.54 is stranded, in the pool of its owner; the rest works."""
    at = node("idle-mig", labels='{"team": "vision"}', pool="idle-mig")
    busy = [
        sample
        for number in ("1", "2")
        for sample in samples(
            at,
            TEN,
            TEN + 3600,
            gr_engine_active="1",
            mig_profile="3g.40gb",
            mig_instance_id=number,
            namespace="idle-mig",
            pod=f"m-{number}",
        )
    ]
    cluster = Cluster("idle-mig", nodes=[at], charges=[charge(at, "3.78")], samples=busy)
    return Case(
        "idle_stranded",
        cluster,
        questions=[
            Question(
                "select idle_kind, reason, owner_team, owner_basis, cost_usd from published.fct_idle_cost where pool = 'idle-mig'",
                [("stranded", "outside_any_instance", "vision", "pool", dollars("0.54"))],
            )
        ],
    )


def unused() -> Case:
    """An hour of a capacity reservation that no instance took: $2, bought nothing, the account's."""
    row = Charge("cr-idle-unused", TEN, usage_type="UnusedBox:p4d.24xlarge", unblended="2")
    return Case(
        "idle_unused_capacity",
        Cluster("idle-unused", charges=[row]),
        questions=[
            Question(
                "select idle_kind, finding, reason, owner_basis, node, cost_usd, gpu_seconds from published.fct_idle_cost"
                " where reason = 'capacity_reservation'",
                [("unused_commitment", "bought_nothing", "capacity_reservation", "account", None, dollars("2"), None)],
            )
        ],
    )


def interrupted() -> Case:
    """Four attempts of one run on one GPU, 10:00-14:00 at 0.5, $14.40.

    1: 10:00-11:30, FAILED, checkpoint at 10:45: $5.40, of which 45 min = 2,700 s = $2.70 are behind it (half of that idle: $1.35).
    2: 11:30-12:30, PREEMPTED, says nothing of a checkpoint: $3.60, and nobody knows how much of it was lost.
    3: 12:30-13:30, evicted, labelled rolled back: all $3.60 lost ($1.80 idle).
    4: 13:30-14:00, COMPLETED: $1.80 ($0.90 idle), nothing lost.
    Of the window 10-11 attempt 1 holds 3,600 s, 900 s behind the checkpoint: 1/4 of its idle $1.80 = $0.45; with $0.90 of 11:00-11:30 $1.35.
    """
    at = node("idle-lost", last=TEN + 4 * 3600, pool="idle-lost")
    cluster = Cluster(
        "idle-lost",
        nodes=[at],
        charges=[charge(at, "3.6", TEN + h * 3600) for h in range(4)],
        samples=samples(at, TEN, TEN + 4 * 3600, sm_active="0.5", fb_used_mib="20000"),
    )
    gpu = (at.gpus[0].uuid,)
    half = 1800
    cluster.intervals = [
        run(
            "idle-lost-r",
            at,
            TEN,
            TEN + 3 * half,
            "1",
            gpu_ids=gpu,
            state="FAILED",
            labels='{"last_checkpoint_at": "2026-10-06T10:45:00Z"}',
        ),
        run("idle-lost-r", at, TEN + 3 * half, TEN + 5 * half, "2", gpu_ids=gpu, state="PREEMPTED"),
        run("idle-lost-r", at, TEN + 5 * half, TEN + 7 * half, "3", gpu_ids=gpu, state="Failed: Evicted", labels='{"rolled_back": "True"}'),
        run("idle-lost-r", at, TEN + 7 * half, TEN + 8 * half, "4", gpu_ids=gpu, state="COMPLETED"),
    ]
    who = "training_run/idle-lost-r"
    return Case(
        "idle_interrupted",
        cluster,
        questions=[
            Question(
                "select attempt_id, outcome, is_rolled_back, run_cost_usd, rolled_back_cost_usd, held_gpu_seconds, rolled_back_gpu_seconds"  # noqa: S608
                f" from published.fct_run_attempt_cost where workload_key = '{who}' order by 1",
                [
                    ("1", "failed", True, dollars("5.4"), dollars("2.7"), 5400, 2700),
                    ("2", "preempted", None, dollars("3.6"), None, 3600, None),
                    ("3", "preempted", True, dollars("3.6"), dollars("3.6"), 3600, 3600),
                    ("4", "succeeded", False, dollars("1.8"), 0, 1800, 0),
                ],
            ),
            Question(
                "select outcome, run_cost_usd, succeeded_cost_usd, failed_cost_usd, preempted_cost_usd, other_outcome_cost_usd, rolled_back_cost_usd,"  # noqa: S608
                f" rollback_unknown_cost_usd, rolled_back_gpu_seconds from published.fct_run_cost where workload_key = '{who}'",
                [("succeeded", *map(dollars, ("14.4", "1.8", "5.4", "7.2", "0", "6.3", "3.6", "6300")))],
            ),
            Question(
                "select outcome, is_rolled_back, sum(cost_usd), sum(gpu_seconds) from published.fct_idle_cost where pool = 'idle-lost'"
                " group by all order by 1, 2",
                [
                    ("failed", False, dollars("1.35"), 1350),
                    ("failed", True, dollars("1.35"), 1350),
                    ("preempted", True, dollars("1.8"), 1800),
                    ("preempted", None, dollars("1.8"), 1800),
                    ("succeeded", False, dollars("0.9"), 900),
                ],
            ),
            Question(f"select state, outcome from published.dim_workload where workload_key = '{who}'", [("COMPLETED", "succeeded")]),  # noqa: S608
        ],
    )


CASES = [owned(), orphan(), dark(), stranded(), unused(), interrupted()]
