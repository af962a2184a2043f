"""Closing a period, opening it for a correction, and closing it again when the correction is published.

Belongs here: what ``apportion close`` and ``apportion correct`` do, and what a night does for them. Does not: the log (periods.py),
what is kept aside (aside.py).
"""

from __future__ import annotations

import datetime as dt
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from pipelines.errors import UsageError
from pipelines.history import restatement
from pipelines.history.archive import META, Archived, archive, object_path
from pipelines.history.periods import Pair, PeriodLog, append, log_of
from pipelines.lock import single_writer
from pipelines.published_tables import BUCKETS, LEDGER, RECONCILIATION
from pipelines.settings import Settings
from pipelines.warehouse import connect, limit


def close(settings: Settings, period: str, *, source: str | None = None, provisional: bool = False) -> dict[str, Any]:
    """Close ``period`` (YYYY-MM) of every source that bills it, or of ``source``, as the current release has it.

    Raises UsageError where nothing is published for it, it is closed already, or one of its bills is provisional (unless told).
    """
    _checked(period)
    with single_writer(settings.home, purpose=f"apportion close {period}"):
        releases = archive(settings)
        if not releases:
            raise UsageError("nothing is published yet", remedy="run `apportion nightly` first")
        release, log = releases[-1], log_of(settings)
        pairs_by_day = _pairs_by_day(settings, release)
        there = {pair for pairs in pairs_by_day.values() for pair in pairs if pair[1] == period and source in (None, pair[0])}
        if not there:
            known = sorted({f"{p} of {s}" for pairs in pairs_by_day.values() for s, p in pairs})
            raise UsageError(
                f"period {period}{f' of {source}' if source else ''} is not published", remedy=f"published are: {', '.join(known)}"
            )
        wanted = {pair for pair in there if pair not in log.closed}
        if not wanted:
            raise UsageError(f"period {period} is closed already", remedy="`apportion correct` changes a closed period")
        finality = _finality(settings, release)
        if open_bills := sorted(pair[0] for pair in wanted if finality.get(pair) != "final"):
            if not provisional:
                raise UsageError(
                    f"the bill of {', '.join(open_bills)} for {period} is still provisional",
                    remedy="wait for the final bill, close the others with --source, or close it as it is with --provisional",
                )
        entry = _closing(settings, release, log, wanted, pairs_by_day)
        return append(settings, {"event": "close", "period": period, "provisional": sorted(open_bills), **entry})


def correct(settings: Settings, period: str, *, reason: str, source: str | None = None) -> dict[str, Any]:
    """Let the next night change the closed ``period``: it takes its newer deliveries and the policy and code of that night.

    Raises UsageError where the period is not closed, or the reason is empty.
    """
    _checked(period)
    if not reason.strip():
        raise UsageError("a correction needs a reason", remedy='say why: --reason "..."')
    with single_writer(settings.home, purpose=f"apportion correct {period}"):
        log = log_of(settings)
        wanted = sorted(s for s, p in log.closed if p == period and source in (None, s) and (s, p) not in log.correcting)
        if not wanted:
            raise UsageError(
                f"period {period} is not closed", remedy="an open period changes by itself: every night takes what is delivered"
            )
        release = archive(settings)[-1]
        return append(
            settings,
            {
                "event": "correct",
                "period": period,
                "sources": wanted,
                "reason": reason,
                "release_id": release.release_id,
                "sequence": release.sequence,
            },
        )


def finish_corrections(settings: Settings) -> list[dict[str, Any]]:
    """After a publication: log what the corrections moved, and close their periods again. Only for the single writer."""
    log = log_of(settings)
    done = []
    for number in sorted({log.entries.index(entry) for entry in log.correcting.values()}):
        entry = log.entries[number]
        releases = archive(settings)
        before = next(r for r in releases if r.sequence == entry["sequence"])
        after = releases[-1]
        pairs = {(source, entry["period"]) for source in entry["sources"]}
        days = {day for pair in pairs for day in log.bill_days[pair]}
        moved = restatement.compare(settings, before, after)
        amounts = {
            basis: sum((row[f"{basis}_move_usd"] for row in moved.rows if row["usage_date"] in days), Decimal(0))
            for basis in restatement.BASES
        }
        closing = _closing(settings, after, log, pairs, _pairs_by_day(settings, after))
        told = {
            "event": "corrected",
            "period": entry["period"],
            "reason": entry["reason"],
            "release_before": before.release_id,
            "moved_usd": {basis: f"{amount:f}" for basis, amount in amounts.items()},
            "provisional": [],
            **closing,
        }
        done.append(append(settings, told))
        log = log_of(settings)
    return done


