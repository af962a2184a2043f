"""What a night and the commands say about time: what moved and why, what is provisional, what a closed period holds back.

Belongs here: reading history.duckdb and wording. Does not: any figure that is not there or in a restatement.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import duckdb

from pipelines.history.database import FILE
from pipelines.history.restatement import BASES, Restatement
from pipelines.rows import rows_of
from pipelines.settings import Settings

CAUSES = {
    "first_published": "published for the first time",
    "late_usage": "late usage",
    "removed_usage": "usage taken back",
    "price_change": "another price",
    "credit": "credits and refunds",
    "correction": "corrections by the provider",
    "tax_and_fees": "tax and fees",
    "commitment_reapplied": "commitments applied otherwise",
    "tag_change": "tags changed",
    "invoice_assigned": "invoice assigned",
    "telemetry_change": "telemetry, intervals or labels",
    "redistributed": "shared cost distributed otherwise",
    "policy_change": "the policy changed",
    "code_change": "the code changed",
    "withdrawn": "no longer published",
}


def usd(value: Decimal | None) -> str:
    """Dollars to the cent with their sign, for moves."""
    return "-" if value is None else f"{'-' if value < 0 else '+'}${abs(value):,.2f}"


def restatement_result(found: Restatement) -> dict[str, Any]:
    """A restatement as JSON."""
    return {
        "from": {"release_id": found.old.release_id, "sequence": found.old.sequence, "published_at": found.old.published_at.isoformat()},
        "to": {"release_id": found.new.release_id, "sequence": found.new.sequence, "published_at": found.new.published_at.isoformat()},
        "days": {day.isoformat(): list(tables) for day, tables in found.days.items()},
        "total_move_usd": found.totals,
        "causes": found.causes,
        "rows": found.rows,
        "largest": found.largest,
        "columns_not_compared": list(found.not_compared),
    }


def restatement_lines(found: Restatement) -> list[str]:
    """A restatement in words."""
    head = f"{found.old.release_id} ({found.old.published_at:%Y-%m-%d %H:%M}) -> {found.new.release_id} ({found.new.published_at:%Y-%m-%d %H:%M})"
    if not found.days:
        return [head, "nothing moved"]
    first, last = min(found.days), max(found.days)
    lines = [
        f"{head}: {len(found.days)} day(s) differ, {first} to {last}",
        f"moved in all: {', '.join(f'{basis} {usd(found.totals[basis])}' for basis in BASES)}",
        f"  {'cause':<34}{'days':>5}{'effective':>14}{'billed':>14}{'list':>14}{'gross':>14}",
        *[
            f"  {CAUSES.get(c['cause'], c['cause']):<34}{c['day_count']:>5}"
            + "".join(f"{usd(c[f'{name}_move_usd']):>14}" for name in ("effective", "billed", "list", "gross"))
            for c in found.causes
        ],
    ]
    if found.largest:
        lines.append("largest moves (effective)")
        lines += [
            f"  {m['usage_date']}  {m['source']:<12}{m['team'] or '-':<12}{m['workload_key'] or '-':<28}{m['cost_class']:<18}"
            f"{usd(m['effective_move_usd']):>14}  {CAUSES.get(m['cause'], m['cause'])}"
            for m in found.largest[:10]
        ]
    if found.not_compared:
        lines.append(f"the columns changed; not compared: {', '.join(found.not_compared)}")
    return lines


def night_told(settings: Settings, release_id: str, *, is_new: bool) -> dict[str, Any]:
    """What the last publication moved, and what of it is provisional. ``moved`` is empty where it brought nothing new."""
    path = settings.published / FILE
    if not path.exists():
        return {"moved": [], "provisional": None}
    limits = {"enable_external_access": "false", "lock_configuration": "true"}
    with duckdb.connect(str(path.resolve()), read_only=True, config=limits) as connection:
        moved = rows_of(
            connection,
            "select cause, count(distinct usage_date) as day_count, sum(effective_move_usd) as effective_move_usd,"
            " sum(billed_move_usd) as billed_move_usd, sum(gross_move_usd) as gross_move_usd from restatements"
            " where to_sequence = (select max(sequence) from releases) and to_release_id = ?"
            " group by cause order by sum(gross_move_usd) desc, cause",
            [release_id],
        )
        provisional = rows_of(
            connection,
            "select provider, min(usage_date) as first_day, max(usage_date) as last_day, count(distinct usage_date) as day_count,"
            " sum(effective_cost_usd) as effective_cost_usd, sum(effective_cost_usd) filter (where expected_revision_p90_usd is not null) as foretold_usd,"
            " sum(expected_revision_p50_usd) as p50_usd, sum(expected_revision_p90_usd) as p90_usd, min(observation_count) filter (where reason is null)"
            " as observation_count, sum(back_test_count) as back_test_count,"
            " sum(back_test_count * back_test_coverage_ratio) / nullif(sum(back_test_count), 0) as coverage_ratio, min(reason) as reason"
            " from provisional_figures group by provider order by provider",
            [],
        )
    return {"moved": moved if is_new else [], "provisional": provisional}


def night_time_lines(told: dict[str, Any]) -> list[str]:
    """What moved and why, then what is provisional, a line each."""
    lines = [
        f"{CAUSES.get(m['cause'], m['cause'])}: effective {usd(m['effective_move_usd'])}, billed {usd(m['billed_move_usd'])} on {m['day_count']} day(s)"
        for m in told["moved"]
    ]
    lines = [f"moved since the last release: {lines[0]}", *[f"  {line}" for line in lines[1:]]] if lines else []
    return lines + [line for p in told["provisional"] or [] for line in provisional_lines(p)]


def provisional_lines(told: dict[str, Any]) -> list[str]:
    """What one provider's provisional days may still become."""
    total = told["effective_cost_usd"]
    head = f"{told['provider']}: provisional ${total:,.2f} on {told['day_count']} day(s), {told['first_day']} to {told['last_day']}"
    if told["foretold_usd"] is None:
        return [f"{head}; no likely revision can be told: {told['reason']}"]
    low, high = (float(told[key]) / float(told["foretold_usd"]) if told["foretold_usd"] else 0.0 for key in ("p50_usd", "p90_usd"))
    held = (
        "not yet back-tested"
        if told["coverage_ratio"] is None
        else f"p90 held in {told['coverage_ratio']:.0%} of {told['back_test_count']} back-tests"
    )
    rest = "" if told["foretold_usd"] == total else f" (for ${told['foretold_usd']:,.2f} of it: {told['reason']})"
    return [
        f"{head}; history makes {low:+.1%} (p50) to {high:+.1%} (p90) likely{rest}, {told['observation_count']} or more observations a day, {held}"
    ]


def period_lines(entry: dict[str, Any]) -> list[str]:
    """One event of the log of periods in words."""
    sources = ", ".join(entry["sources"])
    if entry["event"] == "correct":
        return [f"period {entry['period']} of {sources}: the next night may change it ({entry['reason']}), then it is closed again"]
    days = entry["frozen_days"]
    span = f"{len(days)} day(s) frozen{f', {min(days)} to {max(days)}' if days else ''}"
    open_days = sorted({day for of_source in entry["bill_days"].values() for day in of_source} - set(days))
    lines = [f"period {entry['period']} of {sources} is closed with release {entry['release_id']}: {span}"]
    if open_days:
        lines.append(
            f"{len(open_days)} day(s) have bills of open periods as well: there only the bill rows of {sources} are frozen, {open_days[0]} to {open_days[-1]}"
        )
    if entry["event"] == "corrected":
        amounts = ", ".join(f"{basis} {usd(Decimal(amount))}" for basis, amount in entry["moved_usd"].items())
        lines.insert(0, f"correction published ({entry['reason']}): {amounts}; before it was release {entry['release_before']}")
    return lines
