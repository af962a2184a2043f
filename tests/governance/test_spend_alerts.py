"""The alerts about budgets and spend: what the macros make of the published tables.

Belongs here: columns, severities, words. Does not: what is over or out of the ordinary.
"""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.governance.inline import compiled
from tests.governance.spend_company import Company
from tests.governance.test_anomalies import services
from tests.governance.test_budgets import NLP, days, spend

COLUMNS = (
    "alert_kind severity team subject_type subject since_date usage_date amount_usd measured threshold message evidence explain".split()
)
CALLS = {
    "budgets": "budgets_alerts(ref('fct_budget_status'))",
    "anomalies": "anomalies_alerts(ref('fct_spend_anomaly'), ref('dim_date'))",
}


@pytest.fixture(scope="module")
def alert_queries(built) -> dict[str, str]:
    """The macros' SQL, compiled as a model would have it."""
    return dict(zip(CALLS, compiled(built, *CALLS.values()), strict=True))


def alerts(connection, query):
    cursor = connection.execute(f"select * from ({query}) order by alert_kind, subject")  # noqa: S608
    assert [d[0] for d in cursor.description] == COLUMNS
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in cursor.fetchall()]
    for row in rows:
        evidence = json.loads(row["evidence"])
        assert list(evidence) == sorted(evidence)
    return rows


def test_each_budget_alert_says_what_it_knows(spend_models, alert_queries) -> None:
    ledger = [spend(n, 100) for n in range(1, 11)]
    waiting = {
        "usage_date": days(10, 10)[0]["usage_date"], "node_key": "n", "node": "n", "cost_class": "used", "pricing_status": "estimated",
        "gpu_seconds": Decimal(7200), "estimated_cost_usd": Decimal(8), "workload_key": "w",
    }  # fmt: skip
    budgets = [NLP | {"id": "gone"}, NLP | {"id": "soon", "amount_usd": 2000}, NLP | {"id": "fine", "amount_usd": 9000}]
    rows = {"dim_date": days(1, 10), "fct_cost_daily": ledger}
    found = alerts(spend_models(rows, {"budgets": budgets}), alert_queries["budgets"])
    # $1,000 of $1,000; $1,000 of $2,000 is 50 %, and $3,100 are forecast; of $9,000 nothing is told
    assert [(row["alert_kind"], row["severity"], row["subject"]) for row in found] == [
        ("budget_forecast", "warning", "soon"), ("budget_threshold", "critical", "gone"), ("budget_threshold", "info", "soon"),
    ]  # fmt: skip
    assert found[0]["message"] == (
        "Budget soon ($2000.00 for 2026-10-01 to 2026-10-31) is forecast to end at $3100.00 (too few days for an interval), crossing on 2026-10-20;"
        " $1000.00 is spent."
    )
    waited = spend_models(
        rows | {"fct_cost_estimate": [waiting], "dim_workload": [{"workload_key": "w", "team": "nlp"}]}, {"budgets": budgets[2:]}
    )
    (unpriced,) = alerts(waited, alert_queries["budgets"])
    assert (unpriced["alert_kind"], unpriced["severity"], unpriced["amount_usd"], unpriced["team"]) == ("budget_unpriced", "info", 8, "nlp")
    assert "1 days with 2.0 GPU-hours wait for their bill (estimated $8.00)" in unpriced["message"]


def test_a_jump_is_one_alert_with_its_driver(spend_models, alert_queries) -> None:
    connection = spend_models(
        Company(1, days=64, change=lambda day, part: {"rate": 2} if day >= 60 and part.model == "chat" else {}).rows(),  # noqa: PLR2004
        {},
        only=("int_spend_series", "fct_spend_anomaly"),
    )
    (found,) = alerts(connection, alert_queries["anomalies"])
    assert (found["alert_kind"], found["severity"], found["team"], found["subject"]) == (
        "spend_anomaly", "warning", "nlp", "team_model: nlp / chat",
    )  # fmt: skip
    assert "mostly by price, on H100" in found["message"]


def test_a_service_alone_is_one_alert_without_a_gpu(spend_models, alert_queries) -> None:
    connection = spend_models(services(), {}, only=("int_spend_series", "fct_spend_anomaly"))
    (found,) = alerts(connection, alert_queries["anomalies"])
    assert (found["team"], found["subject"]) == (None, "service: aws / AWSDataTransfer")
    assert found["message"] == (
        "Spend of aws / AWSDataTransfer jumped: $1380.60 from 2026-10-16 to 2026-10-16 instead of $7.00, mostly by spend without GPU time"
        " (AWSDataTransfer)."
    )
