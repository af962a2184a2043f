"""A hand-made warehouse with the published tables in small: what publication and its gates are tested against.

Each day has two buckets. b1 ($10.000000000001 effective) is split $3.333333333334 used by run R and $6.666666666667 idle; b2 is a
credit of -$1.5. So a day holds $8.500000000001.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from pipelines.settings import Settings, SettingsFile
from pipelines.warehouse import ensure_bookkeeping

DAYS = [dt.date(2026, 10, 1), dt.date(2026, 10, 2), dt.date(2026, 10, 3)]
IDENTITY = {"code": "c0de", "policy": "b011c7"}
# text as it comes in tags and names; none of it may do anything, anywhere
HOSTILE = [
    "=1+1",
    "+cmd",
    "-2",
    "@SUM(A1)",
    "'; drop table fct_run_cost; --",
    '"quoted"',
    "{{ env_var('HOME') }}",
    "a,b\nc",
    "日本 ✓",
    "{batch}",
]

_COST = "billed_cost decimal(38,12), effective_cost decimal(38,12), net_cost decimal(38,12), list_cost decimal(38,12), contracted_cost decimal(38,12)"
_SECONDS = ("used", "held_idle", "unallocated_idle", "stranded", "unattributed", "unknown")
_UNIT = (
    "requests_ok bigint, allocated_cost_usd decimal(38,12), activity_ratio double, cost_per_1k_requests_usd double,"
    " used_cost_per_1k_requests_usd double, unit_cost_reason varchar, pricing_status varchar"
)
TABLES = {
    "dim_date": "usage_date date, month_start date",
    "dim_metric": "metric varchar, label varchar, table_name varchar",
    "dim_node": "node_key varchar, node varchar, gpu_count bigint, valid_from timestamp, valid_to timestamp, owner_team varchar",
    "dim_showback_member": "dimension varchar, member varchar, member_kind varchar, cost_usd decimal(38,12)",
    "dim_tag_policy": "canonical_key varchar, alias varchar, alias_rank bigint, rule_kind varchar, rule_name varchar, valid_from date",
    "dim_workload": "workload_key varchar, workload_id varchar, team varchar, started_at timestamp",
    "fct_alert": "alert_key varchar, alert_rank bigint, alert_kind varchar, severity varchar, team varchar, subject_type varchar, subject varchar, since_date date,"
    " until_date date, is_new boolean, amount_usd decimal(38,12), measured varchar, threshold varchar, message varchar, evidence varchar, explain varchar,"
    " told_count bigint",
    "fct_charge_bucket": f"usage_date date, bucket_key varchar, source varchar, service varchar, {_COST}, compute_kind varchar",
    "fct_cost_allocation": "usage_date date, bucket_key varchar, source varchar, service varchar, workload_key varchar, attempt_key varchar,"
    f" team varchar, cost_class varchar, route varchar, component varchar, reason varchar, stage varchar, distribution_key varchar, {_COST},"
    " node varchar, line_item_type varchar, window_start timestamp, window_end timestamp, sharing varchar, is_unmeasured boolean",
    "fct_commitment_coverage": "usage_date date, usage_hour timestamp, source varchar, service varchar, region varchar, instance_family varchar,"
    " on_demand_cost_usd decimal(38,12)",
    "fct_commitment_daily": "usage_date date, source varchar, commitment_kind varchar, commitment_id varchar, committed_cost_usd decimal(38,12),"
    " used_cost_usd decimal(38,12), unused_cost_usd decimal(38,12)",
    "fct_cost_daily": "usage_date date, billing_period date, stage varchar, rule_id varchar, source varchar, provider varchar, account_id varchar, team varchar,"
    " owner_team varchar, owner_basis varchar, model varchar, environment varchar, project varchar, workload_type varchar, service varchar, cost_class varchar,"
    " component varchar, reason varchar, pricing_category varchar, charge_category varchar, gpu_model varchar, pool varchar, allocation_count bigint,"
    " gpu_seconds decimal(38,6), billed_cost_usd decimal(38,12), cost_usd decimal(38,12)",
    "fct_budget_status": "budget_id varchar, period_start date, amount_usd decimal(38,12), actual_usd decimal(38,12), unpriced_days bigint,"
    " missing_days bigint, unpriced_reason varchar, status varchar",
    "fct_forecast_backtest": "series_key varchar, horizon_days bigint, absolute_error_usd decimal(38,12), coverage_ratio double",
    "fct_spend_anomaly": "incident_id varchar, baseline_usd decimal(38,12), actual_usd decimal(38,12), change_usd decimal(38,12),"
    " price_usd decimal(38,12), volume_usd decimal(38,12), mix_usd decimal(38,12), utilization_usd decimal(38,12), other_usd decimal(38,12)",
    "fct_spend_forecast": "series_key varchar, forecast_date date, forecast_usd decimal(38,12)",
    "fct_cost_estimate": "usage_date date, node_key varchar, workload_key varchar, attempt_key varchar, cost_class varchar, pricing_status varchar,"
    " estimated_cost_usd decimal(38,12), effective_cost_usd decimal(38,12), difference_usd decimal(38,12), reason varchar",
    "fct_data_quality": "usage_date date, subject varchar, measure varchar, measured_value bigint",
    "fct_delivery_control": "source varchar, kind varchar, period varchar, delivery_id varchar, currency varchar, delivered_rows bigint,"
    " delivered_cost decimal(38,12), staged_cost decimal(38,12), conversion_delta decimal(38,24), staging_residual decimal(38,12)",
    "fct_energy": "usage_date date, node_key varchar, holder varchar, attempt_key varchar, energy_joules decimal(38,6)",
    "fct_gpu_utilization": "usage_date date, usage_hour timestamp, node varchar, gpu_key varchar, billed_seconds decimal(38,6), "
    + ", ".join(f"{c}_seconds decimal(38,6)" for c in _SECONDS)
    + ", activity_ratio double, pricing_status varchar, cost_usd decimal(38,12), "
    + ", ".join(f"{c}_cost_usd decimal(38,12)" for c in _SECONDS),
    "fct_gpu_utilization_daily": "usage_date date, gpu_key varchar, activity_ratio double, cost_usd decimal(38,12)",
    "fct_idle_cost": "usage_date date, usage_hour timestamp, no_hour_reason varchar, provider varchar, account_id varchar, cluster varchar,"
    " pool varchar, node varchar, cost_class varchar, idle_kind varchar, reason varchar, owner_team varchar, owner_basis varchar,"
    " workload_key varchar, attempt_key varchar, outcome varchar, is_rolled_back boolean, cost_usd decimal(38,12)",
    "fct_idle_gpu": "gpu_key varchar, gpu_state varchar, idle_since_hour timestamp, idle_cost_usd decimal(38,12), owner_team varchar",
    "fct_inference_unit_cost": f"usage_date date, endpoint varchar, {_UNIT}",
    "fct_inference_unit_cost_hourly": f"usage_date date, endpoint varchar, usage_hour timestamp, {_UNIT}",
    "fct_lever": "lever_kind varchar, scope_type varchar, scope varchar, team varchar, environment varchar, observed_cost_usd decimal(38,12),"
    " saving_usd decimal(38,12), saving_usd_per_month decimal(38,12), confidence varchar, effort varchar, overlap_group varchar, is_best_of_group boolean",
    "fct_workload_hourly": "usage_date date, usage_hour timestamp, node_key varchar, workload_key varchar, pricing_category varchar, gpu_seconds decimal(38,6), "
    + ", ".join(f"{c}_seconds decimal(38,6), {c}_cost_usd decimal(38,12)" for c in _SECONDS)
    + ", cost_usd decimal(38,12)",
    "fct_model_quality": "usage_date date, model varchar, model_version varchar, metric varchar, evaluation_set varchar, quality decimal(38,12)",
    "fct_reconciliation": "source varchar, billing_period date, usage_month date, currency varchar, account_id varchar,"
    " invoice_id varchar, finality varchar, as_of varchar, delivered_rows bigint,"
    " delivered_cost decimal(38,12), unpublished_cost decimal(38,12), billed_cost_usd decimal(38,12),"
    " effective_cost_usd decimal(38,12), attributed_cost_usd decimal(38,12), quarantined_cost_usd decimal(38,12),"
    " delivery_residual decimal(38,12), allocation_residual_usd decimal(38,12)",
    "fct_realised_saving": "lever_kind varchar, scope_type varchar, scope varchar, adopted_on date, saving_usd decimal(38,12)",
    "fct_run_attempt_cost": "workload_key varchar, attempt_key varchar, activity_ratio double, run_cost_usd decimal(38,12)",
    "fct_model_version_cost": "model varchar, team varchar, environment varchar, workload_key varchar, row_kind varchar, run_count bigint,"
    " version_cost_usd decimal(38,12), own_cost_usd decimal(38,12), failed_run_cost_usd decimal(38,12), preempted_run_cost_usd decimal(38,12),"
    " cancelled_run_cost_usd decimal(38,12), unknown_outcome_run_cost_usd decimal(38,12), running_run_cost_usd decimal(38,12)",
    "fct_model_version_run": "workload_key varchar, model varchar, cost_role varchar, run_cost_usd decimal(38,12)",
    "fct_retrain_cadence": "model varchar, team varchar, environment varchar, break_even_gain decimal(38,12), break_even_reason varchar, verdict varchar",
    "fct_retrain_gain": "workload_key varchar, metric varchar, evaluation_set varchar, quality_gain decimal(38,12)",
    "fct_run_cost": "workload_key varchar, run_id varchar, activity_ratio double, run_cost_usd decimal(38,12), team varchar, model varchar,"
    " gpu_cost_usd decimal(38,12), host_cost_usd decimal(38,12), other_component_cost_usd decimal(38,12), spot_price_cost_usd decimal(38,12),"
    " commitment_price_cost_usd decimal(38,12), other_price_cost_usd decimal(38,12), cost_change_usd decimal(38,12),"
    " gpu_time_change_usd decimal(38,12), price_change_usd decimal(38,12), work_change_usd decimal(38,12), activity_change_usd decimal(38,12)",
    "fct_managed_api_usage": "usage_date date, source varchar, endpoint varchar, provider varchar, model varchar, project varchar, team varchar, requests_ok bigint,"
    " spend_usd decimal(38,12), unpriced_requests bigint, cost_per_1k_requests_usd double, unit_cost_reason varchar",
    "fct_method_sensitivity": "usage_date date, team varchar, workload_key varchar, method varchar, cost_usd decimal(38,12)",
    "fct_activity_sensitivity": "usage_date date, workload_key varchar, attempt_key varchar, activity_rung varchar, used_cost_usd decimal(38,12)",
    "fct_storage_resource_daily": "usage_date date, source varchar, account_id varchar, resource_id varchar, cost_usd decimal(38,12)",
    "fct_telemetry_coverage": "usage_date date, node_key varchar, coverage_ratio decimal(9,6)",
    "fct_telemetry_gap": "usage_date date, node_key varchar, gap_start timestamp, gap_seconds bigint",
    "fct_showback": "usage_month date, team_kind varchar, team varchar, model varchar, environment varchar, cost_part varchar, cost_class varchar,"
    " allocation_count bigint, gpu_seconds decimal(38,6), billed_cost_usd decimal(38,12), cost_usd decimal(38,12)",
    "fct_tag_coverage": "usage_date date, source varchar, account_id varchar, charge_category varchar, tag_key varchar, evidence_level varchar,"
    " repair_id varchar, cost_usd decimal(38,12), positive_cost_usd decimal(38,12), negative_cost_usd decimal(38,12)",
    "fct_untagged_spend": "tag_key varchar, source varchar, account_id varchar, subject_type varchar, subject varchar, cluster varchar, service varchar,"
    " charge_category varchar, likely_owner varchar, likely_owner_basis varchar, confidence varchar, tagged_cost_usd decimal(38,12)",
    "fct_guardrail_violation": "guardrail_id varchar, verdict varchar, source varchar, account_id varchar, subject_type varchar, subject varchar,"
    " tag_key varchar, action varchar, team varchar, measured varchar, threshold varchar, cost_usd decimal(38,12), since_date date, last_date date,"
    " remedy varchar",
    "fct_serving_configuration": "endpoint varchar, configuration varchar, cost_usd decimal(38,12)",
}


def settings_for(home: Path, **publish: int) -> Settings:
    """Settings of a home without any source."""
    return Settings(SettingsFile.model_validate({"publish": publish, "engine": {"threads": 1}}), home, None)


def build(settings: Settings, days: Sequence[dt.date] = DAYS, generation: int = 0) -> None:
    """Create the warehouse anew with ``days``; ``generation`` stands in the service of every charge and in every run's name."""
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    settings.warehouse.unlink(missing_ok=True)
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute("create schema published; create schema intermediate; create table intermediate.int_private as select 1 as n")
        for table, columns in TABLES.items():
            connection.execute(f"create table published.{table} ({columns})")
            connection.execute(f"comment on table published.{table} is 'what {table} says; it''s \"here\"'")
        connection.execute("comment on column published.fct_run_cost.run_cost_usd is 'effective cost -- of the run'")
        connection.execute("insert into published.dim_node values ('n1|i-1', 'n1', 8, null, null, null)")
        connection.execute(
            "insert into published.dim_tag_policy values ('team', 'team', 0, 'alias', 'team', null), ('team', 'owner', 1, 'alias', 'owner', null)"
        )
        for number, text in enumerate(HOSTILE):
            connection.execute(
                "insert into published.fct_alert values (?, ?, 'idle_gpu', 'info', null, 'pool', ?, null, ?, null, ?, 'm', 't', ?, '{}', null, 1)",
                [f"key-{number}", number + 1, text, DAYS[-1], 100 - number, text],
            )
            connection.execute("insert into published.dim_workload values (?, ?, null, null)", [f"training_run/{text}", f"{number}"])
        ensure_bookkeeping(connection)
        connection.executemany(
            "insert into ops.deliveries values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                ("gpus", "dcgm", "2026-10-03", "d3", None, None, DAYS[2], DAYS[2], 120, 0),
                ("aws", "aws_cur", "2026-10", "d1", "provisional", "2026-10-04", DAYS[0], DAYS[2], 6, 1),
                ("aws", "aws_cur", "2026-09", "d0", "final", "2026-10-02", dt.date(2026, 9, 1), DAYS[0], 4, 0),
            ],
        )
        for day in days:
            set_day(connection, day, generation)
        set_whole(connection, len(days), generation)


