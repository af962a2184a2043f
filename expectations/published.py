"""What a release must be like at the exit: the schema ``published`` of the warehouse before anyone reads it.

Belongs here: laws of each published table. Does not: whether the files of a release equal the warehouse (pipelines/release_audit.py).

Every table has its grain here; a table without one cannot be published. A function named as the table adds its own laws.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from expectations import Severity, TableSuite, no_rows
from pipelines.published_tables import PublishedTable
from pipelines.warehouse import quote_name

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

GRAINS: dict[str, tuple[str, ...]] = {
    "dim_date": ("usage_date",),
    "dim_metric": ("metric",),
    "dim_node": ("node_key", "valid_from", "valid_to"),
    "dim_showback_member": ("dimension", "member", "member_kind"),
    "dim_tag_policy": ("rule_kind", "canonical_key", "rule_name", "valid_from"),
    "dim_workload": ("workload_key",),
    "fct_alert": ("alert_key",),
    "fct_charge_bucket": ("usage_date", "bucket_key"),
    "fct_cost_allocation": (
        "usage_date",
        "bucket_key",
        "workload_key",
        "attempt_key",
        "team",
        "cost_class",
        "component",
        "reason",
        "stage",
    ),
    "fct_commitment_coverage": ("usage_date", "usage_hour", "source", "service", "region", "instance_family"),
    "fct_commitment_daily": ("usage_date", "source", "commitment_kind", "commitment_id"),
    "fct_cost_daily": (
        "usage_date",
        "billing_period",
        "stage",
        "rule_id",
        "source",
        "provider",
        "account_id",
        "team",
        "owner_team",
        "owner_basis",
        "model",
        "environment",
        "project",
        "workload_type",
        "service",
        "cost_class",
        "component",
        "reason",
        "pricing_category",
        "charge_category",
        "gpu_model",
        "pool",
    ),
    "fct_cost_estimate": ("usage_date", "node_key", "workload_key", "attempt_key", "cost_class", "pricing_status"),
    "fct_data_quality": ("usage_date", "subject", "measure"),
    "fct_energy": ("usage_date", "node_key", "holder", "attempt_key"),
    "fct_gpu_utilization": ("usage_hour", "node", "gpu_key"),
    "fct_gpu_utilization_daily": ("usage_date", "gpu_key"),
    "fct_idle_cost": (
        "usage_date",
        "usage_hour",
        "no_hour_reason",
        "provider",
        "account_id",
        "cluster",
        "pool",
        "node",
        "cost_class",
        "idle_kind",
        "reason",
        "owner_team",
        "owner_basis",
        "workload_key",
        "attempt_key",
        "outcome",
        "is_rolled_back",
    ),
    "fct_idle_gpu": ("gpu_key",),
    "fct_inference_unit_cost": ("usage_date", "endpoint"),
    "fct_inference_unit_cost_hourly": ("usage_hour", "endpoint"),
    "fct_delivery_control": ("source", "delivery_id", "currency"),
    "fct_method_sensitivity": ("usage_date", "team", "workload_key", "method"),
    "fct_model_quality": ("usage_date", "model", "model_version", "metric", "evaluation_set"),
    "fct_model_version_cost": ("model", "team", "environment", "workload_key"),
    "fct_model_version_run": ("workload_key",),
    "fct_reconciliation": ("source", "billing_period", "usage_month", "currency", "account_id", "invoice_id"),
    "fct_realised_saving": ("lever_kind", "scope_type", "scope", "adopted_on"),
    "fct_retrain_cadence": ("model", "team", "environment"),
    "fct_retrain_gain": ("workload_key", "metric", "evaluation_set"),
    "fct_run_attempt_cost": ("workload_key", "attempt_key"),
    "fct_run_cost": ("workload_key",),
    "fct_activity_sensitivity": ("usage_date", "workload_key", "attempt_key", "activity_rung"),
    "fct_storage_resource_daily": ("usage_date", "source", "account_id", "resource_id"),
    "fct_telemetry_coverage": ("usage_date", "node_key"),
    "fct_telemetry_gap": ("usage_date", "node_key", "gap_start"),
    "fct_showback": ("usage_month", "team_kind", "team", "model", "environment", "cost_part", "cost_class"),
    "fct_budget_status": ("budget_id", "period_start"),
    "fct_forecast_backtest": ("series_key", "horizon_days"),
    "fct_spend_anomaly": ("incident_id",),
    "fct_spend_forecast": ("series_key", "forecast_date"),
    "fct_untagged_spend": ("tag_key", "source", "account_id", "subject_type", "subject", "cluster", "service", "charge_category"),
    "fct_guardrail_violation": ("guardrail_id", "verdict", "source", "account_id", "subject_type", "subject", "tag_key"),
    "fct_lever": ("lever_kind", "scope_type", "scope", "team", "environment"),
    "fct_workload_hourly": ("usage_date", "usage_hour", "node_key", "workload_key", "pricing_category"),
    "fct_managed_api_usage": ("usage_date", "source", "endpoint", "provider", "model", "project", "team"),
    "fct_serving_configuration": ("endpoint", "configuration"),
    "fct_tag_coverage": ("usage_date", "source", "account_id", "charge_category", "tag_key", "evidence_level", "repair_id"),
}
# an inventory that states a node twice costs nobody money: it is told, not refused
GRAIN_ONLY_WARNS = {"dim_node"}

COST_CLASSES = (
    "used", "held_idle", "unallocated_idle", "stranded", "unknown", "not_measured", "unused_commitment", "commitment_true_up",
    "tax_and_fees", "credit", "rounding", "quarantined", "unattributed",
)  # fmt: skip
SEVERITIES = ("critical", "warning", "info")
ALERT_KINDS = (
    "budget_threshold", "budget_forecast", "budget_unpriced", "spend_anomaly", "unit_cost_regression", "endpoint_loses_money", "idle_gpu", "stale_source",
    "reconciliation_gap", "run_over_limit", "untagged_share", "guardrail_broken", "commitment_unused", "commitment_expiring", "retrain_does_not_pay",
)  # fmt: skip
GPU_STATES = ("held_idle", "unallocated_idle", "no_activity_value", "stale_telemetry", "never_observed")
ROUTES = ("telemetry", "tag", "rule", "none")
COMPONENTS = ("gpu", "host", "other")
REQUIRED_BASES = ("billed_cost", "effective_cost", "net_cost")
BASES = (*REQUIRED_BASES, "list_cost", "contracted_cost")
VERSION_PARTS = ("own", "failed_run", "preempted_run", "cancelled_run", "unknown_outcome_run", "running_run")
GPU_CLASSES = ("used", "held_idle", "unallocated_idle", "stranded", "unattributed", "unknown")
MONEY_TYPE = "DECIMAL(38,12)"
# each class's seconds are rounded down to a millionth, as their sum is: the classes together lack less than this
ROUNDING_SECONDS = f"{len(GPU_CLASSES) / 1_000_000:.6f}"


def published_suites(tables: Sequence[PublishedTable], dirty_days: Collection[dt.date]) -> list[TableSuite]:
    """One suite per table of ``GRAINS``, there or not; tables by day are checked for ``dirty_days``, the others as a whole."""
    found = {table.name: table for table in tables}
    suites = []
    for name, grain in GRAINS.items():
        table = found.get(name, PublishedTable(name, ()))
        where = f" where {within(dirty_days)}" if table.is_by_day else ""
        own = globals().get(name)
        expectations = [_has_columns(grain), _unique(name, grain), *_finite(table), *(own(dirty_days) if own else [])]
        suites.append(TableSuite(f"published.{name}", f"select * from published.{quote_name(name)}{where}", expectations, grain))  # noqa: S608
    return suites


def within(days: Collection[dt.date]) -> str:
    """SQL: the row is of one of ``days``."""
    listed = ", ".join(f"date '{day.isoformat()}'" for day in sorted(days))
    return f"usage_date in ({listed})" if listed else "false"


def fct_cost_allocation(days: Collection[dt.date]) -> list[Expectation]:
    """The ledger."""
    empty = (
        "select 'the ledger is empty' as finding from (select count(*) as row_count from {batch}) as counted"  # noqa: S608
        f" where row_count = 0 and exists (select 1 from published.fct_charge_bucket where {within(days)})"
    )
    left_over = " or ".join(f"coalesce(sum({basis}), 0) <> 0" for basis in BASES)
    unbalanced = (
        "select usage_date, distribution_key, sum(effective_cost) as left_over from {batch} where stage = 'distributed'"  # noqa: S608
        f" group by all having {left_over}"
    )
    return [
        no_rows("where there are charges there is a ledger", empty),
        *_is_one_of("cost_class", COST_CLASSES),
        *_is_one_of("route", ROUTES),
        *_is_one_of("component", COMPONENTS),
        *_money(REQUIRED_BASES),
        no_rows("what distribution rules hand out sums to zero", unbalanced, column="distribution_key"),
        _one_bill_for_a_node(),
    ]


def _one_bill_for_a_node() -> Expectation:
    """Its hours cost what the rate card says or what the provider charges, never both."""
    computed = (
        "select distinct ledger.usage_date, ledger.node, ledger.source, ledger.line_item_type = 'RateCard' as is_rated, ledger.window_start,"
        " ledger.window_end from {batch} as ledger inner join published.fct_charge_bucket as bucket on ledger.usage_date = bucket.usage_date"
        " and ledger.bucket_key = bucket.bucket_key where ledger.stage = 'allocated' and ledger.node is not null and bucket.compute_kind is not null"
    )
    query = (
        f"with computed as ({computed}) select rated.node, rated.window_start as usage_hour, rated.source as rate_card, charged.source as bill"  # noqa: S608
        " from computed as rated inner join computed as charged on rated.usage_date = charged.usage_date and rated.node = charged.node"
        " and rated.window_start < charged.window_end and rated.window_end > charged.window_start"
        " where rated.is_rated and not charged.is_rated order by all"
    )
    return no_rows("a node is billed by a rate card or by a provider, never by both", query, column="node")


def fct_commitment_daily(days: Collection[dt.date]) -> list[Expectation]:
    """Commitments: used + unused is what was committed, to the last unit."""
    query = (
        "select usage_date, commitment_kind, commitment_id, cast(committed_cost_usd as varchar) as committed_usd from {batch}"
        " where committed_cost_usd is distinct from used_cost_usd + unused_cost_usd"
    )
    return [no_rows("used and unused are what was committed", query, column="committed_cost_usd"), _exact("unused_cost_usd")]


def fct_cost_daily(days: Collection[dt.date]) -> list[Expectation]:
    """The ledger by day: the same dollars."""
    ledger = f"select usage_date, stage, sum(effective_cost) as cost from published.fct_cost_allocation where {within(days)} group by all"  # noqa: S608
    query = (
        f"with daily as (select usage_date, stage, sum(cost_usd) as cost from {{batch}} group by all), ledger as ({ledger})"  # noqa: S608
        " select coalesce(daily.usage_date, ledger.usage_date) as usage_date, coalesce(daily.stage, ledger.stage) as stage,"
        " cast(daily.cost as varchar) as daily_usd, cast(ledger.cost as varchar) as ledger_usd"
        " from daily full join ledger on daily.usage_date = ledger.usage_date and daily.stage = ledger.stage"
        " where daily.cost is distinct from ledger.cost order by 1, 2"
    )
    return [no_rows("the ledger by day sums to the ledger", query, column="cost_usd"), *_is_one_of("cost_class", COST_CLASSES)]


def fct_showback(days: Collection[dt.date]) -> list[Expectation]:
    """Showback: the ledger by day once more, and nothing to filter by is NULL."""
    dimensions = GRAINS["fct_showback"]
    daily = "select date_trunc('month', usage_date) as usage_month, sum(cost_usd) as cost from published.fct_cost_daily group by all"
    query = (
        f"with shown as (select usage_month, sum(cost_usd) as cost from {{batch}} group by all), daily as ({daily})"  # noqa: S608
        " select coalesce(shown.usage_month, daily.usage_month) as usage_month, cast(shown.cost as varchar) as shown_usd,"
        " cast(daily.cost as varchar) as ledger_usd from shown full join daily on shown.usage_month = daily.usage_month"
        " where shown.cost is distinct from daily.cost order by 1"
    )
    unnamed = f"select * from {{batch}} where {' or '.join(f'{name} is null' for name in dimensions)}"  # noqa: S608
    return [
        no_rows("showback sums to the ledger by day", query, column="cost_usd"),
        no_rows("no dimension of showback is NULL", unnamed, column="team"),
        *_is_one_of("cost_class", COST_CLASSES),
    ]


def fct_cost_estimate(days: Collection[dt.date]) -> list[Expectation]:
    """Estimates beside the ledger."""
    key = "usage_date, node_key, workload_key, attempt_key, cost_class, pricing_status"
    return [
        *_is_one_of("cost_class", GPU_CLASSES),
        _exact("estimated_cost_usd"),
        _exact("effective_cost_usd"),
        no_rows(
            "an estimate is missing exactly where a reason is given",
            f"select {key}, estimated_cost_usd, reason from {{batch}} where (estimated_cost_usd is null) <> (reason is not null)",  # noqa: S608
            column="estimated_cost_usd",
        ),
        no_rows(
            "the difference is the ledger minus the estimate",
            f"select {key}, difference_usd from {{batch}} where difference_usd is distinct from effective_cost_usd - estimated_cost_usd",  # noqa: S608
            column="difference_usd",
        ),
    ]


def fct_charge_bucket(days: Collection[dt.date]) -> list[Expectation]:
    """What was delivered: per basis the ledger's rows sum to it exactly."""
    return [*_money(REQUIRED_BASES), *(_nothing_left(basis, days) for basis in BASES)]


