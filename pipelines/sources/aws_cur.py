"""AWS CUR 2.0 (Data Exports): the bill of an AWS organisation, one delivery per billing period.

Belongs here: the raw table, which periods a window needs, landing of exactly the manifest's files. Does not: manifests
(cur_manifest.py), transport (objects.py), meaning of line item types and of money (dbt models).
"""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, cast

from pydantic import Field

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.cur_columns import LINE_ITEMS, REQUIRED, TABLE
from pipelines.ingestion.cur_manifest import Manifest, chosen, find_root
from pipelines.ingestion.engine import connect, identifier, timestamp_sql
from pipelines.ingestion.money import check_money
from pipelines.ingestion.objects import ObjectInfo, ObjectStore, open_store
from pipelines.ingestion.parquet_files import parquet_facts
from pipelines.ingestion.tabular import csv_to_parquet
from pipelines.landing import Landing, Staging
from pipelines.source import Delivery, RawTable, Source, SourceConfig, Window

CROSSOVER_DAYS = 3  # rows of a month's first and last hours lie in the neighbouring billing period
ATTEMPTS = 3  # at reading a period whose manifest changes meanwhile
CONVERSION = 2  # raise it when the same bytes land differently than before: periods are then landed again
_START, _END, _INVOICE = "line_item_usage_start_date", "line_item_usage_end_date", "bill_invoice_id"


class AwsCurConfig(SourceConfig):
    """Options of a CUR 2.0 export."""

    location: str = Field(description="s3://bucket/prefix or a folder: holds the export's folder, or is the export's folder")
    export: str = Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]*$", description="the export's name")


class AwsCur(Source):
    """One billing period is one delivery, replaced as a whole; nothing is ever appended or merged."""

    kind: ClassVar[str] = "aws_cur"
    description: ClassVar[str] = "AWS Cost and Usage Report 2.0 from Data Exports (gzip/csv or Parquet, overwrite or keep-every-delivery)"
    tables: ClassVar[tuple[RawTable, ...]] = (LINE_ITEMS,)
    config_model: ClassVar[type[SourceConfig]] = AwsCurConfig
    config: AwsCurConfig

    def fetch(self, window: Window, landing: Landing) -> Iterable[Delivery]:
        """Land the billing periods of every month within three days of the window; see ``Source.fetch``.

        A period without a manifest has no bill yet and yields nothing. All periods are tried before a refusal is raised.
        """
        store = open_store(self.config.location, self.config.endpoint_url)
        periods = billing_periods(window)
        root = find_root(store, self.config.export, periods)
        refused: list[DeliveryRefused] = []
        for period in periods if root is not None else []:
            try:
                delivery = self._period(store, cast(str, root), period, landing)
            except DeliveryRefused as error:
                refused.append(error)
                continue
            if delivery is not None:
                yield delivery
        if refused:
            raise refused[0]

    def _period(self, store: ObjectStore, root: str, period: str, landing: Landing) -> Delivery | None:
        """Land one period; start over when its manifest changes meanwhile."""
        manifest = chosen(store, root, self.config.export, period)
        for _ in range(ATTEMPTS):
            if manifest is None:
                return None
            with landing.stage(source=self.name, kind=self.kind, period=period) as staging:
                problem: DeliveryRefused | None = None
                sealed: dict[str, Any] | None = None
                try:
                    infos = _infos(store, manifest)
                    origins = [_origin(store, info) for info in infos]
                    current = landing.current(self.name, period)
                    if current is not None and _same(current, origins):
                        return current
                    sealed = self._land(store, manifest, infos, origins, staging)
                except DeliveryRefused as error:
                    problem = error
                again = chosen(store, root, self.config.export, period)
                if again is not None and (again.info.key, again.content) == (manifest.info.key, manifest.content):
                    if sealed is None:
                        raise cast(DeliveryRefused, problem)
                    return staging.seal(order=manifest.order, as_of=_as_of(manifest), **sealed)
                manifest = again
        raise DeliveryRefused(
            f"billing period {period} changed {ATTEMPTS} times while it was read",
            where=f"{store.location}/{root}",
            remedy="run again once AWS has finished its delivery",
        )

    def _land(
        self, store: ObjectStore, manifest: Manifest, infos: list[ObjectInfo], origins: list[dict[str, Any]], staging: Staging
    ) -> dict[str, Any]:
        """Bring every file in; return what ``seal`` wants to know of the rows."""
        rows, final, days, rejected = 0, True, [], []
        for info, origin in zip(infos, origins, strict=True):
            with tempfile.TemporaryDirectory(dir=staging.folder) as scratch:
                incoming = Path(scratch, "incoming")
                origin["source_sha256"] = store.download(info, incoming)
                facts = self._land_file(incoming, info.key, origin, staging, Path(scratch))
            rows += facts["rows"]
            final = final and facts["uninvoiced"] == 0
            days += [day for day in (facts["first"], facts["last"]) if day]
            if facts["undated"]:
                days.append(dt.date.fromisoformat(f"{manifest.period}-01"))
            rejected += facts["rejected"]
        return {
            "covers": (min(days), max(days)) if days else None,
            "finality": "final" if rows and final else "provisional",
            "rejected": rejected,
        }

    def _land_file(self, incoming: Path, key: str, origin: dict[str, Any], staging: Staging, scratch: Path) -> dict[str, Any]:
        table = self.tables[0]
        target = staging.path(TABLE)
        columns: dict[str, str | list[str]] | None = None
        rejected: list[dict[str, Any]] = []
        if key.endswith(".parquet"):
            rows, types = parquet_facts(incoming, key, [c.name for c in table.columns])
            if absent := [name for name in REQUIRED if name not in types]:
                raise DeliveryRefused(f"column missing: {', '.join(absent)}", where=key, remedy="add it to the export's query")
            columns = {c.name: c.name for c in table.columns if c.name in types}
            os.replace(incoming, target)
        else:
            if key.endswith(".gz"):
                incoming = incoming.rename(incoming.with_suffix(".csv.gz"))
            wanted = {c.name: c.name for c in table.columns}
            stamps = {c.name: c.type for c in table.columns if c.type == "TIMESTAMP"}
            result = csv_to_parquet(incoming, target, wanted, required=REQUIRED, where=key, types=stamps)
            rows, rejected = result.rows, result.rejected
            types = dict.fromkeys(wanted, "VARCHAR") | stamps
        money = {c.name: c.name for c in table.columns if c.type == "MONEY" and c.name in types}
        check_money(target, money, never_missing=["line_item_unblended_cost"], where=key, scratch=scratch)
        staging.add(TABLE, target, rows=rows, columns=columns, origin=origin)
        return {"rows": rows, **_row_facts(target, types, key, scratch, rejected)}


