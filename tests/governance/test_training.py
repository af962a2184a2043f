"""What a model that came out cost, and whether training it again pays: over hand-made runs, with every figure worked here.

Belongs here: fct_model_version_run, fct_model_version_cost, fct_retrain_gain, fct_retrain_cadence and what they say in levers and alerts.
Does not: what a single run costs (dbt unit tests of fct_run_cost).
"""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Callable
from decimal import Decimal
from math import comb, sqrt
from typing import Any

import duckdb
import pytest
from jinja2 import Environment

from pipelines import dbt
from pipelines.settings import Settings
from tests.empty_warehouse import put
from tests.governance.inline import compiled

FIRST = dt.date(2026, 9, 1)
MODELS = "fct_model_version_run fct_model_version_cost fct_retrain_gain fct_retrain_cadence"
NIGHTLY = {"model": "ranker", "team": "search", "environment": "production"}
WORTH = {"training": {"models": {"ranker": {"metric": "accuracy", "value_per_quality_point_usd": 1000}}}}


def at(day: int, hour: float) -> dt.datetime:
    """Day 1 is the first published one."""
    return dt.datetime.combine(FIRST, dt.time()) + dt.timedelta(days=day - 1, hours=hour)


def run(name: str, day: int, hour: float, outcome: str, cost: str | None, **more: Any) -> dict[str, Any]:
    """A row of fct_run_cost; by default nothing of it idled and no attempt was interrupted."""
    cost_usd = None if cost is None else Decimal(cost)
    zero = None if cost is None else Decimal(0)
    return {
        "workload_key": f"training_run/{name}", "run_id": name, **NIGHTLY, "outcome": outcome, "started_at": at(day, hour),
        "ended_at": None if outcome == "running" else at(day, hour + 1), "first_usage_date": at(day, hour).date(),
        "last_usage_date": at(day, hour).date(), "pricing_status": "awaiting_bill" if cost is None else "priced", "held_gpu_seconds": 3600,
        "used_gpu_seconds": 1800, "run_cost_usd": cost_usd, "held_idle_cost_usd": zero, "unknown_cost_usd": zero, "failed_cost_usd": zero,
        "preempted_cost_usd": zero, **more,
    }  # fmt: skip


def measured(name: str, day: int, quality: str, **more: Any) -> dict[str, Any]:
    """A row of fct_model_quality, at noon."""
    return {
        "usage_date": at(day, 12).date(), "model": "ranker", "model_version": f"v-{name}", "run_id": name, "metric": "accuracy",
        "evaluation_set": "golden", "quality": Decimal(quality), "is_higher_better": True, "measured_at": at(day, 12), **more,
    }  # fmt: skip


# Eight nights of $10, $2 of it idle. Before r3 a run failed for $4 ($1 idle); $3 of r6 are on attempts that failed. After r8 a run failed
# for $7, and one still runs, $1 so far.
RUNS = [
    *(run(f"r{n}", n, 1, "succeeded", "10", held_idle_cost_usd=Decimal(2), failed_cost_usd=Decimal(3 if n == 6 else 0)) for n in range(1, 9)),
    run("f2", 2, 20, "failed", "4", held_idle_cost_usd=Decimal(1), failed_cost_usd=Decimal(4)),
    run("f8", 8, 20, "failed", "7", failed_cost_usd=Decimal(7)),
    run("x9", 9, 1, "running", "1"),
]  # fmt: skip
# gains of r2..r8: 0.001, 0.001, 0.0005, 0.001, 0.0005, 0.001, 0.0005
QUALITY = [measured(f"r{n}", n, q) for n, q in enumerate(("0.8", "0.801", "0.802", "0.8025", "0.8035", "0.804", "0.805", "0.8055"), 1)]


def filler(runs: list[dict[str, Any]], quality: list[dict[str, Any]], workloads: list[dict[str, Any]] | None = None, days: int = 10):
    def fill(connection) -> None:
        put(connection, "dim_date", [{"usage_date": FIRST + dt.timedelta(days=n), "month_start": FIRST} for n in range(days)])
        put(connection, "fct_run_cost", runs)
        put(connection, "fct_model_quality", quality)
        put(connection, "dim_workload", workloads or [])

    return fill


