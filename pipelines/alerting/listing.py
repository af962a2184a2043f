"""What stands, and asking for silence about it: `apportion alert list` and `apportion alert snooze`.

Belongs here: these two. Does not: judging, delivery.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from pipelines.alerting import table
from pipelines.alerting.message import harmless, ordered
from pipelines.alerting.routes import routes_of
from pipelines.alerting.state import Snooze, State, folder, open_state
from pipelines.errors import UsageError
from pipelines.lock import single_writer
from pipelines.report import usd
from pipelines.settings import Settings

SHORTEST_KEY = 6


def standing(settings: Settings, now: dt.datetime) -> list[dict[str, Any]]:
    """Every alert that stands, dearest first, with who was told when and how long it is snoozed."""
    with open_state(settings, scratch=True) as state:
        told, snoozes = state.told(), state.snoozes()
        alerts = [alert for alert, stands in state.alerts() if stands]
    found = []
    for alert, _ in ordered([(alert, "new") for alert in alerts]):
        snooze = snoozes.get(alert.alert_key)
        is_snoozed = snooze is not None and now < snooze.until
        found.append(
            {
                "alert_key": alert.alert_key,
                "alert_kind": alert.alert_kind,
                "severity": alert.severity,
                "team": alert.team,
                "subject": alert.subject,
                "since_date": alert.since_date,
                "amount_usd": alert.amount_usd,
                "message": alert.message,
                "explain": alert.explain,
                "routes": [r.name for r in routes_of(settings.values.alerts.routes, alert.alert_kind, alert.severity, alert.team)],
                "told": {route: last.told_at.isoformat() for (key, route), last in sorted(told.items()) if key == alert.alert_key},
                "snoozed_until": snooze.until.isoformat() if snooze and is_snoozed else None,
                "snooze_reason": snooze.reason if snooze and is_snoozed else None,
            }
        )
    return found


def standing_lines(found: list[dict[str, Any]]) -> list[str]:
    """For people."""
    if not found:
        return ["no alert stands"]
    lines = []
    for entry in found:
        told = ", ".join(f"{route} {at[:16]}" for route, at in entry["told"].items()) or "nobody was told"
        silence = f"; snoozed until {entry['snoozed_until'][:10]}: {harmless(entry['snooze_reason'])}" if entry["snoozed_until"] else ""
        lines.append(f"{entry['alert_key'][:12]}  {entry['severity']:8}  {usd(entry['amount_usd']):>14}  {harmless(entry['message'])}")
        lines.append(f"              {entry['team'] or 'no known owner'}; {told}{silence}")
    return lines


def snooze(settings: Settings, key: str, until: dt.date, reason: str, author: str | None, now: dt.datetime) -> Snooze:
    """Ask for silence about one alert until the UTC day ``until`` begins.

    Raises UsageError where no alert, or more than one, has that key, or ``until`` is past.
    """
    end = dt.datetime.combine(until, dt.time(), dt.UTC)
    if end <= now:
        raise UsageError(f"--until {until} is not in the future", remedy="name the first UTC day on which it may be told again")
    if not reason.strip():
        raise UsageError("--reason is empty", remedy="say why nobody has to look at it until then")
    with single_writer(folder(settings), purpose="alert snooze", wait_seconds=30), open_state(settings) as state:
        asked = Snooze(_whole_key(state, key), end, reason, author)
        state.snooze(asked, now)
        table.write(settings, state)
    return asked


def _whole_key(state: State, key: str) -> str:
    if len(key) < SHORTEST_KEY:
        raise UsageError(f"{key!r} is too short for a key", remedy=f"name at least its first {SHORTEST_KEY} digits")
    matching = [alert.alert_key for alert, _ in state.alerts() if alert.alert_key.startswith(key.lower())]
    if len(matching) != 1:
        raise UsageError(f"{len(matching)} alerts have a key that begins with {key!r}", remedy="see `apportion alert list`")
    return matching[0]
