"""Where idle money went, and which GPUs idle now: read from the published file, as any BI client would.

Belongs here: the queries of `apportion idle` and their wording. Does not: any figure that is not published, the picture (heatmap.py).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import duckdb

from pipelines.errors import UsageError
from pipelines.report import open_release, usd
from pipelines.rows import rows_of
from pipelines.settings import Settings

NOBODY = "(nobody)"
STATES = {
    "held_idle": "held, not active",
    "unallocated_idle": "held by nobody",
    "no_activity_value": "samples without a usable activity",
    "stale_telemetry": "last sample too old",
    "never_observed": "no sample at all",
}


@dataclass(frozen=True)
class Span:
    """The days asked for, both included; None: from the first, to the last published one."""

    first: dt.date | None = None
    last: dt.date | None = None
    team: str | None = None

    @property
    def where(self) -> str:
        return "($first is null or usage_date >= $first) and ($last is null or usage_date <= $last)"

    @property
    def owned(self) -> str:
        """Of one team where one is named; '' is what no team owns."""
        return "($team is null or coalesce(owner_team, '') = $team)"

    @property
    def values(self) -> dict[str, Any]:
        return {"first": self.first, "last": self.last}


def idle(settings: Settings, span: Span) -> dict[str, Any]:
    """Idle and unexplained dollars of ``span`` by kind, pool and owner, interrupted work, and the GPUs that idle now.

    Dollars are effective cost, before distribution. Raises UsageError where no day of ``span`` is published.
    """
    with open_release(settings) as connection:
        asked = span.values | {"team": span.team}
        (total,) = rows_of(
            connection,
            f"select min(usage_date) as first_day, max(usage_date) as last_day from dim_date where {span.where}",  # noqa: S608
            span.values,
        )
        if total["first_day"] is None:
            raise UsageError("no day of this span is published", remedy="ask for days that `apportion nightly` has computed")
        (spend,) = rows_of(
            connection,
            f"select coalesce(sum(effective_cost), 0) as spend_usd from fct_cost_allocation where stage = 'allocated' and {span.where}",  # noqa: S608
            span.values,
        )
        found = {
            **total,
            **spend,
            "team": span.team,
            "by_finding": _summed(connection, span, asked, "finding"),
            "by_kind": _summed(connection, span, asked, "idle_kind", "finding", "reason"),
            "by_pool": _summed(connection, span, asked, "pool", where="finding = 'bought_nothing'"),
            "by_owner": _summed(connection, span, asked, "owner_team", "owner_basis", where="finding = 'bought_nothing'"),
            "by_hour_of_week": _summed(connection, span, asked, "hour_of_week", where="finding = 'bought_nothing'"),
            "by_outcome": rows_of(
                connection,
                "select outcome, sum(run_cost_usd) as cost_usd, sum(rolled_back_cost_usd) as rolled_back_usd,"
                " coalesce(sum(run_cost_usd) filter (is_rolled_back is null), 0) as rollback_unknown_usd, count(*) as attempts"
                " from fct_run_attempt_cost where attempt_key <> '' group by outcome order by outcome",
            ),
            "gpus": rows_of(
                connection,
                f"select * from fct_idle_gpu where {span.owned} order by idle_cost_usd desc nulls last, gpu_key",  # noqa: S608
                {"team": span.team},  # noqa: S608
            ),
        }
    return found


def _summed(
    connection: duckdb.DuckDBPyConnection, span: Span, values: dict[str, Any], *columns: str, where: str = "true"
) -> list[dict[str, Any]]:
    names = ", ".join(columns)
    query = (
        f"select {names}, sum(cost_usd) as cost_usd, sum(gpu_seconds) as gpu_seconds from fct_idle_cost"  # noqa: S608
        f" where {span.where} and {span.owned} and {where} group by {names} order by cost_usd desc, {names}"
    )
    return rows_of(connection, query, values)


def idle_lines(found: dict[str, Any], rows: int = 20) -> list[str]:
    """The answer in words; at most ``rows`` GPUs (0: all)."""
    spend = found["spend_usd"]
    by_finding = {row["finding"]: row["cost_usd"] for row in found["by_finding"]}
    nothing, unexplained = by_finding.get("bought_nothing", Decimal(0)), by_finding.get("unexplained", Decimal(0))
    whose = "" if found["team"] is None else f" of {found['team'] or NOBODY}"
    return [
        f"{found['first_day']} to {found['last_day']}: {usd(nothing)}{_share(nothing, spend)}{whose} bought nothing,"
        f" {usd(unexplained)}{_share(unexplained, spend)} nobody can explain",
        *_table("What it was", [(_kind(row), row["cost_usd"]) for row in found["by_kind"]]),
        *_table(
            "Pools whose GPUs or commitments bought nothing", [(row["pool"] or "(no pool)", row["cost_usd"]) for row in found["by_pool"]]
        ),
        *_table("Owners", [(f"{row['owner_team'] or NOBODY}, by {row['owner_basis']}", row["cost_usd"]) for row in found["by_owner"]]),
        *_interrupted(found["by_outcome"]),
        *_gpus(found["gpus"], rows),
    ]


def _share(part: Decimal, whole: Decimal) -> str:
    return f" ({part / whole:.1%} of the bill)" if whole > 0 else ""


def _kind(row: dict[str, Any]) -> str:
    reason = row["reason"] if row["reason"] not in (None, row["idle_kind"]) else None
    return f"{row['idle_kind']}{f': {reason}' if reason else ''}" + ("" if row["finding"] == "bought_nothing" else "  (unexplained)")


def _table(title: str, rows: list[tuple[str, Decimal]]) -> list[str]:
    width = max([len(name) for name, _ in rows], default=0)
    return ["", title, *[f"  {name:<{width}}  {usd(cost):>14}" for name, cost in rows]] if rows else []


def _interrupted(outcomes: list[dict[str, Any]]) -> list[str]:
    rows = [row for row in outcomes if row["outcome"] in ("failed", "preempted", "cancelled")]
    if not rows:
        return []
    told = [
        f"  {row['outcome']:<10}{row['attempts']:>6} attempts{usd(row['cost_usd']):>14}   thrown away {usd(row['rolled_back_usd'])}"
        + (f", nobody tells for {usd(row['rollback_unknown_usd'])}" if row["rollback_unknown_usd"] else "")
        for row in rows
    ]
    return ["", "Attempts that did not succeed (all published days)", *told]


def _gpus(gpus: list[dict[str, Any]], rows: int) -> list[str]:
    idle_now = [gpu for gpu in gpus if gpu["idle_since_hour"] is not None]
    silent = [gpu for gpu in gpus if gpu["idle_since_hour"] is None]
    if not gpus:
        return ["", "No GPU is idle"]
    shown = idle_now if rows == 0 else idle_now[:rows]
    lines = ["", f"Idle GPUs as of {gpus[0]['as_of_hour']:%Y-%m-%d %H:00} UTC: {len(idle_now)}"]
    lines += [_gpu(gpu) for gpu in shown]
    lines += [f"  ... and {len(idle_now) - len(shown)} more (--rows 0)"] if len(shown) < len(idle_now) else []
    if silent:
        counts = {state: sum(1 for gpu in silent if gpu["gpu_state"] == state) for state in STATES}
        lines += ["GPUs that nobody hears of, not called idle: " + ", ".join(f"{n} {STATES[s]}" for s, n in counts.items() if n)]
    return lines


def _gpu(gpu: dict[str, Any]) -> str:
    holder = f" by {gpu['workload_key']}" if gpu["workload_key"] else ""
    longer = " or longer" if gpu["is_idle_for_the_whole_lookback"] else ""
    cost = usd(gpu["idle_cost_usd"]) + ("" if gpu["pricing_status"] == "priced" else f" ({gpu['pricing_status']})")
    rate = gpu["cost_per_hour_usd"]
    return (
        f"  {gpu['node']} {gpu['gpu_key'].rsplit('|', 1)[-1]}: {STATES[gpu['gpu_state']]}{holder} since"
        f" {gpu['idle_since_hour']:%m-%d %H:00}{longer}, {cost}{'' if rate is None else f', ${rate:,.2f}/h'}, {gpu['owner_team'] or NOBODY}"
    )
