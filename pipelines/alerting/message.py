"""One message per route: what is told of, dearest first, capped.

Belongs here: its words and its length. Does not: what is told (rules.py), sending. Names come from tags: nothing in them may act in a chat.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from decimal import Decimal
from urllib.parse import quote

from pipelines.alerting.alert import Alert
from pipelines.alerting.routes import SEVERITY_RANK
from pipelines.alerting.rules import Reason
from pipelines.report import usd

LONGEST = 600  # of one alert's sentence
WORDS: dict[str, str] = {"new": "new", "worse": "worse", "reminder": "still there", "resolved": "resolved"}


def ordered(told: Sequence[tuple[Alert, Reason]]) -> list[tuple[Alert, Reason]]:
    """Critical ones first, then what is not resolved, then the dearest; an unknown amount may be any, and comes before known ones."""

    def rank(entry: tuple[Alert, Reason]) -> tuple[bool, int, bool, Decimal, str]:
        alert, reason = entry
        amount = alert.amount_usd if alert.amount_usd is not None else Decimal(0)
        return (reason == "resolved", -SEVERITY_RANK.get(alert.severity, 0), alert.amount_usd is None, -amount, alert.alert_key)

    return sorted(told, key=rank)


def title(told: Sequence[tuple[Alert, Reason]]) -> str:
    """How many of what. No sum of dollars: two alerts may be about the same ones."""
    counts = Counter(WORDS[reason] for _, reason in told)
    return "Apportion: " + ", ".join(f"{counts[word]} {word}" for word in WORDS.values() if counts[word])


def body(
    told: Sequence[tuple[Alert, Reason]], *, most: int, characters: int, link: str | None = None, uncertain: Collection[str] = ()
) -> str:
    """The text: at most ``most`` alerts and about ``characters``, the others counted. ``uncertain``: keys that may have been told before."""
    parts: list[str] = []
    if set(uncertain) & {alert.alert_key for alert, _ in told}:
        parts.append("(The last message may have arrived although that was not recorded: some of this may be a repeat.)")
    entries = ordered(told)
    room = characters - sum(map(len, parts)) - 60
    shown = 0
    for alert, reason in entries[:most]:
        text = paragraph(alert, reason, link)
        if shown and len(text) + 2 > room:
            break
        parts.append(text[: max(room, 80)])
        room -= len(text) + 2
        shown += 1
    if more := len(entries) - shown:
        parts.append(f"and {more} more: apportion alert list")
    return "\n\n".join(parts)


def paragraph(alert: Alert, reason: Reason, link: str | None) -> str:
    """One alert: what, dollars, owner, since when, and where to look."""
    facts = [f"{usd(alert.amount_usd)} at stake" if alert.amount_usd is not None else "dollars unknown"]
    facts += [f"team {alert.team}" if alert.team else "no known owner"]
    facts += [f"since {alert.since_date}"] if alert.since_date else []
    head = f"[{alert.severity}] {WORDS[reason]}: {alert.alert_kind}"
    told = harmless(alert.message)
    sentence = told if len(told) <= LONGEST else told[: LONGEST - 1] + "…"
    lines = [f"{head}. {sentence}", harmless(f"{'; '.join(facts)}; key {alert.alert_key[:12]}")]
    where = address(link, alert) if link else (harmless(alert.explain) if alert.explain else None)
    return "\n".join([*lines, where] if where else lines)


def address(link: str, alert: Alert) -> str:
    """The link of the settings, filled in; every value is escaped."""
    values = {
        "alert_key": alert.alert_key,
        "alert_kind": alert.alert_kind,
        "team": alert.team or "",
        "subject": alert.subject,
        "until_date": str(alert.until_date or ""),
    }
    return link.format(**{name: quote(value, safe="") for name, value in values.items()})


def harmless(text: str) -> str:
    """One line without control signs, in which nobody is called by name and nothing is markup, whatever chat shows it."""
    visible = "".join(c if c.isprintable() else " " for c in text)
    return re.sub(r"<(?=[!@#/A-Za-z])|@(?=everyone\b|here\b|channel\b)", lambda found: found.group(0) + "\u200b", visible)