def fct_reconciliation(days: Collection[dt.date]) -> list[Expectation]:
    """Delivered = published + not yet published, and nothing lost on the way."""
    return [
        no_rows(
            f"{column} is 0",
            f"select source, billing_period, usage_month, currency, account_id, invoice_id, {column} from {{batch}} where {column} is null or {column} <> 0",  # noqa: S608
            column=column,
        )
        for column in ("delivery_residual", "allocation_residual_usd")
    ]


def fct_delivery_control(days: Collection[dt.date]) -> list[Expectation]:
    """What staging made of each delivery is what was landed."""
    columns = "source, period, delivery_id, currency"
    return [
        no_rows(
            "staging_residual is 0",
            f"select {columns}, delivered_cost, staged_cost, staging_residual from {{batch}} where staging_residual <> 0",  # noqa: S608
            column="staging_residual",
        ),
        no_rows(
            "conversion_delta stays within half a unit of the twelfth place per row",
            f"select {columns}, delivered_rows, conversion_delta from {{batch}} where abs(conversion_delta) > delivered_rows * 0.0000000000005",  # noqa: S608
            column="conversion_delta",
        ),
    ]


def fct_budget_status(days: Collection[dt.date]) -> list[Expectation]:
    """A budget is never called ok while a price or a day is missing."""
    silent = (
        "select budget_id, period_start from {batch}"  # noqa: S608
        " where status = 'ok' and (unpriced_reason is not null or unpriced_days > 0 or missing_days > 0 or actual_usd >= amount_usd)"
    )
    return [no_rows("no budget passes while a price or a day is missing", silent, column="status")]


