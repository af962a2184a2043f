"""Budgets, their forecasts and spend out of the ordinary: read from the published file, as any BI client would.

Belongs here: the queries of `apportion budgets` and `apportion anomalies` and their wording. Does not: any figure that is not published.
"""

from __future__ import annotations

from typing import Any

from pipelines.errors import UsageError
from pipelines.report import open_release, usd
from pipelines.rows import rows_of
from pipelines.settings import Settings

REASONS = {
    "no_price": "GPU time waits for its bill, and no rate card has a price for all of it",
    "awaiting_bill": "GPU time waits for its bill",
    "source_silent": "a bill source has not told the last days yet",
    "days_missing": "days between published ones are not published",
    "list_price_missing": "usage without a list price",
}
PARTS = ("price", "volume", "mix", "utilization", "other")


def budgets(settings: Settings, budget: str | None = None) -> dict[str, Any]:
    """Every budget's periods, the current one first, with the back-test of its forecast. ``budget``: only this id; UsageError where there is none."""
    with open_release(settings) as connection:
        found = rows_of(
            connection,
            "select * from fct_budget_status where $budget is null or budget_id = $budget order by period_start desc, budget_id",
            {"budget": budget},
        )
        tests = rows_of(
            connection,
            "select * from fct_forecast_backtest where series_kind = 'budget' and ($budget is null or series = $budget)"
            " order by series, horizon_days",
            {"budget": budget},
        )
    if budget is not None and not found:
        raise UsageError(f"no budget {budget!r} in a published period", remedy="`apportion budgets` lists them; they are in policy.yml")
    return {"budgets": found, "backtests": tests}


def anomalies(settings: Settings, incident: str | None = None) -> dict[str, Any]:
    """Incidents, the latest first. ``incident``: only this id; UsageError where there is none."""
    with open_release(settings) as connection:
        found = rows_of(
            connection,
            "select * from fct_spend_anomaly where $incident is null or incident_id = $incident order by since_date desc, incident_id",
            {"incident": incident},
        )
    if incident is not None and not found:
        raise UsageError(f"no incident {incident!r}", remedy="`apportion anomalies --json` lists them")
    return {"anomalies": found}


def budgets_lines(found: dict[str, Any]) -> list[str]:
    """The budgets in words."""
    if not found["budgets"]:
        return ["No budget: `governance.budgets` in the policy file has none (docs/budgets.md)"]
    return [line for row in found["budgets"] for line in _budget(row)]


def _budget(row: dict[str, Any]) -> list[str]:
    lines = [
        f"{row['budget_id']}  {row['period_start']} to {row['period_end']}  {row['status']}:"
        f" {usd(row['actual_usd'])} of {usd(row['amount_usd'])} ({row['actual_ratio']:.1%}), owner {row['owner']}"
    ]
    if row["crossed_threshold_percent"] is not None:
        lines.append(f"  {row['crossed_threshold_percent']} % crossed on {row['crossed_threshold_date']}")
    if row["forecast_usd"] is None:
        lines.append(f"  no forecast: {row['forecast_reason']}")
    elif row["period_end"] > row["as_of_date"]:
        span = (
            "too few days for an interval"
            if row["forecast_low_usd"] is None
            else f"80 % interval {usd(row['forecast_low_usd'])} to {usd(row['forecast_high_usd'])}"
        )
        crossing = f", crossing on {row['forecast_crossed_date']}" if row["is_forecast_over"] else ""
        lines.append(f"  forecast {usd(row['forecast_usd'])} ({row['forecast_ratio']:.1%}; {span}){crossing}")
    if row["unpriced_reason"] is not None:
        estimate = "" if row["unpriced_estimate_usd"] is None else f", estimated {usd(row['unpriced_estimate_usd'])}"
        lines.append(
            f"  not known: {REASONS[row['unpriced_reason']]} ({row['unpriced_days']} days unpriced, {row['missing_days']} missing,"
            f" {row['unpriced_gpu_seconds'] / 3600:,.1f} GPU-hours{estimate})"
        )
    if row["days_before_publication"]:
        lines.append(f"  {row['days_before_publication']} of {row['period_days']} days lie before the first published one")
    if row["has_no_spend"]:
        lines.append(f"  nothing was ever spent in its scope: {row['scope']}")
    return lines


def anomalies_lines(found: dict[str, Any]) -> list[str]:
    """The incidents in words."""
    if not found["anomalies"]:
        return ["Nothing out of the ordinary"]
    lines = []
    for row in found["anomalies"]:
        what = "idle spend" if row["measure"] == "idle" else "spend"
        lines += [
            f"{row['since_date']} to {row['until_date']}  {row['series_kind']} {row['series']}: {what} {row['direction']} ({row['shape']}),"
            f" {usd(row['actual_usd'])} instead of {usd(row['baseline_usd'])}; driver: {row['driver']}",
            "  " + ", ".join(f"{part} {usd(row[f'{part}_usd'])}" for part in PARTS),
        ]
        leaders = {name: row[f"leading_{name}"] for name in ("team", "model", "pool", "gpu_model", "service")}
        named = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in leaders.items() if value is not None)
        lines += [f"  mostly {named}"] if named else []
        if row["is_maybe_incomplete"]:
            lines.append("  the bill may not be complete yet")
    return lines
