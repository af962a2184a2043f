"""Google Cloud billing: the detailed or the standard usage cost export, from its BigQuery table or from files exported from it.

Belongs here: options, which deliveries there are, what is read again. Does not: the schema (gcp_schema.py), the conversion and its
money gate (gcp_rows.py), opening files (gcp_files.py), queries (gcp_export.py, bigquery.py).

From the table: it is append-only and ``export_time`` only grows, so a delivery is one UTC day of export_time (period
``export-2026-10-05``), whatever days of usage its rows are for. A night counts rows per export day and reads only the days whose
count or newest export_time is not the landed one. From files: one file is one delivery (period = its key); each row of the export
must lie in exactly one file.

finality is ``final`` only for a delivery all of whose rows are on invoices that closed ten days or more before its newest
export_time (invoices are issued by the fifth business day); all else is ``provisional``.
"""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pyarrow.parquet as pq
from pydantic import Field, model_validator

from pipelines.errors import DeliveryRefused
from pipelines.ingestion import gcp_rows
from pipelines.ingestion.bigquery import SCHEME, BigQueryTable, TableName
from pipelines.ingestion.control_totals import control_totals
from pipelines.ingestion.gcp_export import ExportDay, ExportTable
from pipelines.ingestion.gcp_files import format_of, refusal, relation_of
from pipelines.ingestion.gcp_schema import ROWS
from pipelines.ingestion.objects import ObjectInfo, ObjectStore, open_store
from pipelines.landing import Landing
from pipelines.source import Delivery, Source, SourceConfig, Window

DAYS_A_QUERY = 100  # each day is one open file
# Control totals: cost and every credit, by project and invoice month (the export knows no invoice number).
CONTROL_DIMENSIONS = {"currency": "currency", "account_id": "project_id", "invoice_id": "invoice_month"}
CREDIT_AMOUNTS = "json_extract_string(credits, '$[*].amount')"


class GcpBillingConfig(SourceConfig):
    """``location``: ``bigquery://project.dataset.table``, or a folder or ``s3://`` prefix of exported files."""

    location: str = Field(description="`bigquery://project.dataset.table`, or a folder or `s3://` prefix of exported files")
    billing_project: str | None = Field(default=None, description="project that runs and pays the queries; default the table's own")
    maximum_bytes_billed: int = Field(default=100 * 10**9, gt=0, description="ceiling in bytes of each query")
    partition_column: str = Field(
        default="_PARTITIONTIME",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$",
        description="what the table is partitioned by; `export_time` where it is that column",
    )
    storage_api: bool = Field(default=False, description="stream rows by the Storage Read API (needs roles/bigquery.readSessionUser)")

    @model_validator(mode="after")
    def _location_is_readable(self) -> GcpBillingConfig:
        if self.location.startswith(SCHEME):
            TableName.parse(self.location)
        return self