def fct_spend_anomaly(days: Collection[dt.date]) -> list[Expectation]:
    """The parts of a change sum to it."""
    torn = (
        "select incident_id from {batch}"  # noqa: S608
        " where change_usd <> actual_usd - baseline_usd or change_usd <> price_usd + volume_usd + mix_usd + utilization_usd + other_usd"
    )
    return [no_rows("the parts of a change sum to it", torn, column="change_usd")]


def fct_tag_coverage(days: Collection[dt.date]) -> list[Expectation]:
    """Dollars by key and evidence."""
    key = "usage_date, source, account_id, tag_key, evidence_level"
    return [
        no_rows(
            "positive and negative dollars sum to cost_usd",
            f"select {key}, cost_usd, positive_cost_usd, negative_cost_usd from {{batch}}"  # noqa: S608
            " where cost_usd is distinct from positive_cost_usd + negative_cost_usd",
            column="cost_usd",
        ),
        no_rows(
            "a repair is named exactly where one is the evidence",
            f"select {key}, repair_id from {{batch}} where (evidence_level = 'repair') <> (repair_id is not null)",  # noqa: S608
            column="repair_id",
        ),
    ]


def fct_untagged_spend(days: Collection[dt.date]) -> list[Expectation]:
    """Untagged spend: a guess has its evidence."""
    query = (
        "select tag_key, subject_type, subject, likely_owner, likely_owner_basis, confidence from {batch}"
        " where (likely_owner is null) <> (confidence is null) or (likely_owner is null) <> (tagged_cost_usd is null)"
    )
    return [no_rows("a likely owner has its evidence", query, column="likely_owner")]


