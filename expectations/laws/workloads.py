"""Runs, model versions and endpoints: what each cost, and why a figure is missing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import TYPE_CHECKING

from expectations import no_rows, none_where
from expectations.laws.shared import activity_ratio_law, exact, is_one_of, reason_where_missing

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation


VERSION_PARTS = ("own", "failed_run", "preempted_run", "cancelled_run", "unknown_outcome_run", "running_run")


def fct_run_cost(days: Collection[dt.date]) -> list[Expectation]:
    """Runs."""
    torn = (
        "run_cost_usd <> gpu_cost_usd + host_cost_usd + other_component_cost_usd"
        " or run_cost_usd <> spot_price_cost_usd + commitment_price_cost_usd + other_price_cost_usd"
        " or cost_change_usd <> gpu_time_change_usd + price_change_usd or gpu_time_change_usd <> work_change_usd + activity_change_usd"
    )
    return [
        activity_ratio_law("workload_key"),
        exact("run_cost_usd"),
        none_where(
            "components, prices and the parts of a change sum to the run", torn, "workload_key, run_cost_usd", column="run_cost_usd"
        ),
    ]


def fct_run_attempt_cost(days: Collection[dt.date]) -> list[Expectation]:
    """Attempts of runs."""
    return [activity_ratio_law("workload_key, attempt_key"), exact("run_cost_usd")]


def fct_model_version_run(days: Collection[dt.date]) -> list[Expectation]:
    """Which version a run belongs to."""
    return [*is_one_of("cost_role", ("version", "before_version", "open")), exact("run_cost_usd")]


def fct_model_version_cost(days: Collection[dt.date]) -> list[Expectation]:
    """Versions: together all runs that name a model, none lost and none twice."""
    parts = " + ".join(f"coalesce({part}_cost_usd, 0)" for part in VERSION_PARTS)
    unequal = (
        "select runs.cost as runs_cost_usd, versions.cost as versions_cost_usd from (select coalesce(sum(run_cost_usd), 0) as cost, count(*) as run_count"  # noqa: S608
        " from published.fct_run_cost where model is not null) as runs, (select coalesce(sum(version_cost_usd), 0) as cost,"
        " coalesce(sum(run_count), 0) as run_count from {batch}) as versions where runs.cost <> versions.cost or runs.run_count <> versions.run_count"
    )
    return [
        *is_one_of("row_kind", ("version", "open")),
        no_rows("versions sum to the runs that name a model", unequal, column="version_cost_usd"),
        none_where(
            "the parts of a version sum to it",
            f"coalesce(version_cost_usd, 0) <> {parts}",
            "model, workload_key, version_cost_usd",
            column="version_cost_usd",
        ),
    ]


def fct_retrain_cadence(days: Collection[dt.date]) -> list[Expectation]:
    """Whether retraining pays: a break-even gain, or why there is none."""
    key = "model, team, environment, break_even_gain, break_even_reason"
    return [
        *is_one_of("verdict", ("pays", "does_not_pay", "unknown")),
        reason_where_missing("a break-even gain", "break_even_gain", "break_even_reason", key),
    ]


def fct_inference_unit_cost(days: Collection[dt.date]) -> list[Expectation]:
    """Endpoints by day."""
    return _unit_costs("usage_date, endpoint")


def fct_inference_unit_cost_hourly(days: Collection[dt.date]) -> list[Expectation]:
    """Endpoints by hour."""
    return _unit_costs("usage_hour, endpoint")


def _unit_costs(key: str) -> list[Expectation]:
    shown = f"{key}, requests_ok, allocated_cost_usd, cost_per_1k_requests_usd, unit_cost_reason"
    return [
        reason_where_missing("a unit cost", "cost_per_1k_requests_usd", "unit_cost_reason", shown),
        activity_ratio_law(key),
    ]
