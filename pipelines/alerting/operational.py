"""Alerts that happen: a night that published nothing, a check that failed, a release that grew old. No figure has them, only the moment.

Belongs here: making them of errors and reports. Does not: telling of them (delivery.py).
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pipelines.alerting.alert import CHECKS, CLOCK, NIGHT, Alert, key_of
from pipelines.doctor import STALE_AFTER, release_age
from pipelines.errors import ApportionError, GateError
from pipelines.release import standing_release
from pipelines.settings import Settings

if TYPE_CHECKING:
    from pipelines.checks import CheckResult
    from pipelines.nightly import Night

LONGEST_SUBJECT = 160
LONGEST_CAUSE = 320  # a gate may have a hundred findings: the first ones, so that remedy and standing release fit behind them


def blocked(night: Night, error: BaseException) -> Alert:
    """A night that published nothing: which stage and gate, what it met, where, and what to do."""
    stage = night.stage or "start"
    is_gate = isinstance(error, GateError)
    if isinstance(error, ApportionError):
        what, where, remedy = error.what, error.where, error.remedy
    else:  # a stranger's words may hold anything: they stay in the log
        what, where, remedy = f"{type(error).__name__} (its words are in the log of the night)", None, "run it again with APPORTION_DEBUG=1"
    what = hide(what)
    what = what if len(what) <= LONGEST_CAUSE else what[: LONGEST_CAUSE - 1] + "…"
    first, last = night.window.first, night.window.last
    days = str(first) if first == last else f"{first} to {last}"
    standing = standing_release(night.settings)
    stands = f"Release {standing} stands." if standing else "Nothing has been published before."
    subject = f"{stage}: {hide(where) if where else type(error).__name__}"[:LONGEST_SUBJECT]
    told = {
        "days": days,
        "error": type(error).__name__,
        "remedy": hide(remedy) if remedy else None,
        "stage": stage,
        "standing_release": standing,
        "where": hide(where) if where else None,
    }
    return _alert(
        "publication_blocked",
        "critical",
        "gate" if is_gate else "stage",
        subject,
        origin=NIGHT,
        measured=stage,
        message=f"The night of {days} published nothing: {what}." + (f" Remedy: {hide(remedy)}." if remedy else "") + f" {stands}",
        evidence=told,
        explain=f"apportion nightly --from {first} --to {last}",
        days=(first, last),
    )


def failed_checks(night: Night) -> list[Alert]:
    """Every check of the night that failed and did not block: warnings of both gates, and of dbt's tests."""
    results: list[CheckResult] = [r for report in (night.door, night.exit) if report is not None for r in report.warnings]
    alerts = [_check(night, r.suite, r.expectation, str(r), r.unexpected_count) for r in results]
    warned = [r for r in night.dbt_results if r.resource_type == "test" and r.status == "warn"]
    alerts += [_check(night, "dbt", r.unique_id.split(".")[2], f"{r.unique_id.split('.')[2]}: {r.message}", None) for r in warned]
    return list({alert.alert_key: alert for alert in alerts}.values())


def old_release(settings: Settings, now: dt.datetime) -> list[Alert]:
    """The doctor's rule: no night has published for a day and a half. Nothing before the first release."""
    age = release_age(settings, now)
    if age is None or age < STALE_AFTER:
        return []
    hours = int(age.total_seconds() // 3600)
    allowed = int(STALE_AFTER.total_seconds() // 3600)
    return [
        _alert(
            "source_stale",
            "critical",
            "release",
            "current",
            origin=CLOCK,
            measured=f"{hours} hours",
            threshold=f"{allowed} hours",
            message=f"No night has published for {hours} hours ({allowed} are allowed): what BI shows is as old as that.",
            evidence={"age_hours": hours, "limit_hours": allowed, "standing_release": standing_release(settings)},
            explain="apportion doctor",
        )
    ]


def hide(text: str) -> str:
    """Without credentials inside URLs."""
    return re.sub(r"(://)[^/@\s]+@", r"\1***@", text)


def _check(night: Night, suite: str, expectation: str, words: str, count: int | None) -> Alert:
    return _alert(
        "check_failed",
        "warning",
        "check",
        f"{suite}: {expectation}"[:LONGEST_SUBJECT],
        origin=CHECKS,
        measured=f"{count} unexpected" if count else None,
        message=f"A check failed and did not block: {hide(words)}.",
        evidence={"expectation": expectation, "suite": suite, "unexpected": count},
        explain=None,
        days=(night.window.first, night.window.last),
    )


def _alert(
    kind: str,
    severity: str,
    subject_type: str,
    subject: str,
    *,
    origin: str,
    message: str,
    evidence: dict[str, object],
    explain: str | None,
    measured: str | None = None,
    threshold: str | None = None,
    days: Sequence[dt.date] = (),
) -> Alert:
    """An operational alert: nobody's in particular, of no known dollars."""
    return Alert(
        alert_key=key_of(kind, None, subject_type, subject),
        alert_kind=kind,
        severity=severity,
        team=None,
        subject_type=subject_type,
        subject=subject,
        since_date=_first(days),
        until_date=_first(reversed(days)) if days else None,
        amount_usd=None,
        measured=measured,
        threshold=threshold,
        message=message,
        evidence=json.dumps(evidence, sort_keys=True),
        explain=explain,
        origin=origin,
    )


def _first(days: Iterable[dt.date]) -> dt.date | None:
    return next(iter(days), None)
