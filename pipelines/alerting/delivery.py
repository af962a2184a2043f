"""Alerts to people: what is observed is remembered, what is due is told, one message per route.

Belongs here: the order of these, and what a kill between them leaves. Does not: judging (rules.py), words (message.py), sending (sending.py).

A message is written down before it leaves and recorded after it arrived. A kill in between leaves it uncertain: it is told again, and says so. So every
alert is told at least once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.alerting import message, table
from pipelines.alerting.alert import Alert
from pipelines.alerting.routes import SEVERITY_RANK, Route, routes_of
from pipelines.alerting.rules import Reason, judge
from pipelines.alerting.sending import DEFAULT_CHARACTERS, Address, Outcome
from pipelines.alerting.state import State, folder, open_state
from pipelines.errors import ApportionError
from pipelines.lock import single_writer
from pipelines.settings import Settings

Progress = Callable[[str], None]
WAIT_SECONDS = 120  # for another delivery of this home: it takes at most the routes' timeouts


@dataclass(frozen=True)
class Observation:
    """``alerts`` stand. ``complete``: origins that were looked at in full, so that what they do not tell any more has ended."""

    alerts: Sequence[Alert]
    complete: Collection[str]


@dataclass
class Message:
    """What one route is told. ``outcome``: ``None`` in a dry run."""

    route: str
    title: str
    body: str
    told: list[tuple[Alert, Reason]]
    outcome: Outcome | None = None


@dataclass
class Delivery:
    """What became of everything that stands."""

    standing: list[Alert] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    silent: dict[str, int] = field(default_factory=dict)  # alert x route by reason: snoozed, cool_down, unchanged
    unrouted: list[Alert] = field(default_factory=list)

    @property
    def failed(self) -> list[Message]:
        """Messages that did not arrive."""
        return [m for m in self.messages if m.outcome is not None and not m.outcome.ok]


def deliver(
    settings: Settings, observation: Observation, *, now: dt.datetime, progress: Progress = lambda _: None, dry_run: bool = False
) -> Delivery:
    """Remember ``observation`` and tell what is due.

    Args:
        now: the instant, with its zone; nothing here asks the clock.
        dry_run: judge on a copy of the state and send nothing.

    A route that fails is told in ``progress``, recorded as ``delivery_failed`` and tried again the next time; it raises nothing.
    """
    with (
        single_writer(folder(settings), purpose="alert delivery", wait_seconds=WAIT_SECONDS),
        open_state(settings, scratch=dry_run) as state,
    ):
        state.observe(observation.alerts, observation.complete, now)
        delivery = _due(settings, state, now)
        for entry in delivery.messages:
            if not dry_run:
                _send(settings, state, entry, now, progress)
        state.forget(now)
        if not dry_run:
            table.write(settings, state)
    if delivery.unrouted and settings.values.alerts.routes:
        progress(f"alerts: {len(delivery.unrouted)} match no route, and no route is the default: see `apportion alert list`")
    return delivery


def _due(settings: Settings, state: State, now: dt.datetime) -> Delivery:
    """What is to be told now, by route; ends that nobody is told of are closed."""
    rules = settings.values.alerts
    told, snoozes, found = state.told(), state.snoozes(), Delivery()
    due: dict[str, list[tuple[Alert, Reason]]] = {route.name: [] for route in rules.routes}
    for alert, is_standing in state.alerts():
        if is_standing:
            found.standing.append(alert)
        snooze = snoozes.get(alert.alert_key)
        wanted = {route.name for route in routes_of(rules.routes, alert.alert_kind, alert.severity, alert.team)}
        if is_standing and not wanted:
            found.unrouted.append(alert)
        for route in due:
            last = told.get((alert.alert_key, route))
            if route not in wanted:
                if last is not None and last.is_open:
                    state.close(alert.alert_key, route)  # it has another owner or severity now: somebody else is told how it goes on
                continue
            reason, silence = judge(
                rules,
                now,
                is_standing=is_standing,
                severity=alert.severity,
                amount_usd=alert.amount_usd,
                last=last,
                snoozed_until=snooze.until if snooze else None,
            )
            if reason is not None:
                due[route].append((alert, reason))
            elif silence == "closed":
                state.close(alert.alert_key, route)
            elif is_standing and silence is not None:
                found.silent[silence] = found.silent.get(silence, 0) + 1
    for route, entries in due.items():
        if entries:
            text = message.body(
                entries, most=rules.most_told, characters=DEFAULT_CHARACTERS, link=rules.link, uncertain=state.uncertain(route)
            )
            found.messages.append(Message(route, message.title(entries), text, message.ordered(entries)))
    return found


def _send(settings: Settings, state: State, entry: Message, now: dt.datetime, progress: Progress) -> None:
    rules = settings.values.alerts
    [route] = [r for r in rules.routes if r.name == entry.route]
    before, keys = state.uncertain(route.name), [alert.alert_key for alert, _ in entry.told]
    try:
        address = _address(settings, route)
    except ApportionError as error:
        entry.outcome = Outcome(False, error.what)
    else:
        entry.body = message.body(entry.told, most=rules.most_told, characters=address.characters, link=rules.link, uncertain=before)
        state.begin(route.name, sorted(before | set(keys)), now)
        entry.outcome = address.send(entry.title, entry.body, _loudest(entry.told))
    if entry.outcome.ok:
        state.record(route.name, entry.told, now)
        progress(f"alerts: {len(keys)} told to {route.name}")
        return
    state.fail(route.name, len(keys), entry.outcome.why, now, before | set(keys) if entry.outcome.may_have_arrived else before)
    progress(f"alerts: delivery_failed to {route.name}: {entry.outcome.why}; {len(keys)} alert(s) are tried again the next time")


def _address(settings: Settings, route: Route) -> Address:
    """Raises ApportionError, without the URL, where there is none or it is none."""
    url = settings.secret(route.url_env)
    if not url:
        raise ApportionError(f"the environment variable {route.url_env} is not set", where=f"alerts route {route.name}")
    try:
        return Address(url, settings.values.alerts.timeout_seconds)
    except ValueError as error:
        raise ApportionError(f"{route.url_env} holds {error}", where=f"alerts route {route.name}") from None


def _loudest(told: Sequence[tuple[Alert, Reason]]) -> str:
    standing = [alert.severity for alert, reason in told if reason != "resolved"]
    return max(standing, key=lambda severity: SEVERITY_RANK[severity]) if standing else "resolved"


def delivery_result(delivery: Delivery) -> dict[str, Any]:
    """For --json."""
    return {
        "standing": len(delivery.standing),
        "messages": [
            {
                "route": m.route,
                "title": m.title,
                "body": m.body,
                "alerts": [
                    {"alert_key": a.alert_key, "alert_kind": a.alert_kind, "reason": r, "amount_usd": a.amount_usd} for a, r in m.told
                ],
                "is_sent": m.outcome.ok if m.outcome else False,
                "failure": m.outcome.why if m.outcome and not m.outcome.ok else None,
            }
            for m in delivery.messages
        ],
        "silent": delivery.silent,
        "unrouted": [a.alert_key for a in delivery.unrouted],
    }


def delivery_lines(delivery: Delivery) -> list[str]:
    """For people: each message as its route gets it, then what nobody was told and why."""
    lines: list[str] = []
    for m in delivery.messages:
        state = "would be told to" if m.outcome is None else "told to" if m.outcome.ok else "NOT delivered to"
        lines += [f"{state} {m.route}: {m.title}", *(f"  {line}" for line in m.body.splitlines()), ""]
    lines.append(f"{len(delivery.standing)} alert(s) stand")
    words = {"snoozed": "snoozed", "cool_down": "told a short while ago", "unchanged": "told before, unchanged"}
    lines += [f"  {count} {words.get(reason, reason)}" for reason, count in sorted(delivery.silent.items())]
    lines += [f"  {len(delivery.unrouted)} without a route: apportion alert list"] if delivery.unrouted else []
    return lines
