"""One workload's dollars, taken back to the buckets of charges that they come from.

Belongs here: reading the ledger of the published release for one workload. Does not: computing any figure again.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pipelines.errors import UsageError
from pipelines.report import open_release, usd
from pipelines.settings import Settings

_LINES = """
    select
        l.usage_date, l.window_start, l.window_end, l.source, l.account_id, l.node, l.resource_id, l.sku, l.line_item_type, l.pricing_category,
        l.attempt_key, l.cost_class, l.component, l.route, l.evidence, l.method_id, l.activity_rung, l.reason, l.gpu_seconds,
        l.allocation_weight, l.bucket_weight, l.bucket_key, b.charge_count, b.effective_cost as bucket_cost_usd, l.effective_cost as cost_usd
    from fct_cost_allocation as l
    inner join fct_charge_bucket as b on l.usage_date = b.usage_date and l.bucket_key = b.bucket_key
    where l.workload_key = ?
    order by l.window_start, l.node, l.bucket_key, l.cost_class, l.component, l.attempt_key
"""


def explain_workload(settings: Settings, wanted: str) -> dict[str, Any]:
    """Every ledger row of one workload with its bucket, ratio, method, telemetry window and evidence.

    Raises UsageError where no published workload has that id or key; near names are suggested.
    """
    with open_release(settings) as connection:
        keys = [
            key
            for (key,) in connection.execute(
                "select distinct workload_key from fct_cost_allocation where workload_key = ? or workload_key in"
                " (select workload_key from dim_workload where workload_id = ?) order by 1",
                [wanted, wanted],
            ).fetchall()
        ]
        if not keys:
            near = connection.execute(
                "select workload_id from dim_workload order by jaro_winkler_similarity(workload_id, ?) desc, workload_id limit 3", [wanted]
            ).fetchall()
            hint = ", ".join(n for (n,) in near)
            raise UsageError(
                f"no published cost for {wanted!r}", where=str(settings.published), remedy=f"near names: {hint}" if hint else None
            )
        workloads = []
        for key in keys:
            cursor = connection.execute(_LINES, [key])
            names = [d[0] for d in cursor.description or []]
            lines = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            workloads.append({"workload_key": key, "cost_usd": sum((r["cost_usd"] for r in lines), Decimal(0)), "lines": lines})
        release = connection.execute("select min(release_id) from meta_publication").fetchone()
    return {"release_id": release[0] if release else None, "workloads": workloads}


def explain_lines(result: dict[str, Any]) -> list[str]:
    """The explanation in words: a sum per class, then each ledger row with its ratio."""
    text: list[str] = []
    for workload in result["workloads"]:
        by_class: dict[tuple[str, str], Decimal] = {}
        for row in workload["lines"]:
            key = (row["cost_class"], row["route"])
            by_class[key] = by_class.get(key, Decimal(0)) + row["cost_usd"]
        text += [
            f"{workload['workload_key']}: {usd(workload['cost_usd'])}, exactly {workload['cost_usd'].normalize():f} (release {result['release_id']})"
        ]
        text += [
            f"  {usd(cost):>12}  {cost_class} by {route}" for (cost_class, route), cost in sorted(by_class.items(), key=lambda i: -i[1])
        ]
        text.append("")
        for row in workload["lines"]:
            ratio = row["allocation_weight"] / row["bucket_weight"]
            place = row["node"] or row["resource_id"] or row["account_id"]
            seconds = "" if row["gpu_seconds"] is None else f", {row['gpu_seconds'].normalize():f} GPU-s"
            how = "/".join(str(v) for v in (row["evidence"], row["activity_rung"], row["method_id"], row["reason"]) if v)
            text.append(
                f"  {row['window_start']:%Y-%m-%d %H:%M} {place} {row['sku']}: {row['charge_count']} charge(s) {usd(row['bucket_cost_usd'])}"
                f" x {ratio:.9f} = {row['cost_usd'].normalize():f} {row['cost_class']} [{row['route']}: {how}]{seconds}"
            )
    return text