def one(connection, query: str) -> dict[str, Any]:
    found = connection.execute(query)
    names = [column[0] for column in found.description]
    [row] = found.fetchall()
    return dict(zip(names, row, strict=True))


@pytest.fixture(scope="session")
def said(built: Settings) -> Callable[..., list[dict[str, Any]]]:
    """``said(connection, macro)`` -> the rows that a lever or alert macro makes of fct_retrain_cadence, as fct_lever and fct_alert take them."""
    macros = ("training_levers", "training_alerts")
    queries = dict(zip(macros, compiled(built, *(f"{macro}(ref('fct_retrain_cadence'))" for macro in macros)), strict=True))

    def rows(connection: duckdb.DuckDBPyConnection, name: str) -> list[dict[str, Any]]:
        found = connection.execute(queries[name])
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    return rows


def test_the_cost_of_a_version_includes_what_failed_before_it(governed) -> None:
    connection = governed(filler(RUNS, QUALITY), WORTH, MODELS)
    rows = connection.execute(
        "select run_id, row_kind, version_cost_usd, own_cost_usd, own_interrupted_cost_usd, failed_run_cost_usd, running_run_cost_usd, run_count,"
        " failed_run_count, running_run_count, incomplete_reason from published.fct_model_version_cost order by started_at nulls last"
    ).fetchall()
    plain = [(f"r{n}", "version", 10, 10, 0, 0, 0, 1, 0, 0, None) for n in range(1, 9)]
    plain[0] = (*plain[0][:-1], "no_earlier_version")
    plain[2] = ("r3", "version", 14, 10, 0, 4, 0, 2, 1, 0, None)  # f2's $4
    plain[5] = ("r6", "version", 10, 10, 3, 0, 0, 1, 0, 0, None)
    assert rows == [*plain, (None, "open", 8, None, None, 7, 1, 2, 1, 1, None)]
    # 8 x 10 + 4 + 7 + 1 = 92, once
    assert one(connection, "select sum(version_cost_usd) as total from published.fct_model_version_cost") == {"total": Decimal(92)}


