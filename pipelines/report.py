"""What a night says when it is done: read from the published file, as any BI client would.

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