def billing_periods(window: Window) -> list[str]:
    """The months, as ``YYYY-MM``, that hold rows of the window's days, oldest first."""
    day, last = window.first - dt.timedelta(days=CROSSOVER_DAYS), window.last + dt.timedelta(days=CROSSOVER_DAYS)
    months = {(day + dt.timedelta(days=n)).strftime("%Y-%m") for n in range((last - day).days + 1)}
    return sorted(months)


def _infos(store: ObjectStore, manifest: Manifest) -> list[ObjectInfo]:
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


def _origin(store: ObjectStore, info: ObjectInfo) -> dict[str, Any]:
    """Where a file's bytes come from, known before any of them is downloaded."""
    return {"key": info.key, "size": info.size, "etag": info.etag, "fingerprint": store.fingerprint(info), "conversion": CONVERSION}


def _same(current: Delivery, origins: list[dict[str, Any]]) -> bool:
    """Whether the delivery that counts came from exactly these objects."""
    if len(current.files) != len(origins):
        return False
    return all({key: file.origin.get(key) for key in origin} == origin for file, origin in zip(current.files, origins, strict=True))


def _as_of(manifest: Manifest) -> str | None:
    """When AWS made the delivery; unknown for a folder without execution times (a copy's file times mean nothing)."""
    return manifest.timestamp or (manifest.info.modified_at if manifest.info.etag else None)


def _row_facts(parquet: Path, types: dict[str, str], key: str, scratch: Path, rejected: list[dict[str, Any]]) -> dict[str, Any]:
    """First and last UTC day, rows without a readable start, rows without an invoice, and what could not be read."""
    start = timestamp_sql(_START, types[_START])
    end = timestamp_sql(_END, types[_END]) if _END in types else "NULL::TIMESTAMP"
    invoice = f"coalesce({identifier(_INVOICE)}::VARCHAR, '')" if _INVOICE in types else "''"
    unread = f"{start} IS NULL AND coalesce({identifier(_START)}::VARCHAR, '') <> ''"
    query = (
        f"SELECT min({start})::DATE, max(greatest({start}, {end} - INTERVAL 1 MICROSECOND))::DATE, count(*) FILTER ({start} IS NULL),"  # noqa: S608
        f" count(*) FILTER ({invoice} = ''), count(*) FILTER ({unread}), min(file_row_number) FILTER ({unread})"
        " FROM read_parquet(?, file_row_number=true)"
    )
    with connect(scratch) as con:
        first, last, undated, uninvoiced, unreadable, row = con.execute(query, [str(parquet)]).fetchone()  # type: ignore[misc]
    if unreadable:
        example = {"file": key, "row": row + 1}
        rejected = [*rejected, {"reason": f"{_START} is not a TIMESTAMP: read as NULL", "rows": unreadable, "example": example}]
    return {"first": first, "last": last, "undated": undated, "uninvoiced": uninvoiced, "rejected": rejected}
