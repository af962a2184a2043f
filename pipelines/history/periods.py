"""Periods: open, then closed; a closed one changes only by an explicit, logged correction.

The state is the fold of an append-only log, ``<APPORTION_HOME>/periods.jsonl``: one JSON object per line, each with the digest of the
line before it. Events: ``close``, ``correct`` (the next night may change it), ``corrected`` (it did, and the period is closed again).

A pair is (source, billing period). Closing a pair freezes
  - its deliveries: newer ones are landed and kept aside (where a delivery holds bills of closed periods only);
  - its bill rows on every day (pipelines/history/gate.py compares them);
and a day all of whose pairs are closed is frozen as a whole: attribution too. Telemetry that is landed later is kept, but a frozen
day is not computed from it.

Belongs here: the log and its meaning. Does not: commands (closing.py), the gate (gate.py).
"""

from __future__ import annotations

import datetime as dt
import getpass
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.errors import ApportionError
from pipelines.landing import Landing, fsync_directory
from pipelines.settings import Settings
from pipelines.source import Delivery

FILE = "periods.jsonl"
Pair = tuple[str, str]  # source, billing period as YYYY-MM


@dataclass(frozen=True)
class FrozenDay:
    """A day that stands: as in release ``sequence``, where it had ``pairs``."""

    sequence: int
    pairs: frozenset[Pair]


@dataclass
class PeriodLog:
    """What the log says now.

    closed: pair -> sequence of the release that it is compared with. correcting: closed pairs that the next night may change, with
    the event that said so. bill_days: the days on which a closed pair has bill rows. frozen_days: of those, the days that stand as a whole.
    deliveries: (source, delivery period) -> (delivery id, billing periods in it) as they were at closing.
    """

    closed: dict[Pair, int] = field(default_factory=dict)
    correcting: dict[Pair, dict[str, Any]] = field(default_factory=dict)
    bill_days: dict[Pair, frozenset[dt.date]] = field(default_factory=dict)
    frozen_days: dict[dt.date, FrozenDay] = field(default_factory=dict)
    deliveries: dict[Pair, tuple[str, frozenset[str]]] = field(default_factory=dict)
    entries: list[dict[str, Any]] = field(default_factory=list)

    @property
    def standing(self) -> dict[dt.date, FrozenDay]:
        """The frozen days that no correction is about to change."""
        return {day: frozen for day, frozen in self.frozen_days.items() if not frozen.pairs & self.correcting.keys()}

    @property
    def reopened_days(self) -> set[dt.date]:
        """Every day of a period that is being corrected: the next night computes it."""
        return {day for pair in self.correcting for day in self.bill_days.get(pair, ())}

    @property
    def sequences(self) -> set[int]:
        """The releases that closed periods are compared with."""
        return set(self.closed.values()) | {frozen.sequence for frozen in self.frozen_days.values()}

    def is_closed(self, pair: Pair) -> bool:
        """Whether the pair is closed and stays so in the next night."""
        return pair in self.closed and pair not in self.correcting


def log_of(settings: Settings) -> PeriodLog:
    """The log of this home, folded. Raises ApportionError where a line was changed or removed."""
    log = PeriodLog()
    for line in _lines(settings.home / FILE):
        entry = json.loads(line)
        log.entries.append(entry)
        pairs = [(source, entry["period"]) for source in entry["sources"]]
        if entry["event"] == "correct":
            log.correcting |= dict.fromkeys(pairs, entry)
            continue
        for pair in pairs:
            log.correcting.pop(pair, None)
            log.closed[pair] = entry["sequence"]
            log.bill_days[pair] = frozenset(dt.date.fromisoformat(day) for day in entry["bill_days"][pair[0]])
        for day, told in entry["frozen_days"].items():
            log.frozen_days[dt.date.fromisoformat(day)] = FrozenDay(entry["sequence"], frozenset((s, p) for s, p in told["pairs"]))
        for told in entry["deliveries"]:
            log.deliveries[(told["source"], told["period"])] = (told["delivery_id"], frozenset(told["billing_periods"]))
    return log


def _lines(path: Path) -> list[str]:
    """The complete lines; one that a killed command left half is none."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    lines = text.split("\n")[:-1]
    before = ""
    for number, line in enumerate(lines, start=1):
        try:
            told = json.loads(line).get("previous")
        except ValueError:
            told = None
        if told != before:
            raise ApportionError(
                "the log of periods was changed: a line does not follow the one before it",
                where=f"{path}:{number}",
                remedy="bring the file back from a backup: closed periods rest on it",
            )
        before = hashlib.sha256(line.encode()).hexdigest()
    return lines


def append(settings: Settings, entry: dict[str, Any]) -> dict[str, Any]:
    """Write one event; only for the single writer. Adds when, who, and the digest of the line before. Returns the whole entry."""
    path = settings.home / FILE
    lines = _lines(path)
    whole = {
        **entry,
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "by": getpass.getuser(),
        "previous": hashlib.sha256(lines[-1].encode()).hexdigest() if lines else "",
    }
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        kept = sum(len(line.encode()) + 1 for line in lines)
        os.ftruncate(descriptor, kept)
        os.pwrite(descriptor, (json.dumps(whole, sort_keys=True, default=str) + "\n").encode(), kept)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fsync_directory(settings.home)
    return whole


@dataclass(frozen=True)
class KeptAside:
    """A delivery that was landed for closed periods: it does not count until they are corrected."""

    frozen: Delivery
    newer: Delivery
    periods: tuple[str, ...]


def freeze(log: PeriodLog, landing: Landing, chosen: Iterable[Delivery]) -> tuple[list[Delivery], list[KeptAside]]:
    """The deliveries that count, and those that are kept aside for a closed period.

    What a source presents now is landed as ever; for a delivery whose bills are all of closed periods the one of the closing counts.
    Raises ApportionError where that one is no longer landed.
    """
    counted: list[Delivery] = []
    aside: list[KeptAside] = []
    found = {(d.source, d.period): d for d in chosen}
    for key, delivery in found.items():
        pinned = log.deliveries.get(key)
        if pinned is None or pinned[0] == delivery.delivery_id or not all(log.is_closed((key[0], p)) for p in pinned[1]):
            counted.append(delivery)
            continue
        frozen = _load(landing, key, pinned[0])
        counted.append(frozen)
        aside.append(KeptAside(frozen, delivery, tuple(sorted(pinned[1]))))
    return counted, aside


def _load(landing: Landing, key: Pair, delivery_id: str) -> Delivery:
    try:
        return landing.load(*key, delivery_id)
    except OSError as error:
        raise ApportionError(
            f"delivery {delivery_id} of {key[0]} {key[1]} is gone, and a closed period rests on it",
            where=str(landing.delivery_folder(*key, delivery_id)),
            remedy="bring the folder back from a backup, or `apportion correct` the period",
        ) from error
