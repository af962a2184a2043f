"""What is remembered of alerts: one SQLite file under APPORTION_HOME/alerts, one transaction per fact. Never part of a release.

Belongs here: its tables and their reading and writing. Does not: judging (rules.py), sending, any secret (routes are names here).
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from decimal import Decimal
from pathlib import Path

from pipelines.alerting.alert import Alert
from pipelines.alerting.rules import Told
from pipelines.settings import Settings

FILE = "state.sqlite"
KEEP_DAYS = 400  # what ended, and what happened, longer ago is forgotten
_ALERT = tuple(field.name for field in fields(Alert))
_TABLES = f"""
create table if not exists alerts ({", ".join(f"{name} text" for name in _ALERT)}, first_seen_at text, last_seen_at text, resolved_at text, primary key (alert_key));
create table if not exists told (alert_key text, route text, told_at text, amount_usd text, severity text, is_open integer, primary key (alert_key, route));
create table if not exists snoozes (alert_key text primary key, until text, reason text, author text, created_at text);
create table if not exists sending (route text primary key, started_at text, alert_keys text);
create table if not exists events (event_id integer primary key, happened_at text, event text, alert_key text, route text, detail text);
"""


@dataclass(frozen=True)
class Snooze:
    """Silence about one alert until an instant (UTC)."""

    alert_key: str
    until: dt.datetime
    reason: str
    author: str | None


def folder(settings: Settings) -> Path:
    """Where the state lies."""
    return settings.home / "alerts"


@contextmanager
def open_state(settings: Settings, *, scratch: bool = False) -> Iterator[State]:
    """The state; ``scratch``: a copy in memory that is thrown away (a dry run)."""
    folder(settings).mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(folder(settings) / FILE, timeout=30)
    try:
        connection.execute("pragma synchronous = full")
        connection.executescript(_TABLES)
        if scratch:
            copy = sqlite3.connect(":memory:")
            connection.backup(copy)
            connection.close()
            connection = copy
        yield State(connection)
    finally:
        connection.close()


class State:
    """The tables of one open state file. Every method that writes is one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def observe(self, alerts: Sequence[Alert], complete: Collection[str], now: dt.datetime) -> None:
        """Let ``alerts`` stand; end what an origin of ``complete`` told before and tells no more."""
        seen = {alert.alert_key for alert in alerts}
        with self.connection:
            for alert in alerts:
                before = self.connection.execute("select resolved_at from alerts where alert_key = ?", [alert.alert_key]).fetchone()
                names = ", ".join(_ALERT)
                update = ", ".join(f"{name} = excluded.{name}" for name in _ALERT)
                self.connection.execute(
                    f"insert into alerts ({names}, first_seen_at, last_seen_at) values ({', '.join('?' * len(_ALERT))}, ?, ?)"  # noqa: S608
                    f" on conflict (alert_key) do update set {update}, last_seen_at = excluded.last_seen_at, resolved_at = null,"
                    " first_seen_at = case when resolved_at is null then first_seen_at else excluded.first_seen_at end",
                    [*(None if value is None else str(value) for value in astuple(alert)), _text(now), _text(now)],
                )
                if before is None or before[0] is not None:
                    self._event(now, "raised", alert.alert_key, detail=alert.message)
            for key, origin in self.connection.execute("select alert_key, origin from alerts where resolved_at is null").fetchall():
                if origin in complete and key not in seen:
                    self.connection.execute("update alerts set resolved_at = ? where alert_key = ?", [_text(now), key])
                    self._event(now, "ended", key)

    def alerts(self) -> list[tuple[Alert, bool]]:
        """Every alert that is remembered, and whether it stands."""
        rows = self.connection.execute(f"select {', '.join(_ALERT)}, resolved_at is null from alerts order by alert_key").fetchall()  # noqa: S608
        return [(_alert(row[:-1]), bool(row[-1])) for row in rows]

    def told(self) -> dict[tuple[str, str], Told]:
        """The last message by (alert key, route)."""
        rows = self.connection.execute("select alert_key, route, told_at, amount_usd, severity, is_open from told").fetchall()
        return {
            (key, route): Told(dt.datetime.fromisoformat(at), None if amount is None else Decimal(amount), severity, bool(is_open))
            for key, route, at, amount, severity, is_open in rows
        }

    def snoozes(self) -> dict[str, Snooze]:
        """Every snooze that was not forgotten, by alert key; past ones too."""
        rows = self.connection.execute("select alert_key, until, reason, author from snoozes").fetchall()
        return {key: Snooze(key, dt.datetime.fromisoformat(until), reason, author) for key, until, reason, author in rows}

    def snooze(self, snooze: Snooze, now: dt.datetime) -> None:
        """Replace the alert's snooze."""
        with self.connection:
            self.connection.execute(
                "insert or replace into snoozes values (?, ?, ?, ?, ?)",
                [snooze.alert_key, _text(snooze.until), snooze.reason, snooze.author, _text(now)],
            )
            self._event(
                now, "snoozed", snooze.alert_key, detail=f"until {_text(snooze.until)} by {snooze.author or 'unknown'}: {snooze.reason}"
            )

    def uncertain(self, route: str) -> set[str]:
        """Keys of a message on ``route`` that was begun and never recorded: it may have arrived."""
        row = self.connection.execute("select alert_keys from sending where route = ?", [route]).fetchone()
        return set(row[0].split()) if row else set()

    def begin(self, route: str, keys: Sequence[str], now: dt.datetime) -> None:
        """Write down that a message is about to leave; durable before it does."""
        with self.connection:
            self.connection.execute("insert or replace into sending values (?, ?, ?)", [route, _text(now), " ".join(keys)])

    def record(self, route: str, told: Sequence[tuple[Alert, str]], now: dt.datetime) -> None:
        """The message arrived: (alert, reason) of each that it told."""
        with self.connection:
            for alert, reason in told:
                amount = None if alert.amount_usd is None else str(alert.amount_usd)
                self.connection.execute(
                    "insert or replace into told values (?, ?, ?, ?, ?, ?)",
                    [alert.alert_key, route, _text(now), amount, alert.severity, reason != "resolved"],
                )
                self._event(now, f"told_{reason}", alert.alert_key, route)
            self.connection.execute("delete from sending where route = ?", [route])

    def fail(self, route: str, count: int, why: str, now: dt.datetime, uncertain: Collection[str] = ()) -> None:
        """The message did not arrive; it is tried again the next time. ``uncertain``: keys that may have been told all the same."""
        with self.connection:
            self.connection.execute("delete from sending where route = ?", [route])
            if uncertain:
                self.connection.execute("insert into sending values (?, ?, ?)", [route, _text(now), " ".join(sorted(uncertain))])
            self._event(now, "delivery_failed", None, route, f"{count} alert(s): {why}")

    def close(self, key: str, route: str) -> None:
        """The condition ended, and the route is not told."""
        with self.connection:
            self.connection.execute("update told set is_open = 0 where alert_key = ? and route = ?", [key, route])

    def forget(self, now: dt.datetime) -> None:
        """Let go of what is older than KEEP_DAYS."""
        limit = _text(now - dt.timedelta(days=KEEP_DAYS))
        with self.connection:
            self.connection.execute("delete from events where happened_at < ?", [limit])
            self.connection.execute("delete from alerts where resolved_at < ?", [limit])
            self.connection.execute("delete from snoozes where until < ?", [limit])
            self.connection.execute("delete from told where alert_key not in (select alert_key from alerts)")

    def _event(self, now: dt.datetime, event: str, key: str | None, route: str | None = None, detail: str | None = None) -> None:
        self.connection.execute(
            "insert into events (happened_at, event, alert_key, route, detail) values (?, ?, ?, ?, ?)",
            [_text(now), event, key, route, detail],
        )


def _alert(row: Sequence[str | None]) -> Alert:
    values: dict[str, object] = dict(zip(_ALERT, row, strict=True))
    for name in ("since_date", "until_date"):
        values[name] = dt.date.fromisoformat(str(values[name])) if values[name] is not None else None
    values["amount_usd"] = Decimal(str(values["amount_usd"])) if values["amount_usd"] is not None else None
    return Alert(**values)  # type: ignore[arg-type]


def _text(instant: dt.datetime) -> str:
    """UTC, of one width, so that texts sort as instants do."""
    return instant.astimezone(dt.UTC).isoformat(timespec="microseconds")
