"""Whether there is something to tell about one alert on one route, now. Pure: no clock, no state, no sending.

Two promises: never two messages about one alert on one route within the cool-down; and never silent for longer than the reminder (or the snooze) while
the condition lasts and delivery works.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from pipelines.alerting.routes import SEVERITY_RANK, AlertSettings

Reason = Literal["new", "worse", "reminder", "resolved"]
# Why there is nothing to tell; `closed`: the condition ended, and that is not told
Silence = Literal["snoozed", "cool_down", "unchanged", "closed", "nothing"]


@dataclass(frozen=True)
class Told:
    """The last message about an alert on a route. ``is_open``: the reader believes that the condition lasts."""

    told_at: dt.datetime
    amount_usd: Decimal | None
    severity: str
    is_open: bool


def judge(
    rules: AlertSettings,
    now: dt.datetime,
    *,
    is_standing: bool,
    severity: str,
    amount_usd: Decimal | None,
    last: Told | None,
    snoozed_until: dt.datetime | None = None,
) -> tuple[Reason | None, Silence | None]:
    """What to tell, or why nothing.

    Args:
        is_standing: whether the condition holds now.
        last: the last message on this route; ``None`` where there was none.
        snoozed_until: somebody asked for silence until then (past ones count too: their end is told).
    """
    is_snoozed = snoozed_until is not None and now < snoozed_until
    # a message of the future is one of a clock that was wrong: it must not silence for longer than one of now
    since = abs(now - last.told_at) if last is not None else None
    is_cooling = since is not None and since < dt.timedelta(hours=rules.cool_down_hours)
    if not is_standing:
        if last is None or not last.is_open:
            return None, "nothing"
        if is_snoozed or not rules.resolved:
            return None, "closed"
        return (None, "cool_down") if is_cooling else ("resolved", None)
    if is_snoozed:
        return None, "snoozed"
    if last is None or since is None:
        return "new", None
    if is_cooling:
        return None, "cool_down"
    if not last.is_open:
        return "new", None
    if SEVERITY_RANK[severity] > SEVERITY_RANK[last.severity] or is_worse(last.amount_usd, amount_usd, rules.worse_by_percent):
        return "worse", None
    hours = rules.remind_critical_after_hours if severity == "critical" else rules.remind_after_hours
    has_woken = snoozed_until is not None and last.told_at < snoozed_until
    if has_woken or since >= dt.timedelta(hours=hours):
        return "reminder", None
    return None, "unchanged"


def is_worse(told: Decimal | None, now: Decimal | None, percent: float) -> bool:
    """Whether the dollars grew by ``percent`` at least; an amount that was unknown and is known now has grown, one that vanished has not."""
    if now is None:
        return False
    if told is None:
        return now > 0
    return now > told and now - told >= abs(told) * Decimal(str(percent)) / 100