def set_day(connection: duckdb.DuckDBPyConnection, day: dt.date, generation: int) -> None:
    """Replace one day's rows."""
    for table, columns in TABLES.items():
        if columns.startswith("usage_date"):
            connection.execute(f"delete from published.{table} where usage_date = ?", [day])  # noqa: S608
    service, hour = f"generation {generation}", dt.datetime.combine(day, dt.time(10))
    ledger = [
        (day, "b1", "aws", service, "training_run/R", "R@1", None, "used", "telemetry", "gpu", None, "allocated", None, 4, "3.333333333334", 4, 5, None),
        (day, "b1", "aws", service, None, None, None, "unallocated_idle", "telemetry", "gpu", None, "allocated", None, 6, "6.666666666667", 6, 7, None),
        (day, "b2", "aws", service, None, None, None, "credit", "none", "other", None, "allocated", None, -1, "-1.5", -1, -1, None),
    ]  # fmt: skip
    rows: dict[str, list[tuple[Any, ...]]] = {
        "dim_date": [(day, day.replace(day=1))],
        "fct_charge_bucket": [
            (day, "b1", "aws", service, 10, "10.000000000001", 10, 12, None),
            (day, "b2", "aws", service, -1, "-1.5", -1, -1, None),
        ],
        "fct_cost_allocation": ledger,
        "fct_cost_estimate": [
            (day, "n1|i-1", "training_run/R", "R@1", "used", "replaced", "3.5", "3.333333333334", "-0.166666666666", None),
            (day, "n1|i-1", None, None, "unallocated_idle", "awaiting_bill", None, None, None, "no_rate"),
        ],
        "fct_data_quality": [(day, "n1", "discarded_activity_values", 3)],
        "fct_energy": [(day, "n1|i-1", "nobody", None, 180000)],
        "fct_gpu_utilization": [(day, hour, "n1", "n1|0", 3600, 1200, 0, 2400, 0, 0, 0, 0.5, "priced", 9, 3, 0, 6, 0, 0, 0)],
        "fct_inference_unit_cost": [(day, "chat", 2000, 4, 0.25, 2.0, 1.0, None, "priced")],
        "fct_inference_unit_cost_hourly": [(day, "chat", hour, 0, 4, None, None, None, "no_successful_request", "priced")],
        "fct_managed_api_usage": [(day, "log", "chat", "openai", "gpt", None, "core", 1000, "1.5", 0, 1.5, None)],
        "fct_method_sensitivity": [(day, "vision", "training_run/r1", "gpu_only", 6)],
        "fct_model_quality": [(day, "churn", "3", "auc", "holdout", "0.87")],
        "fct_activity_sensitivity": [(day, "training_run/R", "R@1", "sm_active", 3)],
        "fct_telemetry_coverage": [(day, "n1|i-1", "0.9")],
        "fct_commitment_daily": [(day, "aws", "savings_plan", "plan", 3, 2, 1)],
        "fct_commitment_coverage": [(day, hour, "aws", "AmazonEC2", "us-east-1", "p4d", 10)],
        "fct_storage_resource_daily": [(day, "aws", "111", "vol-1", 3)],
        "fct_telemetry_gap": [(day, "n1|i-1", hour, 360)],
        "fct_tag_coverage": [(day, "aws", "111", "Usage", "team", "missing", None, "8.500000000001", "8.500000000001", 0)],
        "fct_workload_hourly": [(day, hour, "n1|i-1", "training_run/R", "on_demand", 3600, 1200, 3, 2400, 6, 0, 0, 0, 0, 0, 0, 0, 0, 9)],
    }
    for table, values in rows.items():
        names = ", ".join(column for column, *_ in connection.execute(f"describe published.{table}").fetchall()[: len(values[0])])
        connection.executemany(f"insert into published.{table} ({names}) values ({', '.join('?' * len(values[0]))})", values)  # noqa: S608
    connection.execute(
        "insert into published.fct_cost_daily (usage_date, stage, source, owner_basis, workload_type, service, cost_class, component,"
        " allocation_count, billed_cost_usd, cost_usd)"
        " select usage_date, stage, source, 'none', split_part(workload_key, '/', 1), service, cost_class, component, count(*), sum(billed_cost),"
        " sum(effective_cost) from published.fct_cost_allocation where usage_date = ? group by all order by all",
        [day],
    )