def test_a_nightly_retrain_that_does_not_pay(governed, said) -> None:
    """r1 has no version before it: 7 retrains for 6 x 10 + 14 = 74. A point (0.01) is worth $1,000 a year, so $1000/365 a night; the median gain of
    0.001 is a tenth of it."""
    connection = governed(filler(RUNS, QUALITY), WORTH, MODELS)
    row = one(connection, "select * from published.fct_retrain_cadence")
    expected = {
        **NIGHTLY, "window_to": dt.date(2026, 9, 10), "version_count": 8, "retrain_count": 7, "uncounted_version_count": 1, "open_run_count": 2,
        "open_cost_usd": Decimal(8), "retrain_cost_usd": Decimal(74),
        "interrupted_cost_usd": Decimal(7),  # f2's 4, and 3 in r6
        "held_idle_cost_usd": Decimal(15),  # 7 x 2 + 1
        "cost_per_retrain_usd": Decimal("10.571428571429"),  # 74 / 7 = 10.571428571428571...
        "cost_per_retrain_p50_usd": Decimal(10),
        "cost_per_retrain_p90_usd": Decimal(14),  # 0.9 x 7 = 6.3: the seventh
        "interval_days": Decimal(1), "metric": "accuracy", "evaluation_set": "golden", "measured_gain_count": 7,
        "quality_gain_p50": Decimal("0.001"),  # the fourth of .0005 .0005 .0005 .001 .001 .001 .001
        "quality_gain_low": Decimal("0.0005"), "quality_gain_high": Decimal("0.001"),  # below 8 values: the first and the last
        "noise_floor": None, "unmatched_version_count": 0,
        "value_per_retrain_usd": Decimal("0.273972602740"),  # 1000 x 0.1 / 365
        "net_value_per_retrain_usd": Decimal("-10.297455968689"),
        "break_even_gain": Decimal("0.038585714286"),  # 10.571428... x 0.01 x 365 / 1000
        "break_even_reason": None,
        "break_even_value_per_point_usd": Decimal("38585.714285715850"),  # 10.571428571429 x 0.01 / 0.001 x 365
        "observed_yearly_cost_usd": Decimal("3858.571428571585"),  # x 365
        "weekly_yearly_cost_usd": Decimal("551.224489795941"),  # x 365 / 7
        "monthly_yearly_cost_usd": Decimal("126.857142857148"),  # x 12
        "observed_yearly_staleness_usd": Decimal("50.000000000050"),  # 0.27397260274 x 365 / 2
        "weekly_yearly_staleness_usd": Decimal("350.000000000350"),  # x 7
        "monthly_yearly_staleness_usd": Decimal("1520.833333334854"),  # 0.27397260274 x 365 x 365 / 24
        "nightly_yearly_net_value_usd": Decimal(0),
        "weekly_yearly_net_value_usd": Decimal("3007.346938775344"),  # 3908.571428571635 - 901.224489796291
        "cheapest_cadence": "weekly", "verdict": "does_not_pay", "verdict_reason": "gain_worth_less", "is_active": True,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert row["break_even_interval_days"] == pytest.approx(sqrt(74 / 7 * 3.65))  # value grows with the square of the interval
    assert row["interrupted_ratio"] == pytest.approx(7 / 74) and row["held_idle_ratio"] == pytest.approx(15 / 74)
    assert row["what_would_change"] == (
        "it pays from a gain of 0.038586 accuracy per retrain on (median now 0.001000), or below $0.27 per retrain (now $10.57),"
        " or when it runs every 6.2 days or less often (now every 1.0)"
    )
    # the lever: day 2 to day 8 are 7 days, weekly would have been one retrain: 74 - 10.571428571429 = 63.428571428571; x 365 / (12 x 7) a month
    [lever] = said(connection, "training_levers")
    assert (lever["lever_kind"], lever["scope"], lever["team"]) == ("change_retrain_cadence", "ranker", "search")
    assert (lever["observed_from"], lever["observed_to"], lever["observed_days"]) == (dt.date(2026, 9, 2), dt.date(2026, 9, 8), 7)
    assert (lever["observed_cost_usd"], lever["saving_usd"]) == (Decimal(74), Decimal("63.428571428571"))
    assert lever["saving_usd_per_month"] == Decimal("275.612244897957")
    evidence = json.loads(lever["evidence"])
    assert list(evidence) == sorted(evidence) and evidence["proposed_cadence"] == "weekly" and evidence["measured_gain_count"] == 7
    [alert] = said(connection, "training_alerts")
    # 10.297455968689 lost a night x 365 / 12
    assert (alert["alert_kind"], alert["amount_usd"]) == ("retrain_does_not_pay", Decimal("313.214285714290"))
    assert alert["message"].startswith(
        "Retraining ranker every 1.0 days costs $10.57 and brings $0.27. What would change that: it pays from"
    )
    assert json.loads(alert["evidence"])["cheapest_cadence"] == "weekly"


UNCERTAIN: dict[str, tuple[dict[str, Any] | None, list[dict[str, Any]]]] = {
    "value_per_quality_point_unknown": (None, QUALITY),
    "quality_unknown": ({"value_per_quality_point_usd": 1000, "evaluation_set": "other"}, QUALITY),
    "too_few_measured_gains": ({"value_per_quality_point_usd": 1000}, QUALITY[:5]),  # four gains
    # a retrain costs 10.57 in the mean, 10 in the median; the median gain, which is the high one too, is worth 38,000 x 0.1 / 365 = 10.41
    "a_few_dear_retrains": ({"value_per_quality_point_usd": 38_000}, QUALITY),
    # high 13.70, low 6.85: on both sides of the cost
    "gain_too_near_break_even": ({"value_per_quality_point_usd": 50_000}, QUALITY),
    # low 13.70 > 10.57, but gains up to 0.002 are chance
    "gain_within_noise": ({"value_per_quality_point_usd": 100_000, "noise_floor": "0.002"}, QUALITY),
    "out_of_range": ({"value_per_quality_point_usd": 1_000_000_000, "quality_point": "0.000000000001"}, QUALITY),
}


def named(model: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows as those of another model, whose runs have names of their own."""
    renamed = [row | {"model": model, "run_id": f"{model}-{row['run_id']}"} for row in rows]
    return [row | ({"workload_key": f"training_run/{row['run_id']}"} if "workload_key" in row else {}) for row in renamed]


def test_what_is_not_certain_is_unknown_and_silent(governed, said) -> None:
    """One model per reason, each with the nights above."""
    runs = [row for reason in UNCERTAIN for row in named(reason, RUNS)]
    quality = [row for reason, (_, measurements) in UNCERTAIN.items() for row in named(reason, measurements)]
    worth = {"training": {"models": {reason: worth for reason, (worth, _) in UNCERTAIN.items() if worth}}}
    connection = governed(filler(runs, quality), worth, MODELS)
    columns = "model, verdict, verdict_reason, retrain_count, break_even_gain is null, break_even_reason is null, what_would_change"
    rows = connection.execute(f"select {columns} from published.fct_retrain_cadence order by model").fetchall()  # noqa: S608
    assert [row[:4] for row in rows] == [(reason, "unknown", reason, 7) for reason in sorted(UNCERTAIN)]
    assert all(no_gain != no_reason and change for *_, no_gain, no_reason, change in rows)
    changes = {row[0]: row[-1] for row in rows}
    assert changes["too_few_measured_gains"] == "measured gains of at least 5 retrains on one evaluation set; now 4"
    assert changes["value_per_quality_point_unknown"].endswith(
        "it pays if a point is worth more than $38585.71"
    )  # 10.571428... x 0.01 / 0.001 x 365
    assert said(connection, "training_levers") == [] and said(connection, "training_alerts") == []


def test_a_retrain_pays_where_even_the_low_gain_is_worth_more(governed, said) -> None:
    """The low gain of 0.0005: 100,000 x 0.05 / 365 = $13.70 > $10.57; repeated measurements differ by 0.0001 only."""
    again = [
        measured(f"r{n}", n + 1, q, usage_date=at(n + 1, 13).date(), measured_at=at(n + 1, 13)) for n, q in ((2, "0.8011"), (3, "0.8019"))
    ]
    worth = {"training": {"models": {"ranker": {"value_per_quality_point_usd": 100_000}}}}
    connection = governed(filler(RUNS, [*QUALITY, *again]), worth, MODELS)
    row = one(
        connection,
        "select verdict, noise_floor, noise_basis, value_per_retrain_low_usd, quality_gain_p50 from published.fct_retrain_cadence",
    )
    # a repeat after the next version's first measurement changes no gain
    assert row == {
        "verdict": "pays", "noise_floor": Decimal("0.0001"), "noise_basis": "repeated_measurements",
        "value_per_retrain_low_usd": Decimal("13.698630136986"), "quality_gain_p50": Decimal("0.001"),
    }  # fmt: skip
    assert said(connection, "training_alerts") == []


def test_a_model_that_is_no_longer_trained_raises_nothing(governed, said) -> None:
    """The last version began on day 8; three intervals and a day later it is not active: day 20 is past that."""
    connection = governed(filler(RUNS, QUALITY, days=20), WORTH, MODELS)
    assert one(connection, "select verdict, is_active from published.fct_retrain_cadence") == {
        "verdict": "does_not_pay",
        "is_active": False,
    }
    assert said(connection, "training_levers") == [] and said(connection, "training_alerts") == []


def test_trials_are_part_of_their_parents_version_and_speak_for_it(governed) -> None:
    """Sweep p (no cost of its own) has trials a ($3), b ($5, failed) and c ($4); sweep q then d ($6). The parents' runs cost nothing, so they are in
    dim_workload alone. c is the better trial: 0.9 against 0.7. q's own measurement speaks before d's."""
    runs = [run("a", 1, 2, "succeeded", "3"), run("b", 1, 3, "failed", "5", failed_cost_usd=Decimal(5)), run("c", 1, 4, "succeeded", "4"), run("d", 2, 2, "succeeded", "6")]  # fmt: skip

    def workload(name: str, day: int, parent: str | None, outcome: str) -> dict[str, Any]:
        return {
            "workload_key": f"training_run/{name}", "workload_id": name, "parent_workload_key": parent and f"training_run/{parent}", **NIGHTLY,
            "outcome": outcome, "started_at": at(day, 1),
        }  # fmt: skip

    workloads = [workload("p", 1, None, "succeeded"), workload("q", 2, None, "succeeded")]
    workloads += [workload(r["run_id"], 1, "q" if r["run_id"] == "d" else "p", r["outcome"]) for r in runs]
    quality = [
        measured("a", 1, "0.7"),
        measured("c", 1, "0.9"),
        measured("q", 2, "0.95"),
        measured("d", 2, "0.99"),
        measured("nobody", 2, "0.1"),
    ]
    connection = governed(filler(runs, quality, workloads), None, MODELS)
    costs = "select run_id, version_cost_usd, own_interrupted_cost_usd, run_count from published.fct_model_version_cost order by 1"
    assert connection.execute(costs).fetchall() == [("p", 12, 5, 3), ("q", 6, 0, 1)]
    gains = "select run_id, quality, previous_quality, quality_gain, no_gain_reason from published.fct_retrain_gain order by 1"
    assert connection.execute(gains).fetchall() == [
        ("p", Decimal("0.9"), None, None, "no_earlier_version"),
        ("q", Decimal("0.95"), Decimal("0.9"), Decimal("0.05"), None),
    ]
    assert one(connection, "select unmatched_version_count from published.fct_retrain_cadence") == {"unmatched_version_count": 1}


def test_missing_dollars_are_never_nothing(governed) -> None:
    """r2 waits for its bill: no figure for it, and it is not a counted retrain. r0 began the day before the first published one."""
    runs = [run("r0", 0, 23, "succeeded", "9", first_usage_date=FIRST), *RUNS[:1], run("r2", 2, 1, "succeeded", None), *RUNS[2:4]]
    connection = governed(filler(runs, []), None, MODELS)
    rows = connection.execute(
        "select run_id, version_cost_usd, own_cost_usd, failed_run_cost_usd, incomplete_reason from published.fct_model_version_cost order by 1"
    )
    assert rows.fetchall() == [
        ("r0", 9, 9, 0, "begins_before_first_day"), ("r1", 10, 10, 0, None), ("r2", None, None, 0, "not_priced"), ("r3", 10, 10, 0, None), ("r4", 10, 10, 0, None)
    ]  # fmt: skip
    row = one(
        connection, "select version_count, retrain_count, uncounted_version_count, retrain_cost_usd from published.fct_retrain_cadence"
    )
    assert row == {"version_count": 5, "retrain_count": 3, "uncounted_version_count": 2, "retrain_cost_usd": Decimal(30)}


OUTCOMES = ("succeeded", "succeeded", "failed", "preempted", "cancelled", "unknown", "running")


def any_company(seed: int) -> list[dict[str, Any]]:
    """40 lineages (some without team or environment) of up to 15 runs, some of which nobody has priced or told a start of."""
    dice = random.Random(seed)
    runs = []
    for lineage in range(40):
        people = {"model": f"m{lineage % 20}", "team": dice.choice(["a", "b", None]), "environment": dice.choice(["prod", None])}
        for n in range(dice.randrange(1, 16)):
            cost = None if dice.random() < 0.1 else str(Decimal(dice.randrange(10**14)) / 10**12)
            row = run(f"l{lineage}-{n}", dice.randrange(1, 10), dice.randrange(24), dice.choice(OUTCOMES), cost, **people)
            runs.append(row | ({"started_at": None, "outcome": "unknown"} if dice.random() < 0.1 else {}))
    return [*runs, run("without-model", 3, 1, "failed", "50", model=None)]


def versions_by_hand(runs: list[dict[str, Any]]) -> dict[tuple[Any, ...], Decimal]:
    """(model, team, environment, version or None) -> dollars: the lineage is walked from its end, each success takes what lies before it."""
    totals: dict[tuple[Any, ...], Decimal] = {}
    for row in runs:
        if row["model"] is None:
            continue
        people = (row["model"], row["team"], row["environment"])
        kin = [r for r in runs if (r["model"], r["team"], r["environment"]) == people]
        began = lambda r: (r["started_at"] or dt.datetime.combine(r["first_usage_date"], dt.time()), r["workload_key"])  # noqa: E731
        later = sorted((r for r in kin if r["outcome"] == "succeeded" and began(r) >= began(row)), key=began)
        version = later[0]["workload_key"] if later and row["outcome"] != "running" else None
        totals[(*people, version)] = totals.get((*people, version), Decimal(0)) + (row["run_cost_usd"] or 0)
    return totals


def test_versions_sum_to_the_runs_whatever_their_order(governed) -> None:
    runs = any_company(7)
    shuffled = random.Random(8).sample(runs, len(runs))
    found = []
    for rows in (runs, shuffled):
        connection = governed(filler(rows, QUALITY), None, MODELS)
        costs = connection.execute(
            "select model, team, environment, workload_key, coalesce(version_cost_usd, 0) from published.fct_model_version_cost"
        ).fetchall()
        assert {tuple(row[:4]): row[4] for row in costs} == versions_by_hand(rows) and len(costs) == len(versions_by_hand(rows)) > 100
        parts = " + ".join(
            f"coalesce({part}_cost_usd, 0)"
            for part in ("own", "failed_run", "preempted_run", "cancelled_run", "unknown_outcome_run", "running_run")
        )
        unequal = f"select count(*) from published.fct_model_version_cost where coalesce(version_cost_usd, 0) <> {parts}"  # noqa: S608
        assert connection.execute(unequal).fetchall() == [(0,)]
        tables = ("fct_model_version_run", "fct_model_version_cost", "fct_retrain_cadence")
        found.append([connection.table(f"published.{table}").order("all").fetchall() for table in tables])
    assert found[0] == found[1]
    assert sum(versions_by_hand(runs).values()) == sum((r["run_cost_usd"] or 0 for r in runs if r["model"] is not None), Decimal(0)) > 1000


def test_the_ranks_of_a_medians_interval_hold_it_nine_times_in_ten() -> None:
    """Of n gains, the k-th smallest and the k-th largest hold the median of what they are drawn from unless k - 1 or fewer lie on one side:
    1 - 2 x P(Binomial(n, 1/2) < k), whatever they are drawn from."""
    source = (dbt.PROJECT / "macros" / "training.sql").read_text(encoding="utf-8")
    start = source.index("{% macro is_within_median")
    rule = Environment(autoescape=False).from_string(source[start : source.index("{%- endmacro %}", start)] + "{%- endmacro %}").module  # noqa: S701
    query = f"select n, max(rank) from range(1, 401) as ns(n), range(1, 401) as ranks(rank) where rank <= n and {rule.is_within_median('rank', 'n')} group by n"  # noqa: S608
    ranks = dict(duckdb.execute(query).fetchall())
    coverage = {n: 1 - 2 * sum(comb(n, i) for i in range(k)) / 2**n for n, k in ranks.items()}
    assert min(coverage[n] for n in range(5, 401)) >= 0.9
    assert coverage[4] < 0.9 and (ranks[5], ranks[7]) == (1, 1) and ranks[100] > 40
