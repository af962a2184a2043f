"""One alert as delivery knows it, and those of the release.

Belongs here: its shape, its key, reading `fct_alert` as BI does. Does not: who is told.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, fields
from decimal import Decimal

from pipelines.report import open_release
from pipelines.settings import Settings

TABLE = "fct_alert"
# Who told of it; an origin that is looked at in full resolves what it no longer tells.
RELEASE, NIGHT, CHECKS, CLOCK = "release", "night", "checks", "clock"


@dataclass(frozen=True)
class Alert:
    """``amount_usd``: dollars at stake, ``None`` where unknown. ``evidence``: a JSON object. ``explain``: the command that shows why."""

    alert_key: str
    alert_kind: str
    severity: str
    team: str | None
    subject_type: str
    subject: str
    since_date: dt.date | None
    until_date: dt.date | None
    amount_usd: Decimal | None
    measured: str | None
    threshold: str | None
    message: str
    evidence: str
    explain: str | None
    origin: str = RELEASE


COLUMNS = tuple(field.name for field in fields(Alert) if field.name != "origin")


def key_of(kind: str, team: str | None, subject_type: str, subject: str, period: str | None = None) -> str:
    """The key of an alert: as ``fct_alert`` makes it (the macro ``digest``)."""
    text = "|".join("~" if part is None else f"{len(part)}={part}" for part in (kind, team, subject_type, subject, period))
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def release_alerts(settings: Settings) -> list[Alert]:
    """The alerts of the current release, dearest first; none before the first release, or of one that is older than the table."""
    from pipelines.release import current_release

    if current_release(settings) is None:
        return []
    with open_release(settings) as connection:
        if connection.execute("select count(*) from duckdb_tables() where table_name = ?", [TABLE]).fetchone() == (0,):
            return []
        rows = connection.execute(f"select {', '.join(COLUMNS)} from {TABLE} order by alert_rank").fetchall()  # noqa: S608
    return [Alert(*row) for row in rows]