def _checked(period: str) -> None:
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", period):
        raise UsageError(f"{period!r} is not a billing period", remedy="write it as YYYY-MM")


def _closing(
    settings: Settings, release: Archived, log: PeriodLog, pairs: set[Pair], pairs_by_day: dict[dt.date, frozenset[Pair]]
) -> dict[str, Any]:
    """What a closing freezes: bill days and deliveries of ``pairs``, and every day all of whose pairs are closed now."""
    closed = {pair for pair in log.closed if pair not in log.correcting} | pairs
    concerned = [day for day, on_day in pairs_by_day.items() if on_day <= closed and on_day & pairs]
    return {
        "sources": sorted(source for source, _ in pairs),
        "release_id": release.release_id,
        "sequence": release.sequence,
        "bill_days": {pair[0]: sorted(day.isoformat() for day, on_day in pairs_by_day.items() if pair in on_day) for pair in sorted(pairs)},
        "frozen_days": {
            day.isoformat(): {
                "pairs": sorted(pairs_by_day[day]),
                **{table: file.sha256 for table in (BUCKETS, LEDGER) if (file := release.file(table, day)) is not None},
            }
            for day in sorted(concerned)
        },
        "deliveries": _deliveries(settings, release, pairs),
    }


def _pairs_by_day(settings: Settings, release: Archived) -> dict[dt.date, frozenset[Pair]]:
    """Which bills have rows on which day."""
    columns = {name for name, _ in release.columns[BUCKETS]}
    period = "billing_period" if "billing_period" in columns else "usage_date"
    paths = [str(object_path(settings, f.sha256)) for (table, _), f in sorted(release.files.items()) if table == BUCKETS and f.rows > 0]
    found: dict[dt.date, set[Pair]] = {}
    if paths:
        with duckdb.connect(":memory:") as connection:
            limit(connection, settings)
            query = f"select distinct usage_date, source, strftime({period}, '%Y-%m') from read_parquet(?)"  # noqa: S608
            for day, source, month in connection.execute(query, [paths]).fetchall():
                found.setdefault(day, set()).add((source, month))
    return {day: frozenset(pairs) for day, pairs in sorted(found.items())}


def _finality(settings: Settings, release: Archived) -> dict[Pair, str]:
    [file] = [f for (table, _), f in release.files.items() if table == RECONCILIATION]
    query = "select source, strftime(cast(billing_period as date), '%Y-%m'), max(coalesce(finality, 'provisional')) from read_parquet(?) group by all"
    rows = duckdb.connect().execute(query, [str(object_path(settings, file.sha256))]).fetchall()
    return {(source, period): finality for source, period, finality in rows}


def _deliveries(settings: Settings, release: Archived, pairs: set[Pair]) -> list[dict[str, Any]]:
    """The deliveries of the release that hold bills of ``pairs``, with every billing period in them."""
    [file] = [f for (table, _), f in release.files.items() if table == META]
    rows = duckdb.connect().execute(
        "select source, deliveries from read_parquet(?) order by source", [str(object_path(settings, file.sha256))]
    )
    periods = _periods_of_deliveries(settings)
    found = []
    for source, deliveries in rows.fetchall():
        for told in json.loads(deliveries):
            inside = periods.get(told["delivery_id"], {told["period"]})
            if any((source, period) in pairs for period in inside):
                found.append(
                    {"source": source, "period": told["period"], "delivery_id": told["delivery_id"], "billing_periods": sorted(inside)}
                )
    return found


def _periods_of_deliveries(settings: Settings) -> dict[str, set[str]]:
    """Which billing periods each delivery has rows of: the control totals say, taken at the door."""
    if not Path(settings.warehouse).exists():
        return {}
    with connect(settings, read_only=True) as connection:
        there = connection.execute(
            "select count(*) from duckdb_tables() where schema_name = 'intermediate' and table_name = 'int_control_totals'"
        ).fetchone()
        if not there or not there[0]:
            return {}
        found: dict[str, set[str]] = {}
        query = "select distinct delivery_id, strftime(billing_period, '%Y-%m') from intermediate.int_control_totals"
        for delivery_id, period in connection.execute(query).fetchall():
            found.setdefault(delivery_id, set()).add(period)
        return found
