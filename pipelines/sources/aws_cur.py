"""The bill of an AWS organisation, one delivery per billing period: CUR 2.0 (Data Exports) or a legacy Cost and Usage Report.

Belongs here: which periods a window needs, landing of exactly the manifest's files. Does not: the raw table (cur_columns.py), manifests
(cur_manifest.py, cur_legacy_manifest.py), files (cur_files.py), transport (objects.py), meaning of line item types and of money (dbt).
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

from pydantic import Field

from pipelines.errors import DeliveryRefused
from pipelines.ingestion import cur_legacy_manifest, cur_manifest
from pipelines.ingestion.control_totals import control_totals, merged
from pipelines.ingestion.cur_columns import LINE_ITEMS, TABLE
from pipelines.ingestion.cur_files import RowFacts, land_cur2, land_legacy, row_facts
from pipelines.ingestion.cur_manifest import Manifest, manifest_files
from pipelines.ingestion.engine import identifier
from pipelines.ingestion.money import check_money
from pipelines.ingestion.objects import ObjectInfo, ObjectStore, open_store
from pipelines.landing import Landing, Staging
from pipelines.source import ControlTotal, Delivery, RawTable, Source, SourceConfig, Window

CROSSOVER_DAYS = 3  # rows of a month's first and last hours lie in the neighbouring billing period
ATTEMPTS = 3  # at reading a period whose manifest changes meanwhile
CONVERSION = 2  # raise it when the same bytes land differently than before: periods are then landed again
CONTROLLED = "line_item_unblended_cost"  # the amount that the control totals are of
DIMENSIONS = {"currency": "line_item_currency_code", "account_id": "line_item_usage_account_id", "invoice_id": "bill_invoice_id"}


class AwsCurConfig(SourceConfig):
    """Options of an AWS bill."""

    location: str = Field(description="s3://bucket/prefix or a folder: holds the export's folder, or is the export's folder")
    report_format: Literal["cur2", "legacy"] = Field(
        default="cur2", description="`cur2`: a CUR 2.0 export of Data Exports; `legacy`: a Cost and Usage Report of the older kind"
    )
    export: str = Field(
        min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]*$", description="the export's (the report's) name"
    )


class AwsCur(Source):
    """One billing period is one delivery, replaced as a whole; nothing is ever appended or merged."""

    kind: ClassVar[str] = "aws_cur"
    description: ClassVar[str] = (
        "AWS Cost and Usage Report: CUR 2.0 from Data Exports, or legacy (CSV or Parquet, overwrite or keep-every-delivery)"
    )
    tables: ClassVar[tuple[RawTable, ...]] = (LINE_ITEMS,)
    config_model: ClassVar[type[SourceConfig]] = AwsCurConfig
    config: AwsCurConfig

    def fetch(self, window: Window, landing: Landing) -> Iterable[Delivery]:
        """Land the billing periods of every month within three days of the window; see ``Source.fetch``.

        A period without a manifest has no bill yet and yields nothing. All periods are tried before a refusal is raised.
        """
        store = open_store(self.config.location, self.config.endpoint_url)
        periods = billing_periods(window)
        root = self._manifests.find_root(store, self.config.export, periods)
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

    @property
    def _manifests(self) -> Any:
        """The module that finds and reads this format's manifests: ``find_root`` and ``chosen``."""
        return cur_legacy_manifest if self.config.report_format == "legacy" else cur_manifest

    def _period(self, store: ObjectStore, root: str, period: str, landing: Landing) -> Delivery | None:
        """Land one period; start over when its manifest changes meanwhile."""
        manifest: Manifest | None = self._manifests.chosen(store, root, self.config.export, period)
        for _ in range(ATTEMPTS):
            if manifest is None:
                return None
            with landing.stage(source=self.name, kind=self.kind, period=period) as staging:
                problem: DeliveryRefused | None = None
                sealed: dict[str, Any] | None = None
                try:
                    infos = manifest_files(store, manifest)
                    origins = [_origin(store, info) for info in infos]
                    current = landing.current(self.name, period)
                    if current is not None and current.came_from(origins):
                        return current
                    sealed = self._land(store, manifest, infos, origins, staging)
                except DeliveryRefused as error:
                    problem = error
                again: Manifest | None = self._manifests.chosen(store, root, self.config.export, period)
                if manifest.still_stands(again):
                    if sealed is None:
                        raise cast(DeliveryRefused, problem)
                    return staging.seal(order=manifest.order, as_of=manifest.as_of, **sealed)
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
        facts: list[RowFacts] = []
        controls: list[ControlTotal] = []
        rejected: list[dict[str, Any]] = []
        for info, origin in zip(infos, origins, strict=True):
            with tempfile.TemporaryDirectory(dir=staging.folder) as scratch:
                incoming = Path(scratch, "incoming")
                origin["source_sha256"] = store.download(info, incoming)
                about, totals, unread = self._land_file(incoming, info.key, origin, staging, Path(scratch))
            facts.append(about)
            controls += totals
            rejected += [*unread, *about.rejected]
        days = [day for each in facts for day in (each.first, each.last) if day]
        if any(each.undated for each in facts):
            days.append(dt.date.fromisoformat(f"{manifest.period}-01"))
        final = any(f.rows for f in staging.files) and not any(each.uninvoiced for each in facts)
        return {
            "covers": (min(days), max(days)) if days else None,
            "finality": "final" if final else "provisional",
            "rejected": rejected,
            "controls": merged(controls),
        }

    def _land_file(
        self, incoming: Path, key: str, origin: dict[str, Any], staging: Staging, scratch: Path
    ) -> tuple[RowFacts, tuple[ControlTotal, ...], list[dict[str, Any]]]:
        target = staging.path(TABLE)
        if self.config.report_format == "legacy":
            landed = land_legacy(incoming, target, key, scratch)
        else:
            landed = land_cur2(incoming, target, key)
        origin["ignored_columns"] = list(landed.ignored_columns)
        money = {c.name: c.name for c in LINE_ITEMS.columns if c.type == "MONEY" and c.name in landed.types}
        check_money(target, money, never_missing=[CONTROLLED], where=key, scratch=scratch)
        dimensions = {name: identifier(own) for name, own in DIMENSIONS.items() if own in landed.types}
        totals = control_totals(target, identifier(CONTROLLED), dimensions, where=key, scratch=scratch)
        staging.add(TABLE, target, rows=landed.rows, columns=landed.columns, origin=origin)
        return row_facts(target, landed.types, key, scratch), totals, landed.rejected


def billing_periods(window: Window) -> list[str]:
    """The months, as ``YYYY-MM``, that hold rows of the window's days, oldest first."""
    day, last = window.first - dt.timedelta(days=CROSSOVER_DAYS), window.last + dt.timedelta(days=CROSSOVER_DAYS)
    months = {(day + dt.timedelta(days=n)).strftime("%Y-%m") for n in range((last - day).days + 1)}
    return sorted(months)


def _origin(store: ObjectStore, info: ObjectInfo) -> dict[str, Any]:
    """Where a file's bytes come from, known before any of them is downloaded."""
    return {"key": info.key, "size": info.size, "etag": info.etag, "fingerprint": store.fingerprint(info), "conversion": CONVERSION}
