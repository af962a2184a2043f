"""The demo company's planted troubles: each is found, with its dollars worked out from the plan, and nothing else is told.

Belongs here: what the levers and alerts of the demo must say. Does not: the ledger's figures (test_demo.py), clean companies
(test_clean_companies.py).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.demo import Company, plan_company, truth
from pipelines.demo.cases import FORGOTTEN_DISK, RETRAINED
from pipelines.demo.model import DAY, HOUR, MAX_GAP_SECONDS, Gap, activity_permille
from pipelines.report import open_release
from pipelines.settings import load_settings

LOW_PERMILLE, LOW_HOURS, LOW_USD, MOST_HOURS = 50, 24, 100, 7 * 24


@pytest.fixture(scope="module")
def company() -> Company:
    return plan_company(seed=7)


@pytest.fixture(scope="module")
def release(played_demo):
    home: Path = played_demo[0]
    with open_release(load_settings(home / "demo" / "apportion.yml", home)) as connection:
        yield connection


def idle_now(company: Company) -> dict[str, Decimal]:
    """Subject -> dollars: GPUs below 5 % activity for 24 hours or more up to the end of the plan, by what holds them now, else by pool.

    Worked out hour by hour from the plan; the look back is seven days. A GPU that changed hands within is not among the planted cases.
    """
    found: dict[str, Decimal] = defaultdict(Decimal)
    for node in company.nodes:
        if not node.has_telemetry or node.lives[-1][1] < company.cut:
            continue
        for gpu in range(node.gpu_count):
            holds = [(a, h) for a in company.attempts for h in a.holds if h.node == node.hostname and gpu in h.gpus]
            subject, hours, dollars = None, 0, 0
            for hour in range(company.cut - HOUR, company.cut - MOST_HOURS * HOUR - 1, -HOUR):
                if hour < node.lives[-1][0]:
                    break
                held = [(a, min(h.end, hour + HOUR) - max(h.start, hour)) for a, h in holds if h.start < hour + HOUR and h.end > hour]
                busy = sum(activity_permille(company.seed, a, node.hostname, gpu, hour) * seconds for a, seconds in held)
                stray = any(s.node == node.hostname and gpu in s.gpus and s.start < hour + HOUR and s.end > hour for s in company.strays)
                if busy >= LOW_PERMILLE * HOUR or stray:
                    break
                subject = subject or (f"{held[0][0].kind}/{held[0][0].workload_id}" if held else node.pool)
                unseen = sum(unknown_seconds(g, hour) for g in company.gaps if g.node == node.hostname and gpu in g.gpus)
                hours, dollars = hours + 1, dollars + ((HOUR - unseen) * 1000 - busy) * (node.price // node.gpu_count)
            if subject and hours >= LOW_HOURS:
                found[subject] += Decimal(dollars).scaleb(-9)
    return {subject: amount for subject, amount in found.items() if amount >= LOW_USD}


def unknown_seconds(gap: Gap, hour: int) -> int:
    """Of a gap, what is not filled: unknown, and so not idle."""
    return max(0, min(gap.end, hour + HOUR) - max(gap.start + MAX_GAP_SECONDS, hour))


def test_each_alert_is_planted_and_each_planted_trouble_is_told(release, company) -> None:
    rows = release.execute("select alert_kind, subject, severity, team from fct_alert").fetchall()
    planted = {
        ("budget_threshold", "nlp-month"), ("budget_forecast", "nlp-month"),
        ("retrain_does_not_pay", f"{RETRAINED} (production)"),
        ("run_over_limit", "training_run/nlp-0038"),
        ("endpoint_loses_money", "embed"), ("endpoint_loses_money", "translate"),
    }  # fmt: skip
    told = {(kind, subject) for kind, subject, *_ in rows}
    assert {alert for alert in told if alert[0] not in ("idle_gpu", "spend_anomaly", "commitment_unused")} == planted
    assert len([kind for kind, *_ in rows if kind == "spend_anomaly"]) == 1
    assert len([kind for kind, *_ in rows if kind == "commitment_unused"]) == 1
    assert len(rows) == len(told)


def test_idle_gpus_are_told_with_their_dollars(release, company) -> None:
    rows = dict(release.execute("select subject, amount_usd from fct_alert where alert_kind = 'idle_gpu'").fetchall())
    assert rows == idle_now(company)


def test_the_copied_data_set_is_the_one_incident(release) -> None:
    rows = release.execute("select since_date, until_date, leading_service, driver, actual_usd from fct_spend_anomaly").fetchall()
    # 2026-10-16 is day 11: $0.09 x 82 GB of everyday transfer and 69,030 GB at $0.02
    assert rows == [(dt.date(2026, 10, 16), dt.date(2026, 10, 16), "AWSDataTransfer", "other", Decimal("7.38") + Decimal("1380.60"))]


def test_the_budget_about_to_break(release, company) -> None:
    spent = truth(company).sum_usd(lambda key: key.team == "nlp")
    row = release.execute(
        "select actual_usd, status, crossed_threshold_percent, is_forecast_over from fct_budget_status where budget_id = 'nlp-month'"
    )
    assert row.fetchone() == (spent, "forecast_over", 50, True)
    assert release.execute("select status from fct_budget_status where budget_id <> 'nlp-month'").fetchall() == [("ok",)]


def test_the_retrain_that_does_not_pay(release) -> None:
    row = release.execute(
        "select verdict, retrain_count, retrain_cost_usd, interrupted_cost_usd from fct_retrain_cadence where model = ?", [RETRAINED]
    ).fetchone()
    # the first version is no retrain: 13 nights of $28.80, and the $9.60 that failed on one of them
    assert row == ("does_not_pay", 13, 13 * Decimal("28.8") + Decimal("9.6"), Decimal("9.6"))
    others = release.execute("select distinct verdict from fct_retrain_cadence where model <> ?", [RETRAINED]).fetchall()
    assert others == [("unknown",)]


def test_endpoints_and_their_margin(release, company) -> None:
    rows = release.execute(
        "select endpoint, margin_verdict, sum(revenue_usd), sum(margin_usd) from fct_inference_unit_cost group by all order by all"
    ).fetchall()
    earned = {r.endpoint: Decimal(r.micro_usd_per_1k).scaleb(-9) for r in company.revenue}
    answers = truth(company).endpoints
    verdicts = {"chat": "earns", "embed": "loses_at_scale", "translate": "loses_idle"}
    assert rows == [
        (name, verdicts[name], earned[name] * a.requests_ok, earned[name] * a.requests_ok - a.cost.total_usd)
        for name, a in sorted(answers.items())
    ]


def test_the_provider_beside_our_own(release, company) -> None:
    asked = sum(use.requests for use in company.managed)
    # 900 tokens at $0.15 and 150 at $0.60 a million: $0.000225 a request
    assert release.execute("select sum(requests_ok), sum(spend_usd), sum(unpriced_requests) from fct_managed_api_usage").fetchone() == (
        asked, asked * Decimal("0.000225"), 0,
    )  # fmt: skip
    assert release.execute("select count(*) from fct_inference_unit_cost where endpoint = 'assist'").fetchone() == (0,)


def test_the_levers_that_were_planted(release, company) -> None:
    rows = {(kind, scope): (observed, saving) for kind, scope, observed, saving in release.execute(
        "select lever_kind, scope, observed_cost_usd, saving_usd from fct_lever"
    ).fetchall()}  # fmt: skip
    assert rows["delete_orphaned_disk", FORGOTTEN_DISK][1] == 7 * Decimal("5.16")  # of the last week
    pool = truth(company).unallocated_idle_by_pool["a100-reserve"]
    assert rows["release_idle_pool", "a100-reserve"][1] == pool
    assert ("stop_notebook", "notebook/notebook-emil") in rows
    assert ("change_retrain_cadence", RETRAINED) in rows
    assert ("use_spot", "atlas-7b") in rows
    assert any(kind == "resize_commitment" for kind, _ in rows)
    assert {"translate", "embed"} >= {scope for kind, scope in rows if kind in ("downsize_endpoint", "scale_to_zero")} >= {"translate"}
    assert all(0 < saving <= observed for observed, saving in rows.values())


def test_the_plan_that_nobody_uses(release) -> None:
    rows = release.execute(
        "select commitment_id like '%9d1e7b52%', sum(committed_cost_usd), sum(unused_cost_usd) from fct_commitment_daily"
        " where commitment_kind = 'savings_plan' group by all order by all"
    ).fetchall()
    # 14 days x 24 h x 3,600 s x $0.0096 with 12,570 s of pause; 14 x 24 x $0.50 of nothing
    assert rows == [(False, Decimal("11612.16"), Decimal("120.672")), (True, Decimal(168), Decimal(168))]


def test_the_plan_covers_fourteen_days(company) -> None:
    assert company.cut - company.start == 14 * DAY