def fct_guardrail_violation(days: Collection[dt.date]) -> list[Expectation]:
    """Guardrails: what is broken on the night's days under a rule that blocks stops the night, by rule, subject and remedy."""
    listed = ", ".join(f"date '{day.isoformat()}'" for day in sorted(days)) or "null"
    query = (
        "select guardrail_id, subject_type, subject, team, measured, threshold, cast(cost_usd as varchar) as cost_usd, since_date, remedy from {batch}"  # noqa: S608
        f" where action = 'block' and verdict = 'broken' and last_date in ({listed}) order by cost_usd desc, guardrail_id, subject"
    )
    return [no_rows("no guardrail that blocks is broken", query, column="guardrail_id"), *_is_one_of("verdict", ("broken", "unknown"))]


def fct_lever(days: Collection[dt.date]) -> list[Expectation]:
    """Levers: nothing saves more than it cost, and of each overlap group one counts."""
    key = "lever_kind, scope_type, scope, team"
    return [
        *_is_one_of("confidence", ("high", "medium", "low")),
        *_is_one_of("effort", ("low", "medium", "high")),
        *_money(("saving_usd", "saving_usd_per_month", "observed_cost_usd")),
        no_rows(
            "a saving is positive and at most what was paid",
            f"select {key}, saving_usd, observed_cost_usd from {{batch}} where saving_usd <= 0 or saving_usd > observed_cost_usd",  # noqa: S608
            column="saving_usd",
        ),
        no_rows(
            "one lever of each overlap group is its best",
            "select overlap_group, count(*) as best_rows from {batch} where is_best_of_group and overlap_group is not null"  # noqa: S608
            " group by overlap_group having count(*) <> 1",
            column="is_best_of_group",
        ),
    ]


