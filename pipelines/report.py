"""What a night and the demo say when they are done: read from the published file, as any BI client would.

Belongs here: queries over the release and their wording. Does not: any figure that is not published.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import duckdb

from pipelines.settings import Settings


def open_release(settings: Settings) -> duckdb.DuckDBPyConnection:
    """The published file, as an untrusted reader opens it: read-only, no file access, locked configuration."""
    from pipelines.errors import ApportionError

    path = settings.published / "apportion.duckdb"
    if not path.exists():
        raise ApportionError("nothing is published yet", where=str(path), remedy="run `apportion nightly` or `apportion demo` first")
    # the published times are UTC without a zone: nothing has to be set, and nothing can be
    limits = {"enable_external_access": "false", "lock_configuration": "true"}
    connection = duckdb.connect(str(path.resolve()), read_only=True, config=limits)
    return connection


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    return row[0] if row else None


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    cursor = connection.execute(query)
    names = [d[0] for d in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def night_result(night: Any) -> dict[str, Any]:
    """What a night computed and published."""
    from pipelines.history.words import night_told
    from pipelines.nightly import money

    plan = night.planned
    figures = money(night.settings, plan.dirty_days)
    return {
        "release_id": night.release.release_id,
        "published": str(night.settings.published / "apportion.duckdb"),
        "days_computed": sorted(d.isoformat() for d in plan.dirty_days),
        "days_published": len(plan.known_days),
        "warnings": [str(r) for r in [*night.door.warnings, *night.exit.warnings]],
        **figures,
        **night_told(night.settings, night.release.release_id, is_new=night.release.is_new),
        "kept_aside": night.kept_aside,
        "corrected": night.corrected,
    }


def usd(value: Decimal | None) -> str:
    """Dollars to the cent, for people; `-` where there are none."""
    if value is None:
        return "-"
    return f"-${-value:,.2f}" if value < 0 else f"${value:,.2f}"


def night_lines(result: dict[str, Any]) -> list[str]:
    """The result of a night in words."""
    from pipelines.history.aside import aside_lines
    from pipelines.history.words import night_time_lines, period_lines

    days = result["days_computed"]
    span = "no day had changed" if not days else f"{len(days)} day(s) computed, {days[0]} to {days[-1]}"
    return [
        f"release {result['release_id']}: {span}; {result['days_published']} day(s) published",
        f"billed {usd(result['billed_usd'])}, attributed {usd(result['attributed_usd'])}, "
        f"unattributed {usd(result['unattributed_usd'])}, residual {result['residual_usd'].normalize():f}",
        *night_time_lines(result),
        *[line for entry in result["corrected"] for line in period_lines(entry)],
        *aside_lines(result["kept_aside"]),
        *[f"warning: {w}" for w in result["warnings"]],
        f"published: {result['published']}",
    ]


def overview(settings: Settings) -> dict[str, Any]:
    """The figures of the whole release that the demo prints."""
    with open_release(settings) as connection:
        total = _one(connection, "select sum(effective_cost) from fct_cost_allocation")
        return {
            "release_id": _one(connection, "select min(release_id) from meta_publication"),
            "first_day": _one(connection, "select min(usage_date) from dim_date"),
            "last_day": _one(connection, "select max(usage_date) from dim_date"),
            "spend_usd": total,
            "by_class": _rows(
                connection,
                "select cost_class, sum(effective_cost) as cost_usd from fct_cost_allocation group by cost_class order by cost_usd desc, cost_class",
            ),
            "gpu_activity_ratio": _one(
                connection,
                "select cast(sum(used_seconds) as double) / nullif(cast(sum(billed_seconds) as double), 0) from fct_gpu_utilization",
            ),
            "dearest_runs": _rows(
                connection,
                "select run_id, team, held_gpu_hours, activity_ratio, run_cost_usd, pricing_status from fct_run_cost"
                " where workload_type = 'training_run' order by run_cost_usd desc nulls last, run_id limit 5",
            ),
            "endpoints": _rows(
                connection,
                "select endpoint, sum(requests_ok) as requests_ok, sum(allocated_cost_usd) as cost_usd, case when sum(requests_ok) > 0 then"
                " cast(sum(allocated_cost_usd) as double) * 1000 / sum(requests_ok) end as cost_per_1k_usd from fct_inference_unit_cost"
                " group by endpoint order by endpoint",
            ),
            "not_attributed": _rows(
                connection,
                "select cost_class, coalesce(reason, '') as reason, sum(effective_cost) as cost_usd from fct_cost_allocation"
                " where workload_key is null and cost_class in ('unattributed', 'unknown', 'quarantined')"
                " group by all having sum(effective_cost) <> 0 order by cost_usd desc, reason",
            ),
            "residual_usd": _one(
                connection, "select sum(abs(delivery_residual)) + sum(abs(allocation_residual_usd)) from fct_reconciliation"
            ),
        }


REASONS = {
    "no_samples": "GPU billed, nobody known to hold it, no telemetry",
    "no_activity_value": "GPU observed, but no sample had a usable activity value",
    "shared_unlabelled": "part of a shared GPU beside a labelled one: a label may be missing",
    "active_unlabelled": "GPU busy, but no label or interval says for whom",
    "node_without_telemetry": "node billed without any telemetry or interval in that hour",
    "node_not_in_inventory": "GPU instance that the inventory does not know",
    "no_run_or_endpoint_tag": "tagged with a team or project only, and no rule distributes it",
    "untagged": "no tag that the policy knows",
    "kube_unallocated": "no pod of the cluster asked for it",
    "kube_system_overhead": "the cluster's own system",
    "billed_window_mismatch": "billed longer than the inventory says the node existed",
}


def demo_lines(result: dict[str, Any]) -> list[str]:
    """The demo's short result."""
    spend = result["spend_usd"]
    idle = sum((r["cost_usd"] for r in result["by_class"] if r["cost_class"] in ("held_idle", "unallocated_idle", "stranded")), Decimal(0))
    lines = [
        "",
        f"{result['first_day']} to {result['last_day']}: spend {usd(spend)}, of which GPU time that did nothing {usd(idle)} ({idle / spend:.0%})",
        "",
        "Where the money went",
        *[f"  {r['cost_class']:<20}{usd(r['cost_usd']):>14}{r['cost_usd'] / spend:>8.1%}" for r in result["by_class"]],
        "",
        "The five dearest training runs",
        *[
            f"  {r['run_id']:<20}{r['team'] or '-':<10}{r['held_gpu_hours']:>9.1f} GPU-h  {r['activity_ratio'] or 0:>5.0%} active{usd(r['run_cost_usd']):>13}"
            for r in result["dearest_runs"]
        ],
        "",
        "Cost per 1,000 successful inferences",
        *[
            f"  {r['endpoint']:<20}{r['requests_ok'] or 0:>10,} requests{usd(r['cost_usd']):>13}   "
            + (f"{r['cost_per_1k_usd']:,.4f} $ per 1k" if r["cost_per_1k_usd"] is not None else "no successful request")
            for r in result["endpoints"]
        ],
        "",
        "What could not be attributed, and why",
        *[f"  {usd(r['cost_usd']):>12}  {r['cost_class']}: {REASONS.get(r['reason'], r['reason'])}" for r in result["not_attributed"]],
        "",
        f"Residual against the bill: {result['residual_usd'].normalize():f} (every charge is allocated exactly)",
        f"Published: {result['published']}",
        f"Parquet:   {result['parquet']}",
        f"Show me why: apportion explain {result['dearest_runs'][0]['run_id']}" if result["dearest_runs"] else "",
    ]
    return lines
