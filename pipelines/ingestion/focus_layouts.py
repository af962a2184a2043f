"""Which objects under a location make one delivery of a FOCUS bill, and which delivery of a billing period counts.

Belongs here: the three layouts (files, folders, AWS Data Exports by manifest). Does not: reading rows (focus_rows.py), landing them
(sources/focus.py).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.cur_manifest import Manifest
from pipelines.ingestion.focus_rows import SUFFIXES
from pipelines.ingestion.objects import ObjectInfo

_LEADING = re.compile(r"(\d{4})-?(0[1-9]|1[0-2])(?:-?\d\d)?(?!\d)")
_PARTITION = re.compile(r"billing_period=(\d{4}-(?:0[1-9]|1[0-2]))", re.IGNORECASE)
_TIME = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)T(\d\d):?(\d\d)(?::?(\d\d)(?:\.\d+)?)?Z")


@dataclass(frozen=True)
class Bundle:
    """One delivery that the source presents. period: what it replaces. month: the billing period all its rows must have, if known.

    as_of: when it was made, ISO 8601 UTC, by its own word or the bucket's; None where a copy's file times are all there is.
    """

    period: str
    order: str
    as_of: str | None
    infos: tuple[ObjectInfo, ...]
    month: str | None = None


def is_bill(key: str) -> bool:
    """Whether an object is a data file that can be read."""
    return key.lower().endswith(SUFFIXES)


def by_file(infos: Sequence[ObjectInfo]) -> Iterator[Bundle]:
    """Each object is one delivery; a file changed in place replaces what it said."""
    for info in infos:
        yield Bundle(info.key, info.modified_at, info.modified_at if info.etag else None, (info,))


def by_folder(infos: Sequence[ObjectInfo], location: str) -> list[Bundle | DeliveryRefused]:
    """Each folder is one delivery; per billing period the folder that sorts last counts, the others are restated by it.

    A folder directly under the location says its billing period at the front of its name (``2026-09``, ``20260901-20261001``), or is
    a partition ``billing_period=2026-09``: then the folders directly in it are its deliveries, or it is one itself.
    Returned beside the bundles are the refusals of folders that cannot be told, newest last.
    """
    folders: dict[str, dict[str, list[ObjectInfo]]] = {}
    for info in infos:
        parts = info.key.split("/")
        if len(parts) == 1:
            return [_refuse(f"a file lies beside the folders: {info.key}", location)]
        month = _month(parts[0])
        if month is None:
            return [_refuse(f"folder {parts[0]!r} does not say its billing period", location)]
        name = "/".join(parts[:2]) if _PARTITION.fullmatch(parts[0]) and len(parts) > 2 else parts[0]
        folders.setdefault(month, {}).setdefault(name, []).append(info)
    found: list[Bundle | DeliveryRefused] = []
    for month, named in sorted(folders.items()):
        names = sorted(named)
        if len({name.count("/") for name in names}) > 1:
            found.append(_refuse(f"billing period {month} has files both in a folder and in folders below it", location))
            continue
        chosen = named[names[-1]]
        below = {info.key.removeprefix(names[-1]).rpartition("/")[0] for info in chosen}
        if len(below) > 1 and not all("=" in part for path in below for part in path.strip("/").split("/") if part):
            found.append(_refuse(f"folder {names[-1]!r} has files in several folders: restatements or parts?", location))
            continue
        as_of = _stated_time(names[-1]) or (max(i.modified_at for i in chosen) if all(i.etag for i in chosen) else None)
        found.append(Bundle(month, names[-1], as_of, tuple(chosen), month))
    return found


def by_manifest(manifest: Manifest, infos: Sequence[ObjectInfo]) -> Bundle:
    """Exactly the files that AWS's manifest of a billing period names."""
    return Bundle(manifest.period, manifest.order, manifest.as_of, tuple(infos), manifest.period)


def is_final(uninvoiced_rows: int, rows: int, period_end: dt.datetime | None, as_of: str | None, after_days: int | None) -> bool:
    """Whether a delivery is final: every row is invoiced, or it was made ``after_days`` after its billing period's end.

    No clock of this machine is asked: a delivery without a time of its own is never final by age.
    """
    if rows == 0:
        return False
    if uninvoiced_rows == 0:
        return True
    if after_days is None or as_of is None or period_end is None:
        return False
    made = dt.datetime.fromisoformat(as_of.replace("Z", "+00:00")).astimezone(dt.UTC).replace(tzinfo=None)
    return made >= period_end + dt.timedelta(days=after_days)


def _month(folder: str) -> str | None:
    """The billing period, as ``YYYY-MM``, that a folder's name says."""
    if match := _PARTITION.fullmatch(folder):
        return match[1]
    if match := _LEADING.match(folder):
        return f"{match[1]}-{match[2]}"
    return None


def _stated_time(name: str) -> str | None:
    """The instant (with a Z) that a folder's name says."""
    if match := _TIME.search(name):
        year, month, day, hour, minute, second = match.groups()
        return f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}+00:00"
    return None


def _refuse(what: str, location: str) -> DeliveryRefused:
    return DeliveryRefused(
        what,
        where=location,
        remedy="let each folder be one delivery named by its billing period (2026-09, 2026-09-run2, billing_period=2026-09/2026-10-03T04:00:00Z);"
        " keep superseded deliveries in folders that sort before the one that counts",
    )