def fct_workload_hourly(days: Collection[dt.date]) -> list[Expectation]:
    """Holders by the hour: their seconds are the sum of the classes."""
    seconds = " + ".join(f"{name}_seconds" for name in GPU_CLASSES)
    return [
        *_money(("cost_usd", *(f"{name}_cost_usd" for name in GPU_CLASSES))),
        no_rows(
            "gpu_seconds is the sum of its classes",
            f"select usage_date, usage_hour, node_key, workload_key, gpu_seconds from {{batch}} where gpu_seconds <> {seconds}",  # noqa: S608
            column="gpu_seconds",
        ),
    ]


def fct_gpu_utilization(days: Collection[dt.date]) -> list[Expectation]:
    """Seconds and dollars of each GPU-hour by class."""
    seconds = " + ".join(f"{name}_seconds" for name in GPU_CLASSES)
    dollars = " + ".join(f"{name}_cost_usd" for name in GPU_CLASSES)
    key = "usage_hour, node, gpu_key"
    return [
        no_rows(
            "the seconds by class sum to billed_seconds",
            f"select {key}, billed_seconds, {seconds} as class_seconds from {{batch}}"  # noqa: S608
            f" where not coalesce(billed_seconds - ({seconds}) between 0 and {ROUNDING_SECONDS}, false)",
            column="billed_seconds",
        ),
        no_rows(
            "the dollars by class sum to cost_usd",
            f"select {key}, cost_usd, {dollars} as class_cost_usd from {{batch}} where cost_usd is distinct from {dollars}",  # noqa: S608
            column="cost_usd",
        ),
        _ratio(key),
    ]


def fct_idle_gpu(days: Collection[dt.date]) -> list[Expectation]:
    """Idle GPUs: only what was seen idle has idle dollars."""
    idle = "gpu_state in ('held_idle', 'unallocated_idle')"
    return [
        *_is_one_of("gpu_state", GPU_STATES),
        no_rows(
            "a GPU is idle since some hour exactly where it was seen idle",
            f"select gpu_key, gpu_state, idle_since_hour from {{batch}} where ({idle}) <> (idle_since_hour is not null)"  # noqa: S608
            f" or (idle_cost_usd is not null and not ({idle}))",
            column="idle_since_hour",
        ),
    ]


