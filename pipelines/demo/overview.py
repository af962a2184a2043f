"""What the demo says of its release when it is done: what was spent, what bought nothing, what to do about it.

Belongs here: queries over the release and their wording. Does not: any figure that is not published.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import duckdb

from pipelines.explaining.words import KNOWN_REASONS
from pipelines.report import open_release, usd
from pipelines.rows import rows_of
from pipelines.settings import Settings


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    return row[0] if row else None


def overview(settings: Settings) -> dict[str, Any]:
    """The figures of the whole release that the demo prints."""
    with open_release(settings) as connection:
        total = _one(connection, "select sum(effective_cost) from fct_cost_allocation")
        return {
            "release_id": _one(connection, "select min(release_id) from meta_publication"),
            "first_day": _one(connection, "select min(usage_date) from dim_date"),
            "last_day": _one(connection, "select max(usage_date) from dim_date"),
            "spend_usd": total,
            "by_class": rows_of(
                connection,
                "select cost_class, sum(effective_cost) as cost_usd from fct_cost_allocation group by cost_class order by cost_usd desc, cost_class",
            ),
            "gpu_activity_ratio": _one(
                connection,
                "select cast(sum(used_seconds) as double) / nullif(cast(sum(billed_seconds) as double), 0) from fct_gpu_utilization",
            ),
            "dearest_runs": rows_of(
                connection,
                "select run_id, team, held_gpu_hours, activity_ratio, run_cost_usd, pricing_status from fct_run_cost"
                " where workload_type = 'training_run' order by run_cost_usd desc nulls last, run_id limit 5",
            ),
            "endpoints": rows_of(
                connection,
                "select endpoint, sum(requests_ok) as requests_ok, sum(allocated_cost_usd) as cost_usd, case when sum(requests_ok) > 0 then"
                " cast(sum(allocated_cost_usd) as double) * 1000 / sum(requests_ok) end as cost_per_1k_usd from fct_inference_unit_cost"
                " group by endpoint order by endpoint",
            ),
            "not_attributed": rows_of(
                connection,
                "select cost_class, coalesce(reason, '') as reason, sum(effective_cost) as cost_usd from fct_cost_allocation"
                " where workload_key is null and cost_class in ('unattributed', 'unknown', 'quarantined')"
                " group by all having sum(effective_cost) <> 0 order by cost_usd desc, reason",
            ),
            "levers": rows_of(
                connection,
                "select lever_kind, scope, team, saving_usd_per_month, confidence from fct_lever where is_best_of_group"
                " order by saving_usd_per_month desc, lever_kind, scope limit 6",
            ),
            "saving_usd_per_month": _one(connection, "select sum(saving_usd_per_month) from fct_lever where is_best_of_group"),
            "alerts": rows_of(
                connection,
                "select severity, alert_kind, team, message, amount_usd from fct_alert order by amount_usd desc nulls last, alert_key",
            ),
            "residual_usd": _one(
                connection, "select sum(abs(delivery_residual)) + sum(abs(allocation_residual_usd)) from fct_reconciliation"
            ),
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
        *[
            f"  {usd(r['cost_usd']):>12}  {r['cost_class']}: {KNOWN_REASONS.get(r['reason'], r['reason'])}"
            for r in result["not_attributed"]
        ],
        "",
        f"What would cut the bill, a month ({usd(result['saving_usd_per_month'])} in all; each dollar counted once)",
        *[
            f"  {usd(r['saving_usd_per_month']):>12}  {r['lever_kind']:<23}{r['scope']:<26}{r['team'] or '-':<10}{r['confidence']} confidence"
            for r in result["levers"]
        ],
        "",
        f"What wants an eye ({len(result['alerts'])} alerts)",
        *[f"  {r['severity']:<9}{r['message']}" for r in result["alerts"]],
        "",
        f"Residual against the bill: {result['residual_usd'].normalize():f} (every charge is allocated exactly)",
        f"Published: {result['published']}",
        f"Parquet:   {result['parquet']}",
        f"Show me why: apportion explain {result['dearest_runs'][0]['run_id']}" if result["dearest_runs"] else "",
    ]
    return lines
