"""Configurations, levers and alerts of endpoints over hand-made days.

Belongs here: what spans days. Does not: a day's own unit cost (dbt unit tests).
"""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from pipelines.governance.inference import InferenceRules
from pipelines.policy import Policy
from pipelines.settings import DEFAULT_POLICY, Settings
from tests.empty_warehouse import put
from tests.governance.inline import compiled

LAST = dt.date(2026, 10, 31)
DAYS = [LAST - dt.timedelta(days=n) for n in range(34, -1, -1)]
CHAT = {
    "task": "chat",
    "endpoint": "chat",
    "alternatives": ["chat-small", "chat-api", "chat-blind"],
    "p95_seconds": "2",
    "max_error_ratio": "0.02",
    "quality_metric": "AUC",
    "evaluation_set": "golden",
    "quality_floor": "0.8",
}


def day(date: dt.date, endpoint: str, **values: Any) -> dict[str, Any]:
    """One endpoint's day: $24 for 10,000 requests on one GPU; 80 % of it used."""
    row = {
        "usage_date": date, "endpoint": endpoint, "requests_ok": 10_000, "requests_failed": 0, "allocated_cost_usd": Decimal(24),
        "used_cost_usd": Decimal("19.2"), "unknown_cost_usd": Decimal(0), "pricing_status": "priced", "model": endpoint, "model_version": "1",
        "gpu_model": "NVIDIA L4", "latency_p50_seconds": 0.5, "latency_p95_seconds": 1.5, "latency_p99_seconds": 1.8, "has_all_latencies": True,
        "held_gpu_seconds": 86400, "replica_hours": 24, "prompt_tokens": 1_000_000, "output_tokens": 200_000, "margin_verdict": "unknown",
    }  # fmt: skip
    return row | values


def fill_dates(connection) -> None:
    put(connection, "dim_date", [{"usage_date": date, "month_start": date.replace(day=1)} for date in DAYS])


ALERTS = "inference_alerts(ref('fct_inference_unit_cost'), ref('dim_date'), ref('dim_workload'))"
LEVERS = "inference_levers(ref('fct_serving_configuration'), ref('dim_workload'))"


@pytest.fixture(scope="module")
def alerts_sql(built: Settings) -> str:
    return compiled(built, ALERTS, LEVERS)[0]


@pytest.fixture(scope="module")
def levers_sql(built: Settings) -> str:
    return compiled(built, ALERTS, LEVERS)[1]


def _rows(connection, text: str) -> list[dict[str, Any]]:
    found = connection.execute(f"select * from ({text}) as found order by all")  # noqa: S608
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


SELECT = "fct_serving_configuration"


