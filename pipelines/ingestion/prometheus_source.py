"""Sources of Prometheus samples: read day by day from a server, or file by file from saved answers and pages.

Belongs here: which day or file becomes which delivery, for every kind of samples. Does not: the wire and file formats
(prometheus.py, exposition.py), nor what the labels mean (a kind's ``project``).
"""

from __future__ import annotations

import datetime as dt
import logging
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.exposition import page_instant_us, parse_page
from pipelines.ingestion.file_source import Converted, FileConfig, FileSource, Incoming, plain_file
from pipelines.ingestion.prometheus import PrometheusClient, add_series, expression, saved_samples
from pipelines.ingestion.rejects import Rejects
from pipelines.ingestion.samples import Collector, SampleBatch, WriteResult, batches_of, write_samples
from pipelines.landing import Landing, Staging
from pipelines.source import Delivery, SourceConfig, Window

SERVER = "prometheus+"
SETTLING = dt.timedelta(hours=1)  # agents that buffer deliver late; a day is final when read an hour after its end
log = logging.getLogger(__name__)


class PrometheusConfig(FileConfig):
    """Options of every kind of samples. ``location`` is a folder, a file, s3://, or ``prometheus+http(s)://host:port[/path]``."""

    location: str = Field(description="a folder, a file, `s3://...`, or `prometheus+http(s)://host:port[/path]`")
    slot_seconds: Literal[1, 2, 3, 5, 6, 10, 12, 15, 20, 30, 60] = Field(default=30, description="the scrape interval in seconds")
    selector: str | None = Field(default=None, description="further label matchers of the Prometheus query")
    token_env: str | None = Field(default=None, description="the environment variable that holds a bearer token")
    metrics: list[str] = Field(default=[], description="metrics to read instead of the default ones (a trailing `*` is allowed)")


class PrometheusSource(FileSource):
    """A kind of samples. It names its table and metrics and turns a batch into the table's columns."""

    config_model: ClassVar[type[SourceConfig]] = PrometheusConfig
    formats: ClassVar[tuple[str, ...]] = ("json", "exposition", "text")
    sample_table: ClassVar[str]
    schema: ClassVar[pa.Schema]
    default_metrics: ClassVar[tuple[str, ...]]
    config: PrometheusConfig

    @abstractmethod
    def project(self, batch: SampleBatch) -> pa.Table:
        """A batch as the sample table's columns, in row order."""

    def select(self, batch: SampleBatch, rejects: Rejects) -> SampleBatch:
        """The points that belong to this kind; what is left out is counted. Default: all."""
        return batch

    def now(self) -> dt.datetime:
        """The present instant, UTC."""
        return dt.datetime.now(dt.UTC)

    def fetch(self, window: Window, landing: Landing) -> Iterable[Delivery]:
        """From a server: one delivery per UTC day, from the day before the window. From files: one per file."""
        if not self.config.location.startswith(SERVER):
            yield from super().fetch(window, landing)
            return
        client = PrometheusClient(self.config.location.removeprefix(SERVER), self.config.token_env)
        days = Window(window.first - dt.timedelta(days=1), window.last).days()
        for day in days:
            delivery = self._day(client, day, landing)
            if delivery is not None:
                yield delivery

    def _day(self, client: PrometheusClient, day: dt.date, landing: Landing) -> Delivery | None:
        now = self.now()
        begin = dt.datetime.combine(day, dt.time(), dt.UTC)
        end = begin + dt.timedelta(days=1)
        if now < begin + dt.timedelta(seconds=self.config.slot_seconds):
            return None
        origin = {"url": client.url, "options": self.options_fingerprint(), "slot_seconds": self.config.slot_seconds}
        current = landing.current(self.name, day.isoformat())
        known = current is not None and all(f.origin.get(k) == v for f in current.files for k, v in origin.items())
        if current is not None and known and all(f.origin.get("is_complete") for f in current.files):
            return current
        rejects = Rejects(f"{client.url} {day}")
        with landing.stage(self.name, self.kind, day.isoformat()) as staging:
            result = self._write(staging, self._read(client, day, now, rejects), rejects,
                                 {**origin, "is_complete": now >= end + SETTLING})  # fmt: skip
            if current is not None and known and result.rows < sum(f.rows for f in current.files):
                # the past of such a server only loses rows by its retention: a shorter answer is less true than what was landed
                log.warning("%s: %s now has %s rows of %s, fewer than landed before; the landed delivery stays",
                            self.name, client.url, result.rows, day)  # fmt: skip
                return current
            return staging.seal(order=end.isoformat(), covers=result.covers, rejected=rejects.entries())

    def _read(self, client: PrometheusClient, day: dt.date, now: dt.datetime, rejects: Rejects) -> Iterator[SampleBatch]:
        collector = Collector(rejects)

        def steps() -> Iterator[None]:
            for metric in self.config.metrics or self.default_metrics:
                query = expression(metric, self.config.selector, self.config.slot_seconds)
                name = None if metric.endswith("*") else metric
                yield from add_series(collector, client.day(query, day, self.config.slot_seconds, now), name)

        yield from batches_of(collector, steps())

    def convert(self, incoming: Incoming, staging: Staging) -> Converted:
        """A saved answer, export lines or a page; the format by extension, ``.txt`` by its first character."""
        rejects = Rejects(incoming.key)
        path = plain_file(incoming)
        if incoming.format == "json" or (incoming.format in (None, "text") and _begins_like_json(path)):
            batches = saved_samples(lambda: _lines(path), rejects)
        elif incoming.format in ("exposition", "text", None):
            batches = parse_page(_text_lines(path, incoming.where), page_instant_us(incoming.key), rejects)
        else:
            raise DeliveryRefused(
                f"{self.kind} cannot read {incoming.format} files", where=incoming.where, remedy=f"use one of: {', '.join(self.formats)}"
            )
        result = self._write(staging, batches, rejects, incoming.origin)
        return Converted(result.covers, rejects.entries())

    def _write(self, staging: Staging, batches: Iterable[SampleBatch], rejects: Rejects, origin: dict[str, Any]) -> WriteResult:
        target = staging.path(self.sample_table)
        result = write_samples(target, (self.select(b, rejects) for b in batches), self.project, self.schema)
        staging.add(self.sample_table, target, rows=result.rows, origin=origin)
        return result


def _begins_like_json(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(4096).lstrip()[:1] in (b"{", b"[")


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as handle:
        yield from handle


def _text_lines(path: Path, where: str) -> Iterator[str]:
    with path.open("rb") as handle:
        for number, line in enumerate(handle, start=1):
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise DeliveryRefused("invalid UTF-8", where=f"{where}: line {number}", remedy="save the page again, as UTF-8") from error
