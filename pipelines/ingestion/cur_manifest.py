"""The manifests of AWS Data Exports (CUR 2.0): which delivery of a billing period counts, and exactly which files it has.

Belongs here: finding, reading and checking ``<export>-Manifest.json``. Does not: the data files' content (sources/aws_cur.py).

Layout below the export's folder; ``<execution>`` is there only when every delivery is kept::

    metadata/BILLING_PERIOD=YYYY-MM/[<execution>/]<export>-Manifest.json
    data/BILLING_PERIOD=YYYY-MM/[<execution>/]<export>-00001.csv.gz | .snappy.parquet

A FOCUS export is laid out alike, its partition is spelled ``billing_period=``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.errors import DeliveryRefused, UsageError
from pipelines.ingestion.objects import ObjectInfo, ObjectStore, check_key
from pipelines.repeated import repeated

FILE_LISTS = ("dataFiles", "data_files", "reportKeys", "files")
EXECUTION_IDS = ("executionId", "execution_id", "assemblyId")
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)(?:-|$)")
_SUFFIXES = (".csv.gz", ".csv", ".parquet")
_PROBE_KEYS = 1000
_PARTITION = "(?:BILLING_PERIOD|billing_period)="
MANIFESTS = rf"(?:.*/)?metadata/{_PARTITION}[^/]+/(?:[^/]+/)?([^/]+)-Manifest\.json"
LEGACY_MANIFESTS = r"(?:.*/)?\d{8}-\d{8}/(?:[^/]+/)?([^/]+)-Manifest\.json"


@dataclass(frozen=True)
class Manifest:
    """One manifest, checked: ``keys`` are the data files relative to the location, in the manifest's order."""

    info: ObjectInfo
    content: bytes
    period: str
    keys: tuple[str, ...]
    execution: str | None
    timestamp: str | None
    keeps_every_delivery: bool  # the files lie in a folder of their own execution: nothing overwrites them

    @property
    def order(self) -> str:
        """Sorts deliveries of one period: the execution's time where it is known, else the manifest's own; then its id."""
        return f"{self.timestamp or self.info.modified_at} {self.execution or ''}".rstrip()

    @property
    def as_of(self) -> str | None:
        """When AWS made the delivery; unknown for a folder without execution times (a copy's file times mean nothing)."""
        return self.timestamp or (self.info.modified_at if self.info.etag else None)

    def still_stands(self, again: Manifest | None) -> bool:
        """Whether ``again``, read after the files, is this very manifest: nothing was delivered meanwhile."""
        return again is not None and (again.info.key, again.content) == (self.info.key, self.content)


def find_root(store: ObjectStore, export: str, periods: list[str]) -> str | None:
    """The export's folder relative to the location: ``""`` or ``"<export>/"``; None where no manifest is there (yet).

    Raises DeliveryRefused where both hold manifests, UsageError where only other exports are there.
    """
    found = [root for root in ("", f"{export}/") if any(candidates(store, root, export, period) for period in periods)]
    if len(found) > 1:
        raise DeliveryRefused(
            f"two folders hold manifests of export {export!r}: the location itself and {export}/ below it",
            where=store.location,
            remedy="let `location` name the one that counts, and move the other away",
        )
    if found:
        return found[0]
    others = names_at(store, MANIFESTS)
    if not others and export in names_at(store, LEGACY_MANIFESTS):
        raise UsageError(
            f"{export!r} is a legacy Cost and Usage Report, no CUR 2.0 export",
            where=store.location,
            remedy="set `report_format: legacy` in the settings",
        )
    if others and export not in others:
        raise UsageError(
            f"no export {export!r} at this location; found: {', '.join(sorted(others)[:10])}",
            where=store.location,
            remedy="correct `export` or `location` in the settings",
        )
    return None


def names_at(store: ObjectStore, pattern: str) -> set[str]:
    """What the one group of ``pattern`` finds in the location's first thousand keys."""
    keys = (info.key for _, info in zip(range(_PROBE_KEYS), store.list(), strict=False))
    return {match[1] for key in keys if (match := re.fullmatch(pattern, key))}


def candidates(store: ObjectStore, root: str, export: str, period: str) -> list[ObjectInfo]:
    """Every manifest of a period: the one above the executions and those of each execution."""
    return [
        info
        for folder in _folders(f"{root}metadata", period)
        for info in store.list(folder)
        if info.key.endswith(f"/{export}-Manifest.json") and info.key.removeprefix(folder).count("/") <= 1
    ]


def _folders(above: str, period: str) -> tuple[str, str]:
    """A period's folder in both spellings: CUR 2.0's and FOCUS's."""
    return f"{above}/BILLING_PERIOD={period}/", f"{above}/billing_period={period}/"


def chosen(store: ObjectStore, root: str, export: str, period: str) -> Manifest | None:
    """The manifest that counts now: the one above the executions, else the newest execution's; None: no bill yet."""
    found = candidates(store, root, export, period)
    if not found:
        return None
    top = [info for info in found if f"{info.key.rpartition('/')[0]}/" in _folders(f"{root}metadata", period)]
    newest = top[0] if top else max(found, key=lambda info: (_time_of(info.key) or info.modified_at, info.key))
    return _parse(store, newest, root, export, period)