def test_the_cheapest_configuration_that_meets_what_the_task_asks(governed, levers_sql) -> None:
    """Over the last 30 days (2 to 31 October): chat $24 / 10,000 = 2.4 per 1,000; chat-small 12 / 10,000 = 1.2; the API 0.9, but its p95 is 3 s; blind
    is cheapest (0.6) and nobody measured its quality. So chat-small is the cheapest that meets, and chat saves 30 x (24 - 12) = $360."""

    def fill(connection) -> None:
        fill_dates(connection)
        put(connection, "fct_inference_unit_cost", [day(date, "chat") for date in DAYS])
        put(connection, "fct_inference_unit_cost", [day(date, "chat-small", allocated_cost_usd=Decimal(12)) for date in DAYS])
        put(connection, "fct_inference_unit_cost", [day(date, "chat-blind", allocated_cost_usd=Decimal(6)) for date in DAYS])
        api = {
            "endpoint": "chat-api",
            "provider": "openai",
            "model": "gpt-4",
            "requests_ok": 10_000,
            "requests_failed": 0,
            "unpriced_requests": 0,
        }
        put(
            connection,
            "fct_managed_api_usage",
            [
                api
                | {
                    "usage_date": date,
                    "spend_usd": Decimal(9),
                    "latency_p95_seconds": 3.0,
                    "has_all_latencies": True,
                    "spend_basis": "gateway_price_map",
                }
                for date in DAYS
            ],
        )
        # the provider's own account of the same requests is no second configuration, however cheap
        account = {"source": "org", "spend_basis": "provider_costs", "spend_usd": Decimal(1), "has_all_latencies": False}
        put(connection, "fct_managed_api_usage", [api | account | {"usage_date": date} for date in DAYS])
        measured = {"metric": "auc", "evaluation_set": "golden", "is_higher_better": True, "measured_at": dt.datetime(2026, 9, 1)}
        put(
            connection,
            "int_model_quality",
            [
                measured | {"valid_from": dt.date(2026, 9, 1), "model": model, "model_version": version, "quality": Decimal(quality)}
                for model, version, quality in (("chat", "1", "0.9"), ("chat-small", "1", "0.82"), ("gpt", "4", "0.95"))
            ],
            schema="intermediate",
        )
        put(connection, "dim_workload", [{"workload_key": "endpoint/chat", "team": "nlp", "environment": "production"}])

    connection = governed(fill, {"inference": {"objectives": [CHAT]}}, SELECT)
    rows = connection.execute(
        "select endpoint, observed_days, requests_ok, cost_usd, cost_per_1k_requests_usd, meets_slo, meets_quality_floor, meets_objective, meets_reason,"
        " is_pareto_optimal, is_cheapest_that_meets from published.fct_serving_configuration order by endpoint"
    ).fetchall()
    assert rows == [
        ("chat", 30, 300_000, Decimal(720), 2.4, True, True, True, None, True, False),
        ("chat-api", 30, 300_000, Decimal(270), 0.9, False, True, False, "misses_slo", True, False),
        ("chat-blind", 30, 300_000, Decimal(180), 0.6, True, None, False, "quality_unknown", None, False),
        ("chat-small", 30, 300_000, Decimal(360), 1.2, True, True, True, None, True, True),
    ]
    (lever,) = _rows(connection, levers_sql)
    assert (lever["lever_kind"], lever["scope"], lever["team"], lever["saving_usd"]) == (
        "cheaper_configuration",
        "chat",
        "nlp",
        Decimal(360),
    )
    # 360 x 365 / 12 / 30 days
    assert lever["saving_usd_per_month"] == Decimal(365)
    assert json.loads(lever["evidence"])["cheaper_endpoint"] == "chat-small"
    assert list(json.loads(lever["evidence"])) == sorted(json.loads(lever["evidence"]))


def test_unknown_latency_too_few_requests_and_days_that_are_not_whole_meet_nothing(governed, levers_sql) -> None:
    """dark has one hour without latency on one day: its p95 is unknown. few has 900 requests in all. half awaits its bill on 10 of 30 days: those days
    count with neither dollars nor requests (20 x 24 / 200,000 x 1,000 = 2.4). Dominated is dearer, slower and fails more than half."""

    def fill(connection) -> None:
        fill_dates(connection)
        put(connection, "fct_inference_unit_cost", [day(date, "dark", has_all_latencies=date != LAST) for date in DAYS])
        put(connection, "fct_inference_unit_cost", [day(date, "few", requests_ok=30) for date in DAYS])
        put(
            connection,
            "fct_inference_unit_cost",
            [day(date, "half", pricing_status="awaiting_bill" if date > LAST - dt.timedelta(days=10) else "priced") for date in DAYS],
        )
        put(
            connection,
            "fct_inference_unit_cost",
            [day(date, "worse", requests_failed=100, allocated_cost_usd=Decimal(30), latency_p95_seconds=1.9) for date in DAYS],
        )

    objective = {"task": "t", "endpoint": "half", "alternatives": ["dark", "few", "worse"], "p95_seconds": "2"}
    connection = governed(fill, {"inference": {"objectives": [objective]}}, SELECT)
    rows = connection.execute(
        "select endpoint, observed_days, observations_left_out, cost_per_1k_requests_usd, meets_slo, meets_reason, is_pareto_optimal,"
        " is_cheapest_that_meets from published.fct_serving_configuration order by endpoint"
    ).fetchall()
    assert rows == [
        ("dark", 30, 0, 2.4, None, "latency_unknown", None, False),
        ("few", 30, 0, 800.0, True, "too_few_requests", None, False),
        ("half", 20, 10, 2.4, True, None, True, True),
        ("worse", 30, 0, 3.0, True, None, False, False),
    ]
    assert _rows(connection, levers_sql) == []  # the current one is the cheapest that meets