class GcpBilling(Source):
    """The GCP usage cost export: the detailed one (which names the VM), or the standard one."""

    kind: ClassVar[str] = "gcp_billing"
    description: ClassVar[str] = (
        "Google Cloud usage cost export, detailed or standard (BigQuery table, or Parquet, JSON lines or CSV exported from it)"
    )
    tables = (ROWS,)
    config_model = GcpBillingConfig
    config: GcpBillingConfig

    def fetch(self, window: Window, landing: Landing) -> Iterable[Delivery]:
        """Deliveries of every export day from the day before ``window`` on (table), or of every file."""
        if self.config.location.startswith(SCHEME):
            return self._fetch_table(window, landing)
        return self._fetch_files(landing)

    # --- the table

    def _fetch_table(self, window: Window, landing: Landing) -> Iterator[Delivery]:
        table = ExportTable(self._table(), self.config.partition_column)
        days = table.export_days(window.first - dt.timedelta(days=1))
        landed = {day.day: landing.current(self.name, _period(day)) for day in days}
        changed = [day for day in days if not _is_landed(landed[day.day], day)]
        for day in changed:
            _refuse_shrinking(day, landed[day.day], table.name, landing)
        yield from (landed[day.day] for day in days if day not in changed)
        for start in range(0, len(changed), DAYS_A_QUERY):
            batch = changed[start : start + DAYS_A_QUERY]
            with _workplace(landing) as work:
                paths = table.read_days([day.day for day in batch], work)
                for day in batch:
                    yield self._land_day(table, day, paths.get(day.day), work, landing)

    def _table(self) -> BigQueryTable:
        config = self.config
        read_client = None
        if config.storage_api:
            from google.cloud.bigquery_storage import BigQueryReadClient

            read_client = BigQueryReadClient()
        return BigQueryTable(
            TableName.parse(config.location),
            endpoint_url=config.endpoint_url,
            billing_project=config.billing_project,
            maximum_bytes_billed=config.maximum_bytes_billed,
            read_client=read_client,
        )

    def _land_day(self, table: ExportTable, day: ExportDay, path: Path | None, work: Path, landing: Landing) -> Delivery:
        where = f"{table.name}, export day {day.day}"
        read = pq.read_metadata(path).num_rows if path else 0
        if path is None or read < day.rows:
            raise DeliveryRefused(f"read {read} of {day.rows} rows", where=where, remedy="run again; nothing of this day was used")
        origin = {"table": table.name, "export_day": day.day.isoformat(), "converter": gcp_rows.CONVERTER}
        return self._land(_period(day), relation_of(path, "parquet"), work, landing, where=where, origin=origin, sort=True)

    # --- files

    def _fetch_files(self, landing: Landing) -> Iterator[Delivery]:
        store = open_store(self.config.location, self.config.endpoint_url)
        infos = [info for info in store.list() if not Path(info.key).name.startswith(("_", "."))]
        if unknown := [info.key for info in infos if format_of(info.key) is None]:
            raise DeliveryRefused(
                f"{len(unknown)} object(s) of a format that is not read, the first: {unknown[0]}",
                where=store.location,
                remedy="export as Parquet, JSON lines (.json, .jsonl, .ndjson) or CSV, also .gz; move everything else away",
            )
        keys_by_content: dict[str, str] = {}
        for info in infos:
            yield self._land_file(store, info, landing, keys_by_content)

    def _land_file(self, store: ObjectStore, info: ObjectInfo, landing: Landing, keys_by_content: dict[str, str]) -> Delivery:
        facts = {"key": info.key, "size": info.size, "etag": info.etag, "converter": gcp_rows.CONVERTER}
        where = f"{store.location.rstrip('/')}/{info.key}"
        current = landing.current(self.name, info.key)
        if current and info.etag and _from_the_same(current, facts):
            _refuse_copies(current.files[0].origin["content_sha256"], info, where, keys_by_content)
            return current
        with _workplace(landing) as work:
            path = work / "object"
            facts["content_sha256"] = store.download(info, path)
            _refuse_copies(facts["content_sha256"], info, where, keys_by_content)
            if current and _from_the_same(current, facts):
                return current  # folders have no ETag: the bytes decide
            kind = format_of(info.key)
            try:
                relation = relation_of(path, kind, where=where, gzipped=info.key.lower().endswith(".gz"))
                return self._land(info.key, relation, work, landing, where=where, origin=facts, sort=False)
            except duckdb.Error as error:
                raise refusal(path, kind, where, error) from error

    # --- both

    def _land(
        self, period: str, relation: str, work: Path, landing: Landing, *, where: str, origin: dict[str, Any], sort: bool
    ) -> Delivery:
        with landing.stage(source=self.name, kind=self.kind, period=period) as staging:
            target = staging.path(ROWS.name)
            with gcp_rows.connect(work) as connection:
                facts = gcp_rows.convert(connection, relation, target, where=where, sort=sort)
            controls = control_totals(target, "cost", CONTROL_DIMENSIONS, money_lists=[CREDIT_AMOUNTS], where=where, scratch=work)
            staging.add(ROWS.name, target, rows=facts.rows, origin=origin)
            return staging.seal(
                order=facts.order,
                covers=facts.covers,
                finality=facts.finality,
                as_of=facts.last_export or None,
                rejected=facts.rejected,
                controls=controls,
            )


def _period(day: ExportDay) -> str:
    return f"export-{day.day.isoformat()}"


def _is_landed(delivery: Delivery | None, day: ExportDay) -> bool:
    order = gcp_rows.order_of(day.last_export, day.rows)
    return delivery is not None and delivery.order == order and _from_the_same(delivery, {"converter": gcp_rows.CONVERTER})


def _refuse_shrinking(day: ExportDay, landed: Delivery | None, table: str, landing: Landing) -> None:
    rows = sum(f.rows for f in landed.files) if landed else 0
    if day.rows < rows:
        raise DeliveryRefused(
            f"export day {day.day} has {day.rows} rows, {rows} were landed before; the export only grows",
            where=table,
            remedy=f"find out who deleted rows; if the table was rebuilt on purpose, remove this source's folder under {landing.root}",
        )


def _from_the_same(delivery: Delivery, facts: dict[str, Any]) -> bool:
    return all(f.origin.get(name) == value for f in delivery.files for name, value in facts.items())


def _refuse_copies(content: str, info: ObjectInfo, where: str, keys_by_content: dict[str, str]) -> None:
    other = keys_by_content.setdefault(content, info.key)
    if info.size and other != info.key:
        raise DeliveryRefused(
            f"the same bytes as {other}: its rows would count twice", where=where, remedy="remove the copy; each row may lie in one file"
        )


@contextmanager
def _workplace(landing: Landing) -> Iterator[Path]:
    """A private folder on the landing zone's disk."""
    scratch = landing.root / ".staging"
    scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=scratch, prefix="work-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