def set_whole(connection: duckdb.DuckDBPyConnection, days: int, generation: int) -> None:
    """Replace the rows of the tables that are kept as a whole."""
    connection.execute("delete from published.fct_showback")
    connection.execute(
        "insert into published.fct_showback select date_trunc('month', usage_date), 'nobody', '(unallocated)', '(no model)', '(no environment)', 'own', cost_class,"
        " sum(allocation_count), sum(gpu_seconds), sum(billed_cost_usd), sum(cost_usd) from published.fct_cost_daily group by all"
    )
    of_training = (
        "fct_run_cost",
        "fct_run_attempt_cost",
        "fct_model_version_run",
        "fct_model_version_cost",
        "fct_retrain_gain",
        "fct_retrain_cadence",
    )
    for table in (*of_training, "fct_reconciliation", "fct_delivery_control"):
        connection.execute(f"delete from published.{table}")  # noqa: S608
    connection.execute(
        "insert into published.fct_run_cost (workload_key, run_id, activity_ratio, run_cost_usd, model) values ('training_run/R', ?, 0.5, ?, 'churn')",
        [f"generation {generation}", days],
    )
    connection.execute("insert into published.fct_model_version_run values ('training_run/R', 'churn', 'version', ?)", [days])
    connection.execute(
        "insert into published.fct_model_version_cost (model, workload_key, row_kind, run_count, version_cost_usd, own_cost_usd)"
        " values ('churn', 'training_run/R', 'version', 1, $1, $1)",
        [days],
    )
    connection.execute("insert into published.fct_retrain_gain values ('training_run/R', 'auc', 'holdout', null)")
    connection.execute("insert into published.fct_retrain_cadence values ('churn', null, null, null, 'no_counted_retrain', 'unknown')")
    connection.execute("delete from published.fct_lever")
    connection.execute(
        "insert into published.fct_lever values ('raise_utilization', 'workload', 'training_run/R', 'nlp', null, ?, 1, 30, 'low', 'high', 'workload/training_run/R', true)",
        [9 * days],
    )
    connection.execute("insert into published.fct_run_attempt_cost values ('training_run/R', 'R@1', 0.5, ?)", [days])
    connection.execute(
        "insert into published.fct_delivery_control values ('aws', 'aws_cur', '2026-10', 'd1', 'USD', ?, ?, ?, 0, 0)",
        [2 * days, 9 * days, 9 * days],
    )
    total = f"{days * 8}.{days:012d}"  # days x (8.500000000001), without the halves that follow
    connection.execute(
        "insert into published.fct_reconciliation values ('aws', '2026-10-01', '2026-10-01', 'USD', '111', null, 'provisional', '2026-10-04', ?, 0, 0, ?,"
        " cast(? as decimal(38,12)) + ? * 0.5, cast(? as decimal(38,12)) + ? * 0.5, 0, 0, 0)",
        [2 * days, 9 * days, total, days, total, days],
    )