def test_without_an_objective_nothing_meets_and_no_lever_is_pulled(governed, levers_sql) -> None:
    def fill(connection) -> None:
        fill_dates(connection)
        put(connection, "fct_inference_unit_cost", [day(date, "chat") for date in DAYS])

    connection = governed(fill, None, SELECT)
    assert connection.execute(
        "select meets_slo, meets_objective, meets_reason, is_pareto_optimal, is_cheapest_that_meets from published.fct_serving_configuration"
    ).fetchall() == [(None, False, "no_objective", True, False)]
    assert _rows(connection, levers_sql) == []


@pytest.mark.parametrize(
    ("recent", "driver", "unit_cost", "extra"),
    [
        # 7 days of 5,000 requests for $24 are 4.8 per 1,000 where 2.4 was usual: 7 x (24 - 12) = $84 more
        ({"requests_ok": 5000}, "volume_fell", "4.8000", Decimal(84)),
        # the same GPU costs twice as much: 7 x (48 - 24) = $168
        ({"allocated_cost_usd": Decimal(48)}, "price_rose", "4.8000", Decimal(168)),
        # twice the GPUs at the old price
        ({"allocated_cost_usd": Decimal(48), "held_gpu_seconds": 172_800}, "replicas_added", "4.8000", Decimal(168)),
        # 1.5 times the GPUs for two thirds of the requests: 36 / 6,667 = 5.4 per 1,000; 7 x 36 - 2.4 x 7 x 6.667 = 251.9999... - 112.0056
        (
            {"allocated_cost_usd": Decimal(36), "held_gpu_seconds": 129_600, "requests_ok": 6667},
            "utilization_fell",
            "5.3997",
            Decimal("139.9944"),
        ),
    ],
)
def test_a_regression_of_the_unit_cost_names_its_driver(governed, alerts_sql, recent, driver, unit_cost, extra) -> None:
    def fill(connection) -> None:
        fill_dates(connection)
        put(connection, "fct_inference_unit_cost", [day(date, "chat") for date in DAYS[:28]])
        put(connection, "fct_inference_unit_cost", [day(date, "chat", **recent) for date in DAYS[28:]])
        put(connection, "fct_inference_unit_cost", [day(date, "steady") for date in DAYS])
        put(connection, "dim_workload", [{"workload_key": "endpoint/chat", "team": "nlp"}])

    (alert,) = _rows(governed(fill, select=""), alerts_sql)
    assert (alert["alert_kind"], alert["subject"], alert["team"], alert["amount_usd"]) == ("unit_cost_regression", "chat", "nlp", extra)
    assert json.loads(alert["evidence"])["driver"] == driver
    assert alert["measured"] == f"${unit_cost} per 1,000 requests" and alert["threshold"] == "$2.4000 (median of 28 days) x 1.3"
    assert (alert["since_date"], alert["usage_date"]) == (DAYS[28], LAST)
    assert list(json.loads(alert["evidence"])) == sorted(json.loads(alert["evidence"]))


