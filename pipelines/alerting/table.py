"""``published/alerts.duckdb``: every alert and what was said of it as tables that BI reads, replaced as a whole after each delivery.

Belongs here: the file. Does not: `fct_alert` (a release's own, the same for the same inputs). This file has the clock in it, so it is no part of a release,
and it is written after a blocked night too, when no release is.
"""

from __future__ import annotations

from pipelines.alerting.state import State
from pipelines.settings import Settings
from pipelines.warehouse import quote_text
from pipelines.whole_database import whole_database

FILE = "alerts.duckdb"
# table -> (description, query over the state, columns with their types)
TABLES: dict[str, tuple[str, str, str]] = {
    "alerts": (
        "Grain: one alert that stands or stood: those of the release, blocked nights, failed checks, releases that grew old.",
        "select a.alert_key, a.alert_kind, a.severity, a.team, a.subject_type, a.subject, a.since_date, a.until_date, a.amount_usd, a.measured, a.threshold,"
        " a.message, a.evidence, a.explain, a.origin, substr(a.first_seen_at, 1, 19), substr(a.last_seen_at, 1, 19), substr(a.resolved_at, 1, 19),"
        " substr(s.until, 1, 19), s.reason, s.author from alerts as a left join snoozes as s on s.alert_key = a.alert_key order by a.alert_key",
        "alert_key varchar, alert_kind varchar, severity varchar, team varchar, subject_type varchar, subject varchar, since_date date, until_date date,"
        " amount_usd decimal(38,12), measured varchar, threshold varchar, message varchar, evidence varchar, explain varchar, origin varchar,"
        " first_seen_at timestamp, last_seen_at timestamp, resolved_at timestamp, snoozed_until timestamp, snooze_reason varchar, snoozed_by varchar",
    ),
    "alert_events": (
        "Grain: one thing that happened to an alert: raised, told_new, told_worse, told_reminder, told_resolved, ended, snoozed, delivery_failed. UTC.",
        "select event_id, substr(happened_at, 1, 19), event, alert_key, route, detail from events order by event_id",
        "event_id bigint, happened_at timestamp, event varchar, alert_key varchar, route varchar, detail varchar",
    ),
}


def write(settings: Settings, state: State) -> None:
    """Replace the file by what ``state`` holds; only for the holder of the alerts' lock."""
    with whole_database(settings, settings.published / FILE) as connection:
        for name, (description, query, columns) in TABLES.items():
            connection.execute(f"create table {name} ({columns})")
            rows = state.connection.execute(query).fetchall()
            if rows:
                connection.executemany(f"insert into {name} values ({', '.join('?' * len(rows[0]))})", rows)  # noqa: S608
            connection.execute(f"comment on table {name} is {quote_text(description)}")