def fct_alert(days: Collection[dt.date]) -> list[Expectation]:
    """Alerts: delivery routes by kind and severity."""
    return [
        *_is_one_of("severity", SEVERITIES),
        *_is_one_of("alert_kind", ALERT_KINDS),
        _exact("amount_usd"),
        no_rows(
            "ranks are 1, 2, 3, ... by dollars",
            "select alert_key, alert_rank, amount_usd from (select *, row_number() over (order by alert_rank) as place,"  # noqa: S608
            " lag(amount_usd) over (order by alert_rank) as dearer, lag(alert_rank) over (order by alert_rank) as before from {batch}) as ranked"
            " where alert_rank <> place or (before is not null and amount_usd is not null and (dearer is null or dearer < amount_usd))",
            column="alert_rank",
        ),
    ]


def fct_run_cost(days: Collection[dt.date]) -> list[Expectation]:
    """Runs."""
    parts = (
        "select workload_key, run_cost_usd from {batch} where run_cost_usd <> gpu_cost_usd + host_cost_usd + other_component_cost_usd"
        " or run_cost_usd <> spot_price_cost_usd + commitment_price_cost_usd + other_price_cost_usd"
        " or cost_change_usd <> gpu_time_change_usd + price_change_usd or gpu_time_change_usd <> work_change_usd + activity_change_usd"
    )
    return [
        _ratio("workload_key"),
        _exact("run_cost_usd"),
        no_rows("components, prices and the parts of a change sum to the run", parts, column="run_cost_usd"),
    ]


def fct_model_version_run(days: Collection[dt.date]) -> list[Expectation]:
    """Which version a run belongs to."""
    return [*_is_one_of("cost_role", ("version", "before_version", "open")), _exact("run_cost_usd")]


def fct_model_version_cost(days: Collection[dt.date]) -> list[Expectation]:
    """Versions: together all runs that name a model, none lost and none twice."""
    parts = " + ".join(f"coalesce({part}_cost_usd, 0)" for part in VERSION_PARTS)
    unequal = (
        "select runs.cost as runs_cost_usd, versions.cost as versions_cost_usd from (select coalesce(sum(run_cost_usd), 0) as cost, count(*) as run_count"  # noqa: S608
        " from published.fct_run_cost where model is not null) as runs, (select coalesce(sum(version_cost_usd), 0) as cost,"
        " coalesce(sum(run_count), 0) as run_count from {batch}) as versions where runs.cost <> versions.cost or runs.run_count <> versions.run_count"
    )
    return [
        *_is_one_of("row_kind", ("version", "open")),
        no_rows("versions sum to the runs that name a model", unequal, column="version_cost_usd"),
        no_rows(
            "the parts of a version sum to it",
            f"select model, workload_key, version_cost_usd from {{batch}} where coalesce(version_cost_usd, 0) <> {parts}",  # noqa: S608
            column="version_cost_usd",
        ),
    ]


def fct_retrain_cadence(days: Collection[dt.date]) -> list[Expectation]:
    """Whether retraining pays: a break-even gain, or why there is none."""
    key = "model, team, environment, break_even_gain, break_even_reason"
    return [
        *_is_one_of("verdict", ("pays", "does_not_pay", "unknown")),
        no_rows(
            "a break-even gain is missing exactly where a reason is given",
            f"select {key} from {{batch}} where (break_even_gain is null) <> (break_even_reason is not null)",  # noqa: S608
            column="break_even_gain",
        ),
    ]


def fct_run_attempt_cost(days: Collection[dt.date]) -> list[Expectation]:
    """Attempts of runs."""
    return [_ratio("workload_key, attempt_key"), _exact("run_cost_usd")]


def fct_inference_unit_cost(days: Collection[dt.date]) -> list[Expectation]:
    """Endpoints by day."""
    return _unit_costs("usage_date, endpoint")


