"""Tags, budgets, anomalies, levers, guardrails and alerts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import TYPE_CHECKING

from expectations import no_rows, none_where
from expectations.laws.shared import exact, is_one_of, money

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation


SEVERITIES = ("critical", "warning", "info")
ALERT_KINDS = (
    "budget_threshold", "budget_forecast", "budget_unpriced", "spend_anomaly", "unit_cost_regression", "endpoint_loses_money", "idle_gpu", "stale_source",
    "reconciliation_gap", "run_over_limit", "untagged_share", "guardrail_broken", "commitment_unused", "commitment_expiring", "retrain_does_not_pay",
)  # fmt: skip


def fct_budget_status(days: Collection[dt.date]) -> list[Expectation]:
    """A budget is never called ok while a price or a day is missing."""
    silent = "status = 'ok' and (unpriced_reason is not null or unpriced_days > 0 or missing_days > 0 or actual_usd >= amount_usd)"
    return [none_where("no budget passes while a price or a day is missing", silent, "budget_id, period_start", column="status")]


def fct_spend_anomaly(days: Collection[dt.date]) -> list[Expectation]:
    """The parts of a change sum to it."""
    torn = "change_usd <> actual_usd - baseline_usd or change_usd <> price_usd + volume_usd + mix_usd + utilization_usd + other_usd"
    return [none_where("the parts of a change sum to it", torn, "incident_id", column="change_usd")]


def fct_tag_coverage(days: Collection[dt.date]) -> list[Expectation]:
    """Dollars by key and evidence."""
    key = "usage_date, source, account_id, tag_key, evidence_level"
    return [
        none_where(
            "positive and negative dollars sum to cost_usd",
            "cost_usd is distinct from positive_cost_usd + negative_cost_usd",
            f"{key}, cost_usd, positive_cost_usd, negative_cost_usd",
            column="cost_usd",
        ),
        none_where(
            "a repair is named exactly where one is the evidence",
            "(evidence_level = 'repair') <> (repair_id is not null)",
            f"{key}, repair_id",
            column="repair_id",
        ),
    ]


def fct_untagged_spend(days: Collection[dt.date]) -> list[Expectation]:
    """Untagged spend: a guess has its evidence."""
    shown = "tag_key, subject_type, subject, likely_owner, likely_owner_basis, confidence"
    bare = "(likely_owner is null) <> (confidence is null) or (likely_owner is null) <> (tagged_cost_usd is null)"
    return [none_where("a likely owner has its evidence", bare, shown, column="likely_owner")]


def fct_guardrail_violation(days: Collection[dt.date]) -> list[Expectation]:
    """Guardrails: what is broken on the night's days under a rule that blocks stops the night, by rule, subject and remedy."""
    listed = ", ".join(f"date '{day.isoformat()}'" for day in sorted(days)) or "null"
    query = (
        "select guardrail_id, subject_type, subject, team, measured, threshold, cast(cost_usd as varchar) as cost_usd, since_date, remedy from {batch}"  # noqa: S608
        f" where action = 'block' and verdict = 'broken' and last_date in ({listed}) order by cost_usd desc, guardrail_id, subject"
    )
    return [no_rows("no guardrail that blocks is broken", query, column="guardrail_id"), *is_one_of("verdict", ("broken", "unknown"))]


def fct_lever(days: Collection[dt.date]) -> list[Expectation]:
    """Levers: nothing saves more than it cost, and of each overlap group one counts."""
    key = "lever_kind, scope_type, scope, team"
    return [
        *is_one_of("confidence", ("high", "medium", "low")),
        *is_one_of("effort", ("low", "medium", "high")),
        *money(("saving_usd", "saving_usd_per_month", "observed_cost_usd")),
        none_where(
            "a saving is positive and at most what was paid",
            "saving_usd <= 0 or saving_usd > observed_cost_usd",
            f"{key}, saving_usd, observed_cost_usd",
            column="saving_usd",
        ),
        no_rows(
            "one lever of each overlap group is its best",
            "select overlap_group, count(*) as best_rows from {batch} where is_best_of_group and overlap_group is not null"  # noqa: S608
            " group by overlap_group having count(*) <> 1",
            column="is_best_of_group",
        ),
    ]


def fct_alert(days: Collection[dt.date]) -> list[Expectation]:
    """Alerts: delivery routes by kind and severity."""
    return [
        *is_one_of("severity", SEVERITIES),
        *is_one_of("alert_kind", ALERT_KINDS),
        exact("amount_usd"),
        no_rows(
            "ranks are 1, 2, 3, ... by dollars",
            "select alert_key, alert_rank, amount_usd from (select *, row_number() over (order by alert_rank) as place,"  # noqa: S608
            " lag(amount_usd) over (order by alert_rank) as dearer, lag(alert_rank) over (order by alert_rank) as before from {batch}) as ranked"
            " where alert_rank <> place or (before is not null and amount_usd is not null and (dearer is null or dearer < amount_usd))",
            column="alert_rank",
        ),
    ]
