"""The manifests of legacy Cost and Usage Reports: which delivery of a billing period counts, and exactly which files it has.

Belongs here: finding, reading and checking ``<report>-Manifest.json``. Does not: Data Exports (cur_manifest.py), the data files' content.

Layout below the report's folder; ``<assemblyId>`` is there only when every version is kept, the last line is the Athena variant, which
is always overwritten::

    yyyymmdd-yyyymmdd/<report>-Manifest.json                              names the files that count
    yyyymmdd-yyyymmdd/<assemblyId>/<report>-Manifest.json                 a copy for each version
    yyyymmdd-yyyymmdd/[<assemblyId>/]<report>-1.csv.gz | .csv.zip | .csv
    <report>/year=YYYY/month=M/<report>-00001.snappy.parquet
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from pipelines.errors import DeliveryRefused, UsageError
from pipelines.ingestion.cur_files import SUFFIXES
from pipelines.ingestion.cur_manifest import LEGACY_MANIFESTS, MANIFESTS, Manifest, check_period, names_at, only_folder, read_manifest
from pipelines.ingestion.objects import ObjectInfo, ObjectStore, check_key


def find_root(store: ObjectStore, report: str, periods: list[str]) -> str | None:
    """The report's folder relative to the location: ``""`` or ``"<report>/"``; None where nothing of these periods is there (yet).

    Raises DeliveryRefused where both hold manifests, UsageError where only other reports are there.
    """
    roots = ("", f"{report}/")
    found = [root for root in roots if any(candidates(store, root, report, period) for period in periods)]
    found = found or [root for root in roots if any(_parquet_of(store, root, report, period) for period in periods)]
    if len(found) > 1:
        raise DeliveryRefused(
            f"two folders hold report {report!r}: the location itself and {report}/ below it",
            where=store.location,
            remedy="let `location` name the one that counts, and move the other away",
        )
    if found:
        return found[0]
    others = names_at(store, LEGACY_MANIFESTS)
    if not others and report in names_at(store, MANIFESTS):
        raise UsageError(
            f"{report!r} is a CUR 2.0 export, no legacy report", where=store.location, remedy="set `report_format: cur2` in the settings"
        )
    if others and report not in others:
        raise UsageError(
            f"no report {report!r} at this location; found: {', '.join(sorted(others)[:10])}",
            where=store.location,
            remedy="correct `export` or `location` in the settings",
        )
    return None


def candidates(store: ObjectStore, root: str, report: str, period: str) -> list[ObjectInfo]:
    """Every manifest of a period: the one in the period's folder and those of each assembly."""
    folder = f"{root}{_period_folder(period)}/"
    return [
        info
        for info in store.list(folder)
        if info.key.endswith(f"/{report}-Manifest.json") and info.key.removeprefix(folder).count("/") <= 1
    ]


def chosen(store: ObjectStore, root: str, report: str, period: str) -> Manifest | None:
    """The manifest that counts now: the one in the period's folder, else the only assembly's; None: no bill yet.

    Raises DeliveryRefused where several assemblies and no manifest above them leave it open, and for Parquet without any manifest.
    """
    found = candidates(store, root, report, period)
    folder = f"{root}{_period_folder(period)}/"
    top = [info for info in found if "/" not in info.key.removeprefix(folder)]
    if not top and len(found) > 1:
        raise DeliveryRefused(
            f"{len(found)} assemblies of billing period {period} and no manifest that says which one counts",
            where=f"{store.location}/{folder}",
            remedy=f"copy {report}-Manifest.json of the period's own folder too",
        )
    if not found and (orphan := _parquet_of(store, root, report, period)):
        raise DeliveryRefused(
            f"Parquet of billing period {period} without a manifest: files that AWS has replaced cannot be told from those that count",
            where=f"{store.location}/{orphan}",
            remedy=f"let {folder}{report}-Manifest.json be delivered (or copied) beside it",
        )
    return _parse(store, (top or found)[0], root, report, period) if found else None


def _parse(store: ObjectStore, info: ObjectInfo, root: str, report: str, period: str) -> Manifest:
    where = f"{store.location}/{info.key}"
    content, document, entries = read_manifest(store, info, ("reportKeys",), "legacy Cost and Usage Report")
    check_period(document, period, where)
    if document.get("reportName", report) != report:
        raise DeliveryRefused(
            f"manifest of report {str(document['reportName'])[:80]!r} lies in the folder of {report!r}",
            where=where,
            remedy="correct `export` or `location` in the settings",
        )
    keys = tuple(_relative(entry, document, store, root, report, period, where) for entry in entries)
    inside = only_folder(keys, where).removeprefix(f"{root}{_period_folder(period)}").strip("/")
    assembly = str(document["assemblyId"]) if document.get("assemblyId") else None
    kept = bool(inside) and "/year=" not in f"/{inside}"
    if kept and assembly and inside != assembly:
        raise DeliveryRefused(
            f"manifest of assembly {assembly[:80]!r} names files of {inside[:80]!r}", where=where, remedy="have the bill delivered again"
        )
    return Manifest(info, content, period, keys, assembly, None, kept)


def _relative(entry: str, document: dict[str, Any], store: ObjectStore, root: str, report: str, period: str, where: str) -> str:
    """A manifest's file entry as a key below the location, confined to the report and the period."""
    path = entry.removeprefix("/")  # AWS writes one where the report has no prefix
    check_key(path, where)
    year, month = period.split("-")
    partition = rf"{re.escape(report)}/year={year}/month=0?{int(month)}"
    match = re.fullmatch(rf"(|.*/)({re.escape(_period_folder(period))}|{partition})/((?:[^/]+/)?[^/]+)", path)
    here, bucket = getattr(store, "prefix", None), document.get("bucket")
    if match is None:
        expected = False
    elif here is None:  # a folder laid out like the bucket: only what follows the report's name is comparable
        expected = match[1] in ("", root, f"{report}/") or match[1].endswith(f"/{report}/")
    else:
        expected = match[1] == here + root and bucket in (None, "", getattr(store, "bucket", None))
    if match is None or not expected:
        raise DeliveryRefused(
            f"manifest names a file outside this report and period: {entry[:200]!r}",
            where=where,
            remedy="let `location` be the bucket and prefix that the report is delivered to (a folder may be a copy of it)",
        )
    if not match[3].endswith(SUFFIXES):
        raise DeliveryRefused(
            f"file type not supported: {match[3][-60:]!r}", where=where, remedy="let the report be gzip or ZIP CSV, or Parquet"
        )
    return f"{root}{match[2]}/{match[3]}"


def _period_folder(period: str) -> str:
    """``20261001-20261101`` for ``2026-10``."""
    first = dt.date.fromisoformat(f"{period}-01")
    after = (first + dt.timedelta(days=32)).replace(day=1)
    return f"{first:%Y%m%d}-{after:%Y%m%d}"


def _parquet_of(store: ObjectStore, root: str, report: str, period: str) -> str | None:
    """Some Parquet object of the period in the Athena variant's partition, if there is one."""
    year, month = period.split("-")
    for spelled in dict.fromkeys((str(int(month)), month)):
        for info in store.list(f"{root}{report}/year={year}/month={spelled}/"):
            if info.key.endswith(".parquet"):
                return info.key
    return None