def _parse(store: ObjectStore, info: ObjectInfo, root: str, export: str, period: str) -> Manifest:
    where = f"{store.location}/{info.key}"
    content, document, entries = read_manifest(store, info, FILE_LISTS, "CUR 2.0 data export")
    check_period(document, period, where)
    keys = tuple(_relative(entry, store, root, export, period, where) for entry in entries)
    folder = only_folder(keys, where)
    execution = next((str(document[name]) for name in EXECUTION_IDS if document.get(name)), None)
    timestamp = _time_of(info.key) or _time_of(folder)
    kept = bool(keys) and all("/" in re.split(f"/{_PARTITION}", key)[-1].partition("/")[2] for key in keys)
    return Manifest(info, content, period, keys, execution, timestamp, kept)


def read_manifest(store: ObjectStore, info: ObjectInfo, lists: Sequence[str], what: str) -> tuple[bytes, dict[str, Any], list[str]]:
    """A manifest's bytes, its document, and the first of the file ``lists`` that it has; refused where it has none."""
    where = f"{store.location}/{info.key}"
    content = store.read(info.key)
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except ValueError as error:
        raise DeliveryRefused(f"manifest is not JSON: {error}", where=where, remedy="run again once it is delivered completely") from error
    found = [name for name in lists if isinstance(document, dict) and name in document]
    entries = document[found[0]] if found else None
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise DeliveryRefused(f"manifest has no list of files ({' or '.join(lists)})", where=where, remedy=f"check that this is a {what}")
    return content, document, entries


def only_folder(keys: Sequence[str], where: str) -> str:
    """The one folder that all files of a manifest lie in ('' without files); refused: a file named twice, several folders."""
    if twice := repeated(keys):
        raise DeliveryRefused(f"manifest names a file twice: {twice[0]}", where=where, remedy="have the bill delivered again")
    folders = {key.rpartition("/")[0] for key in keys}
    if len(folders) > 1:
        raise DeliveryRefused(
            f"manifest mixes files of {len(folders)} folders", where=where, remedy="have the bill delivered again: deliveries never add up"
        )
    return next(iter(folders), "")


def check_period(document: dict[str, Any], period: str, where: str) -> None:
    """A manifest that says its billing period must mean the folder's; many say nothing."""
    said = document.get("billingPeriod", document.get("billing_period"))
    start = said.get("start") if isinstance(said, dict) else said
    digits = re.sub(r"\D", "", start)[:6] if isinstance(start, str) else ""
    if len(digits) == 6 and digits != period.replace("-", ""):
        raise DeliveryRefused(
            f"manifest of billing period {start} lies in the folder of {period}", where=where, remedy="have the bill delivered again"
        )


def _relative(entry: str, store: ObjectStore, root: str, export: str, period: str, where: str) -> str:
    """A manifest's file entry (``s3://`` URI or key) as a key below the location, confined to the export and the period."""
    bucket, path = None, entry
    if entry.startswith("s3://"):
        bucket, _, path = entry.removeprefix("s3://").partition("/")
    check_key(path, where)
    inside = next((folder for folder in _folders("data", period) if folder in path), _folders("data", period)[0])
    head, _, rest = path.partition(inside)
    here = getattr(store, "prefix", None)
    if here is None:  # a folder laid out like the bucket: only what follows the export's name is comparable
        expected = head in ("", root) or head.endswith(f"/{export}/") or head == f"{export}/"
    elif bucket is None:
        expected = head in ("", root, here + root)
    else:
        expected = bucket == getattr(store, "bucket", None) and head == here + root
    if not rest or not expected:
        raise DeliveryRefused(
            f"manifest names a file outside this export and period: {entry[:200]!r}",
            where=where,
            remedy="let `location` be the bucket and prefix that the export delivers to (a folder may be a copy of it)",
        )
    if not rest.endswith(_SUFFIXES):
        raise DeliveryRefused(f"file type not supported: {rest[-60:]!r}", where=where, remedy="let the export write gzip/csv or Parquet")
    return f"{root}{inside}{rest}"


def _time_of(key: str) -> str | None:
    """The time at the front of an execution's folder name, if any part of ``key`` has one."""
    for part in reversed(key.split("/")):
        if match := _TIMESTAMP.match(part):
            return match[1]
    return None


def manifest_files(store: ObjectStore, manifest: Manifest) -> list[ObjectInfo]:
    """Facts of each file that the manifest names; refused where one is missing or a new delivery has begun to overwrite them."""
    infos = []
    for key in manifest.keys:
        info = store.stat(key)
        where = f"{store.location}/{key}"
        if info is None:
            raise DeliveryRefused(
                "the manifest names an object that does not exist", where=where, remedy="run again once the delivery is complete"
            )
        # AWS writes the manifest last: in a bucket, a data file younger than it belongs to a delivery that is under way
        if info.etag and not manifest.keeps_every_delivery and info.modified_at > manifest.info.modified_at:
            raise DeliveryRefused(
                "the object is younger than its manifest: a new delivery is being written",
                where=where,
                remedy="run again once its manifest is there (where objects are copied: copy the manifest last)",
            )
        infos.append(info)
    return infos
