"""Budgets: what is spent, when a threshold was crossed, what nobody can say. Every figure is worked by hand.

Belongs here: fct_budget_status, its section of the policy. Does not: how good a forecast is (test_forecast.py).
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from pipelines.governance import Governance
from pipelines.spend_watch import budgets_lines

OCTOBER = dt.date(2026, 10, 1)
NLP = {"id": "nlp", "owner": "nina", "amount_usd": 1000, "scope": {"team": "nlp"}}


def day(number: int) -> dt.date:
    """The number-th day of October 2026, a Thursday."""
    return OCTOBER + dt.timedelta(number - 1)


def spend(number: int, usd: float, team: str | None = "nlp", **values: Any) -> dict[str, Any]:
    cost = Decimal(str(usd))
    return {
        "usage_date": day(number), "stage": "allocated", "source": "aws", "account_id": "1", "team": team, "owner_team": team, "model": None,
        "environment": None, "project": None, "charge_category": "Usage", "cost_class": "used", "component": "gpu", "service": "AmazonEC2",
        "cost_usd": cost, "billed_cost_usd": cost, "list_cost_usd": cost, "list_missing_cost_usd": Decimal(0), "pool": "p", "gpu_model": "A100",
        "pricing_category": "on_demand", "gpu_seconds": Decimal(3600),
    } | values  # fmt: skip


def days(first: int, last: int) -> list[dict[str, Any]]:
    return [{"usage_date": day(number)} for number in range(first, last + 1)]


def status(models, ledger, budgets, dates=None, **tables) -> dict[tuple[str, dt.date], dict[str, Any]]:
    connection = models({"dim_date": dates or days(1, 10), "fct_cost_daily": ledger, **tables}, {"budgets": budgets})
    cursor = connection.execute("select * from published.fct_budget_status order by budget_id, period_start")
    names = [d[0] for d in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return {(row["budget_id"], row["period_start"]): row for row in rows}


def test_thresholds_are_crossed_on_the_day_on_which_the_running_sum_reaches_them(spend_models) -> None:
    # $100 a day of $1,000: 50 % on the 5th, 80 % on the 8th, the whole of it on the 10th
    found = status(spend_models, [spend(n, 100) for n in range(1, 11)], [NLP])["nlp", OCTOBER]
    assert (found["actual_usd"], found["actual_ratio"], found["status"]) == (Decimal(1000), 1.0, "over")
    assert found["threshold_dates"] == '{"50": "2026-10-05", "80": "2026-10-08", "100": "2026-10-10"}'
    assert (found["crossed_threshold_percent"], found["crossed_threshold_date"]) == (100, day(10))


def test_eight_tenths_are_a_warning_and_half_is_none(spend_models) -> None:
    budgets = [NLP | {"id": "a", "amount_usd": 4000}, NLP | {"id": "b", "amount_usd": 2000}, NLP | {"id": "c", "amount_usd": 1200}]
    found = status(spend_models, [spend(n, 100) for n in range(1, 11)], budgets, dates=days(1, 10))
    # ten days at $100 and 21 more make $3,100: under $4,000, over $2,000; of $1,200 eight tenths ($960) are gone
    assert [found[name, OCTOBER]["status"] for name in "abc"] == ["ok", "forecast_over", "forecast_over"]
    assert found["a", OCTOBER]["forecast_usd"] == Decimal(3100)
    # a threshold that is not crossed is null: $1,000 of $4,000 are 25 %
    assert found["a", OCTOBER]["threshold_dates"] == '{"50": null, "80": null, "100": null}'
    # the 21st day brings the sum to $2,100, the 20th to $2,000: reached
    assert found["b", OCTOBER]["forecast_crossed_date"] == day(20)
    whole = [spend(n, 100) for n in range(1, 32)]
    ended = status(spend_models, whole, [NLP | {"amount_usd": 3500}], dates=days(1, 31))["nlp", OCTOBER]
    # the month is over: $3,100 of $3,500 are 88.6 %, and nothing is forecast any more
    assert (ended["status"], ended["forecast_usd"], ended["is_forecast_over"]) == ("warning", Decimal(3100), False)


def test_a_missing_price_never_lets_a_budget_pass(spend_models) -> None:
    """$100 a day of $4,000; on the 10th two GPUs wait an hour for their bill, the rate card says $8."""
    estimate = {
        "usage_date": day(10), "node_key": "n", "node": "n", "pool": "p", "workload_key": "training_run/R", "cost_class": "used",
        "pricing_status": "estimated", "gpu_seconds": Decimal(7200), "estimated_cost_usd": Decimal(8),
    }  # fmt: skip
    workload = {"workload_key": "training_run/R", "team": "nlp"}
    ledger = [spend(n, 100) for n in range(1, 10)] + [spend(10, 40)]
    budgets = [NLP | {"amount_usd": 4000}, NLP | {"id": "vision", "scope": {"team": "vision"}}, NLP | {"id": "low", "amount_usd": 500}]
    ledger += [spend(n, 1, team="vision") for n in range(1, 11)]
    found = status(spend_models, ledger, budgets, fct_cost_estimate=[estimate], dim_workload=[workload])
    nlp = found["nlp", OCTOBER]
    assert (nlp["status"], nlp["unpriced_reason"], nlp["unpriced_days"]) == ("unknown", "awaiting_bill", 1)
    assert (nlp["unpriced_gpu_seconds"], nlp["unpriced_estimate_usd"], nlp["actual_usd"]) == (Decimal(7200), Decimal(8), Decimal(940))
    # the unpriced day counts with the greater of $40 + $8 and the $100 expected: 9 + 1 + 21 days at $100
    assert nlp["forecast_usd"] == Decimal(3100)
    # another team's seconds are none of vision's business, and what is over is over
    assert found["vision", OCTOBER]["status"] == "ok"
    assert found["low", OCTOBER]["status"] == "over"


def test_seconds_without_any_price_are_told_apart_from_estimated_ones(spend_models) -> None:
    waiting = {
        "usage_date": day(10), "node_key": "n", "node": "n", "cost_class": "used", "pricing_status": "awaiting_bill",
        "gpu_seconds": Decimal(3600), "estimated_cost_usd": None,
    }  # fmt: skip
    found = status(
        spend_models, [spend(n, 1) for n in range(1, 11)], [NLP | {"id": "all", "scope": "all"}, NLP], fct_cost_estimate=[waiting]
    )
    everything = found["all", OCTOBER]
    assert (everything["status"], everything["unpriced_reason"], everything["unpriced_estimate_usd"]) == ("unknown", "no_price", None)
    # nobody knows whose seconds they are: they are in the budget of everything only
    assert found["nlp", OCTOBER]["unpriced_gpu_seconds"] == 0


def test_a_source_that_has_not_told_the_last_days_makes_them_unknown(spend_models) -> None:
    # gcp has billed daily and its bill stops on the 8th
    ledger = [spend(n, 10) for n in range(1, 11)] + [spend(n, 5, source="gcp", component="other", gpu_seconds=None) for n in range(1, 9)]
    found = status(spend_models, ledger, [NLP])["nlp", OCTOBER]
    assert (found["status"], found["unpriced_reason"], found["unpriced_days"]) == ("unknown", "source_silent", 2)
    assert (found["first_unpriced_date"], found["last_unpriced_date"], found["actual_usd"]) == (day(9), day(10), Decimal(140))


def test_days_that_are_not_published_are_told(spend_models) -> None:
    # published: the 4th to the 10th without the 6th; three days lie before the first publication, one is a hole
    dates = [row for row in days(4, 10) if row["usage_date"] != day(6)]
    found = status(spend_models, [spend(n, 10) for n in (4, 5, 7, 8, 9, 10)], [NLP], dates=dates)["nlp", OCTOBER]
    assert (found["days_before_publication"], found["missing_days"], found["published_days"], found["period_days"]) == (3, 1, 6, 31)
    assert (found["status"], found["unpriced_reason"]) == ("unknown", "days_missing")


def test_a_list_budget_without_list_prices_is_unknown(spend_models) -> None:
    ledger = [spend(1, 10), spend(2, 10, list_cost_usd=None, list_missing_cost_usd=Decimal(10))]
    found = status(spend_models, ledger, [NLP | {"basis": "list"}, NLP | {"id": "paid"}], dates=days(1, 2))
    assert (found["nlp", OCTOBER]["status"], found["nlp", OCTOBER]["list_missing_cost_usd"]) == ("unknown", Decimal(10))
    assert found["paid", OCTOBER]["status"] == "ok"


def test_scopes_overlap_and_say_what_they_pay_for(spend_models) -> None:
    """nlp held $10 and its pool idles $4 for nobody; $6 of shared cost are handed to nlp; vision spends $3 in production."""
    ledger = [
        spend(1, 10, model="m", environment="production"),
        spend(1, 4, team=None, owner_team="nlp", cost_class="unallocated_idle"),
        spend(1, 6, team=None, owner_team=None, component="other", gpu_seconds=None),
        spend(1, -6, team=None, owner_team=None, stage="distributed", gpu_seconds=None),
        spend(1, 6, stage="distributed", gpu_seconds=None),
        spend(1, 3, team="vision", environment="production"),
    ]
    budgets = [
        NLP, NLP | {"id": "own", "include_idle": False, "include_shared": False}, NLP | {"id": "own_shared", "include_idle": False},
        NLP | {"id": "production", "scope": {"environment": "production"}}, NLP | {"id": "all", "scope": "all"},
        NLP | {"id": "both", "scope": {"team": ["nlp", "vision"], "environment": "production"}}, NLP | {"id": "typo", "scope": {"team": "npl"}},
    ]  # fmt: skip
    found = {name: row for (name, _), row in status(spend_models, ledger, budgets, dates=days(1, 1)).items()}
    spent = {name: row["actual_usd"] for name, row in found.items()}
    # 10 + 4 + 6; 10; 10 + 6; 10 + 3; everything once: 10 + 4 + 6 + 3
    assert spent == {"nlp": 20, "own": 10, "own_shared": 16, "production": 13, "all": 23, "both": 13, "typo": 0}
    assert (found["typo"]["has_no_spend"], found["typo"]["forecast_reason"]) == (True, "no_spend")
    assert not found["nlp"]["has_no_spend"]
    assert any("nothing was ever spent in its scope" in line for line in budgets_lines({"budgets": list(found.values())}))


def test_validity_cuts_a_period_and_quarters_are_calendar_quarters(spend_models) -> None:
    ledger = [spend(n, 10) for n in range(1, 11)]
    budgets = [
        NLP | {"valid_from": "2026-10-04", "valid_to": "2026-10-09"},
        NLP | {"id": "q", "period": "quarter"},
        NLP | {"id": "past", "valid_to": "2026-09-01"},
    ]
    found = status(spend_models, ledger, budgets)
    # the 4th to the 8th: five days at $10
    assert found["nlp", day(4)]["actual_usd"] == Decimal(50)
    assert found["nlp", day(4)]["period_end"] == day(8)
    quarter = found["q", OCTOBER]
    # 92 days of October to December; ten at $10 and 82 to come at $10
    assert (quarter["period_end"], quarter["period_days"], quarter["forecast_usd"]) == (dt.date(2026, 12, 31), 92, Decimal(920))
    assert {name for name, _ in found} == {"nlp", "q"}


def test_taxes_and_fees_are_spent_but_no_run_rate(spend_models) -> None:
    # $10 a day and $500 of tax on the 3rd: the forecast of the month is $310 + $500, not 31 x $60
    ledger = [spend(n, 10) for n in range(1, 11)] + [
        spend(3, 500, charge_category="Tax", cost_class="tax_and_fees", component="other", gpu_seconds=None)
    ]
    found = status(spend_models, ledger, [NLP | {"amount_usd": 5000}])["nlp", OCTOBER]
    assert (found["actual_usd"], found["forecast_usd"], found["status"]) == (Decimal(600), Decimal(810), "ok")


@pytest.mark.parametrize(
    "budget",
    [
        NLP | {"amount_usd": 0}, NLP | {"scope": {}}, NLP | {"scope": {"team": []}}, NLP | {"scope": {"pool": "p"}}, NLP | {"thresholds": [50, 50]},
        NLP | {"valid_from": "2026-10-02", "valid_to": "2026-10-02"}, NLP | {"period": "week"}, {"id": "x", "amount_usd": 1}, NLP | {"colour": "red"},
    ],
)  # fmt: skip
def test_a_budget_that_means_nothing_is_refused(budget) -> None:
    with pytest.raises(ValidationError):
        Governance.model_validate({"budgets": [budget]})


def test_an_id_stands_once() -> None:
    with pytest.raises(ValidationError, match="budget nlp stands twice"):
        Governance.model_validate({"budgets": [NLP, NLP]})


def test_the_models_run_by_dbt(governed) -> None:
    from tests.empty_warehouse import put

    def fill(connection) -> None:
        put(connection, "dim_date", days(1, 10))
        put(connection, "fct_cost_daily", [spend(n, 100) for n in range(1, 11)])

    connection = governed(fill, {"budgets": [NLP]})
    assert connection.execute("select budget_id, actual_usd, status from published.fct_budget_status").fetchall() == [
        ("nlp", Decimal(1000), "over")
    ]
    assert connection.execute("select count(*) from published.fct_spend_anomaly").fetchone() == (0,)