def fct_inference_unit_cost_hourly(days: Collection[dt.date]) -> list[Expectation]:
    """Endpoints by hour."""
    return _unit_costs("usage_hour, endpoint")


def _unit_costs(key: str) -> list[Expectation]:
    query = (
        f"select {key}, requests_ok, allocated_cost_usd, cost_per_1k_requests_usd, unit_cost_reason from {{batch}}"  # noqa: S608
        " where (cost_per_1k_requests_usd is null) <> (unit_cost_reason is not null)"
    )
    return [no_rows("a unit cost is missing exactly where a reason is given", query, column="cost_per_1k_requests_usd"), _ratio(key)]


def _nothing_left(basis: str, days: Collection[dt.date]) -> Expectation:
    ledger = f"select usage_date, bucket_key, sum({basis}) as allocated from published.fct_cost_allocation where stage = 'allocated' and {within(days)} group by all"  # noqa: S608
    query = (
        f"with buckets as (select usage_date, bucket_key, sum({basis}) as delivered from {{batch}} group by all), ledger as ({ledger})"  # noqa: S608
        " select coalesce(buckets.usage_date, ledger.usage_date) as usage_date, coalesce(buckets.bucket_key, ledger.bucket_key) as bucket_key,"
        " cast(delivered as varchar) as delivered, cast(allocated as varchar) as allocated,"
        " cast(coalesce(delivered, 0) - coalesce(allocated, 0) as varchar) as residual"
        " from buckets full join ledger on buckets.usage_date = ledger.usage_date and buckets.bucket_key = ledger.bucket_key"
        " where delivered is distinct from allocated or buckets.bucket_key is null or ledger.bucket_key is null order by 1, 2"
    )
    return no_rows(f"per bucket the ledger's {basis} sums to the bucket's exactly", query, column=basis)


def _has_columns(grain: tuple[str, ...]) -> Expectation:
    import great_expectations.expectations as gxe

    return gxe.ExpectTableColumnsToMatchSet(column_set=list(grain), exact_match=False, severity="critical")


def _unique(table: str, grain: tuple[str, ...]) -> Expectation:
    """One row per grain; two NULLs are the same."""
    key = ", ".join(quote_name(column) for column in grain)
    severity: Severity = "warning" if table in GRAIN_ONLY_WARNS else "critical"
    query = f"select {key}, count(*) as row_count from {{batch}} group by {key} having count(*) > 1 order by all"  # noqa: S608
    return no_rows(f"one row per {', '.join(grain)}", query, column=", ".join(grain), severity=severity)


def _finite(table: PublishedTable) -> list[Expectation]:
    """No NaN and no infinity in any floating-point column: they pass comparisons that look safe."""
    columns = table.double_columns
    if not columns:
        return []
    bad = " or ".join(f"isnan({quote_name(c)}) or isinf({quote_name(c)})" for c in columns)
    key = ", ".join(quote_name(column) for column in dict.fromkeys([*GRAINS[table.name], *columns]))
    query = f"select {key} from {{batch}} where {bad}"  # noqa: S608
    return [no_rows("floating-point values are finite", query, column=", ".join(columns))]


def _money(columns: Sequence[str]) -> list[Expectation]:
    """Money that is never missing, in the exact type."""
    import great_expectations.expectations as gxe

    return [e for c in columns for e in (gxe.ExpectColumnValuesToNotBeNull(column=c, severity="critical"), _exact(c))]


def _exact(column: str) -> Expectation:
    query = f"select typeof({column}) as found_type from {{batch}} where typeof({column}) <> '{MONEY_TYPE}' limit 1"  # noqa: S608
    return no_rows(f"{column} is {MONEY_TYPE}", query, column=column)


def _is_one_of(column: str, values: Sequence[str]) -> list[Expectation]:
    import great_expectations.expectations as gxe

    return [
        gxe.ExpectColumnValuesToNotBeNull(column=column, severity="critical"),
        gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values), severity="critical"),
    ]


def _ratio(key: str) -> Expectation:
    query = f"select {key}, activity_ratio from {{batch}} where not (activity_ratio between 0 and 1) or isnan(activity_ratio)"  # noqa: S608
    return no_rows("activity_ratio is between 0 and 1", query, column="activity_ratio")