def test_what_is_too_small_too_new_or_too_unsteady_is_no_regression(governed, alerts_sql) -> None:
    """tiny: 4.8 instead of 2.4 per 1,000, but 7 x 100 requests and cents. new: six days of baseline. wild: its days cost between 1 and 6 per 1,000; 4.8 is one
    of them: median 2.4, deviation from it 1.4 on most days, 5 x 1.4826 x 1.4 is more than 2.4. waiting: the recent days have no bill."""

    def fill(connection) -> None:
        fill_dates(connection)
        rows = []
        for number, date in enumerate(DAYS):
            is_recent = number >= 28
            double = Decimal(48) if is_recent else Decimal(24)
            rows.append(day(date, "tiny", requests_ok=100, allocated_cost_usd=double / 100))
            if number >= 22:
                rows.append(day(date, "new", allocated_cost_usd=double))
            rows.append(day(date, "wild", allocated_cost_usd=double if is_recent else Decimal((10, 24, 38)[number % 3])))
            rows.append(day(date, "waiting", allocated_cost_usd=double, pricing_status="awaiting_bill" if is_recent else "priced"))
        put(connection, "fct_inference_unit_cost", rows)

    assert _rows(governed(fill, select=""), alerts_sql) == []


def test_an_endpoint_that_loses_money_is_named_with_its_kind_of_loss(governed, alerts_sql) -> None:
    """Seven days at $24. quiet earns $20: 7 x 4 = $28 under the floor of $50. idle earns $15 and uses $14.4: 7 x 9 = $63. deep earns $10 and uses $19.2: 7 x 14 = $98. rich earns $30.
    dim earns $15, uses $19.2 of which $6 are unmeasured."""

    def fill(connection) -> None:
        fill_dates(connection)
        revenue = {
            "quiet": (20, "19.2", 0),
            "idle": (15, "14.4", 0),
            "deep": (10, "19.2", 0),
            "rich": (30, "19.2", 0),
            "dim": (15, "19.2", 6),
        }
        put(
            connection,
            "fct_inference_unit_cost",
            [
                day(
                    date,
                    name,
                    revenue_usd=Decimal(earned),
                    margin_usd=Decimal(earned - 24),
                    used_cost_usd=Decimal(used),
                    unknown_cost_usd=Decimal(unknown),
                )
                for date in DAYS
                for name, (earned, used, unknown) in revenue.items()
            ],
        )

    found = _rows(governed(fill, select=""), alerts_sql)
    assert [(a["subject"], a["severity"], a["amount_usd"], json.loads(a["evidence"])["margin_verdict"]) for a in found] == [
        ("deep", "critical", Decimal(98), "loses_at_scale"),
        ("dim", "warning", Decimal(63), "unknown"),
        ("idle", "warning", Decimal(63), "loses_idle"),
    ]
    assert found[0]["message"] == "deep earned $70.00 and cost $168.00: on the used basis it loses too, so more traffic loses more"


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"objectives": [{"endpoint": "a"}]}, "at least one of"),
        ({"objectives": [{"endpoint": "a", "quality_floor": 1}]}, "belong together"),
        ({"objectives": [{"endpoint": "a", "p95_seconds": 1}, {"endpoint": "b", "alternatives": ["a"], "p95_seconds": 1}]}, "two places"),
        ({"token_weights": {"output": 0}}, "weighs more than 0"),
        ({"token_weights": {"cached": "0.0001"}}, "3 decimal places"),
        ({"obejctives": []}, "Extra inputs"),
    ],
)
def test_a_section_that_cannot_be_meant_is_refused(section, said) -> None:
    with pytest.raises(ValidationError, match=said):
        InferenceRules.model_validate(section)


def test_token_weights_move_a_day_s_figures_and_other_rules_do_not() -> None:
    base = yaml.safe_load(DEFAULT_POLICY.read_text(encoding="utf-8"))

    def digest(section: dict[str, Any]) -> str:
        return Policy.model_validate(base | {"governance": {"inference": section}}).digest

    assert digest({}) == digest({"min_requests": 5}) == digest({"token_weights": {"output": 4}})
    assert digest({}) != digest({"token_weights": {"output": 3}})
    assert InferenceRules().token_weights.method == "weighted_1_0.1_4"
