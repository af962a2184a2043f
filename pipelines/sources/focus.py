"""FOCUS Cost and Usage, 1.0 to 1.4: the bill of any provider that writes the open specification, AWS's export by its manifests included.

Belongs here: options, and the landing of whole deliveries. Does not: columns (focus_schema.py), reading files (focus_rows.py), which
files belong together (focus_layouts.py, cur_manifest.py), the meaning of charges (dbt models).
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.control_totals import merged
from pipelines.ingestion.cur_manifest import chosen, find_root, manifest_files
from pipelines.ingestion.focus_layouts import Bundle, by_file, by_folder, by_manifest, is_bill, is_final
from pipelines.ingestion.focus_rows import FileFacts, land_file
from pipelines.ingestion.focus_schema import ROWS, TABLE
from pipelines.ingestion.objects import ObjectStore, open_store
from pipelines.ingestion.rejects import Rejects
from pipelines.landing import Landing, Staging
from pipelines.source import Delivery, RawTable, Source, SourceConfig, Window
from pipelines.sources.aws_cur import billing_periods

CONVERSION = 1  # raise it when the same bytes land differently than before: deliveries are then landed again
ATTEMPTS = 3  # at reading a period whose manifest changes meanwhile


class FocusConfig(SourceConfig):
    """Options of a FOCUS bill."""

    location: str = Field(description="a folder, a single file, or `s3://bucket/prefix`")
    layout: Literal["files", "folders", "aws_data_exports"] = Field(
        default="files",
        description=(
            "how deliveries lie there. `files`: each file is one delivery and all files add up, so they must be parts (by day, account"
            " or chunk); a new version must overwrite the file it replaces. `folders`: each folder is one delivery, named by its billing"
            " period (`2026-09-run2`, `billing_period=2026-09/<delivery>`); the one that sorts last counts, so versions may lie side by"
            " side. `aws_data_exports`: AWS's manifests say which files count"
        ),
    )
    include: list[str] = Field(default=[], description="glob(s) on the keys, for `files` and `folders`; default: .csv, .csv.gz, .parquet")
    export: str | None = Field(
        default=None, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]*$", description="the export's name, for `aws_data_exports`"
    )
    provider: str | None = Field(
        default=None, pattern=r"^[a-z0-9][a-z0-9_-]*$", description="the provider, such as `aws`; default: as the rows say"
    )
    focus_version: Literal["1.0", "1.1", "1.2", "1.3", "1.4"] | None = Field(
        default=None, description="the version the files are written in; recorded with the delivery, the columns decide what is read"
    )
    final_after_days: int | None = Field(
        default=None, ge=0, le=366, description="a bill without invoice ids is final when it was made this long after its period's end"
    )

    @model_validator(mode="after")
    def _export_belongs_to_its_layout(self) -> FocusConfig:
        if (self.layout == "aws_data_exports") != (self.export is not None):
            raise ValueError("`export` is needed for layout aws_data_exports, and for no other")
        return self


class Focus(Source):
    """Every delivery replaces its period as a whole: a file, or a billing month."""

    kind: ClassVar[str] = "focus"
    description: ClassVar[str] = (
        "FOCUS 1.0 to 1.4 Cost and Usage files of any provider (CSV, gzipped CSV, Parquet), AWS's FOCUS export included"
    )
    tables: ClassVar[tuple[RawTable, ...]] = (ROWS,)
    config_model: ClassVar[type[SourceConfig]] = FocusConfig
    config: FocusConfig

    def fetch(self, window: Window, landing: Landing) -> Iterable[Delivery]:
        """Land what is new or has changed; yield every delivery that the location presents. See ``Source.fetch``.

        Files and folders are all looked at; of AWS's periods those of the window and three days around it. All deliveries are tried
        before a refusal is raised.
        """
        store = open_store(self.config.location, self.config.endpoint_url)
        self._refuse_another_layout(landing)
        refused: list[DeliveryRefused] = []
        for attempt in self._deliveries(store, window, landing):
            if isinstance(attempt, DeliveryRefused):
                refused.append(attempt)
            else:
                yield attempt
        if refused:
            first = refused[0]
            more = f" (and {len(refused) - 1} more refused: {', '.join(str(e.where) for e in refused[1:4])})" if len(refused) > 1 else ""
            raise DeliveryRefused(f"{first.what}{more}", where=first.where, remedy=first.remedy) from first

    def _deliveries(self, store: ObjectStore, window: Window, landing: Landing) -> Iterator[Delivery | DeliveryRefused]:
        if self.config.export is not None:
            periods = billing_periods(window)
            root = find_root(store, self.config.export, periods)
            for period in periods if root is not None else []:
                try:
                    delivery = self._period(store, root or "", period, landing)
                except DeliveryRefused as error:
                    yield error
                    continue
                if delivery is not None:
                    yield delivery
            return
        listed = list(store.list())
        infos = [info for info in listed if self._wants(info.key)]
        if listed and not infos:
            expected = " or ".join(self.config.include) or ".csv, .csv.gz or .parquet"
            yield DeliveryRefused(
                f"none of {len(listed)} objects is one this source reads",
                where=store.location,
                remedy=f"expected {expected}; correct `location` or `include`",
            )
        bundles = by_folder(infos, store.location) if self.config.layout == "folders" else by_file(infos)
        for bundle in bundles:
            if isinstance(bundle, DeliveryRefused):
                yield bundle
                continue
            try:
                yield self._land(store, bundle, landing)
            except DeliveryRefused as error:
                yield error

    def _wants(self, key: str) -> bool:
        if self.config.include:
            return any(fnmatch.fnmatchcase(key, pattern) for pattern in self.config.include)
        return is_bill(key)

    def _period(self, store: ObjectStore, root: str, period: str, landing: Landing) -> Delivery | None:
        """Land one of AWS's periods; start over when its manifest changes meanwhile."""
        export = self.config.export or ""
        manifest = chosen(store, root, export, period)
        for _ in range(ATTEMPTS):
            if manifest is None:
                return None
            try:
                bundle = by_manifest(manifest, manifest_files(store, manifest))
                with landing.stage(self.name, self.kind, period) as staging:
                    outcome = self._prepare(store, bundle, landing, staging)
                    again = chosen(store, root, export, period)
                    if manifest.still_stands(again):
                        return outcome if isinstance(outcome, Delivery) else staging.seal(**outcome)
            except DeliveryRefused:
                again = chosen(store, root, export, period)
                if manifest.still_stands(again):
                    raise
            manifest = again
        raise DeliveryRefused(
            f"billing period {period} changed {ATTEMPTS} times while it was read",
            where=f"{store.location}/{root}",
            remedy="run again once AWS has finished its delivery",
        )

    def _land(self, store: ObjectStore, bundle: Bundle, landing: Landing) -> Delivery:
        with landing.stage(self.name, self.kind, bundle.period) as staging:
            prepared = self._prepare(store, bundle, landing, staging)
            return prepared if isinstance(prepared, Delivery) else staging.seal(**prepared)

    def _prepare(self, store: ObjectStore, bundle: Bundle, landing: Landing, staging: Staging) -> Delivery | Sealing:
        """The delivery that is landed already, or what ``seal`` wants to know of a newly staged one."""
        origins = [
            {
                "key": info.key,
                "size": info.size,
                "etag": info.etag,
                "fingerprint": store.fingerprint(info),
                "options": self._options(),
                "layout": self.config.layout,
                "as_of": bundle.as_of,
            }
            for info in bundle.infos
        ]
        current = landing.current(self.name, bundle.period)
        if current is not None and current.came_from(origins):
            return current
        facts, rejected = [], []
        for info, origin in zip(bundle.infos, origins, strict=True):
            where = store.location if _is_file(store.location) else f"{store.location.rstrip('/')}/{info.key}"
            rejects = Rejects(info.key)
            with tempfile.TemporaryDirectory(dir=staging.folder) as scratch:
                incoming = Path(scratch, "incoming.csv.gz" if info.key.lower().endswith(".gz") else "incoming")
                origin["source_sha256"] = store.download(info, incoming)
                target = staging.path(TABLE)
                found = land_file(incoming, target, where=where, provider=self.config.provider, scratch=Path(scratch), rejects=rejects)
            self._refuse_repeats(found, origin, bundle, staging, landing, where)
            if bundle.month is not None and set(found.months) - {bundle.month}:
                raise DeliveryRefused(
                    f"rows of billing period {', '.join(found.months)} in a delivery of {bundle.month}",
                    where=where,
                    remedy="deliver each billing period in a folder of its own",
                )
            origin |= {"ignored_columns": list(found.ignored_columns), "focus_version": self.config.focus_version}
            staging.add(TABLE, target, rows=found.rows, origin=origin)
            facts.append(found)
            rejected += rejects.entries()
        return {"order": bundle.order, "as_of": bundle.as_of, "rejected": rejected, **self._of_all(facts, bundle)}

    def _of_all(self, facts: list[FileFacts], bundle: Bundle) -> dict[str, Any]:
        days = [day for found in facts if found.days for day in found.days]
        ends = [found.period_end for found in facts if found.rows]
        end = None if None in ends else max((e for e in ends if e is not None), default=None)
        rows, uninvoiced = sum(f.rows for f in facts), sum(f.uninvoiced_rows for f in facts)
        final = is_final(uninvoiced, rows, end, bundle.as_of, self.config.final_after_days)
        return {
            "covers": (min(days), max(days)) if days else None,
            "finality": "final" if final else "provisional",
            "controls": merged(total for found in facts for total in found.controls),
        }

    def _options(self) -> str:
        """Changes when an option of this entry changes what a file becomes."""
        options = self.config.model_dump(mode="json", exclude={"name", "kind", "location", "endpoint_url", "include"})
        return hashlib.sha256(json.dumps([self.kind, CONVERSION, options], sort_keys=True).encode()).hexdigest()[:16]

    def _refuse_another_layout(self, landing: Landing) -> None:
        """Deliveries landed under another layout still count and hold the same rows: never both."""
        for delivery in landing.chosen(self.name):
            if others := {f.origin["layout"] for f in delivery.files} - {self.config.layout}:
                raise DeliveryRefused(
                    f"this source was landed with layout {', '.join(sorted(others))}, and its deliveries still count",
                    where=f"{self.name}, {delivery.period}",
                    remedy=f"give the entry another name, or remove the folder {landing.delivery_folder(self.name, '', '').parent} first",
                )

    def _refuse_repeats(
        self, found: FileFacts, origin: dict[str, Any], bundle: Bundle, staging: Staging, landing: Landing, where: str
    ) -> None:
        """The same bytes twice are the same dollars twice."""
        others = [f.origin for f in staging.files]
        if self.config.layout == "files":
            others += [f.origin for d in landing.chosen(self.name) if d.period != bundle.period for f in d.files if f.rows]
        twin = next((o["key"] for o in others if o.get("source_sha256") == origin["source_sha256"]), None)
        if twin is not None and found.rows:
            raise DeliveryRefused(
                f"the same bytes as {twin}, which counts already",
                where=where,
                remedy="keep one of them (a file that was renamed: give it its old name, or remove what was landed under that name)",
            )


Sealing = dict[str, Any]  # the arguments of Staging.seal


def _is_file(location: str) -> bool:
    return "://" not in location and Path(location).expanduser().is_file()
