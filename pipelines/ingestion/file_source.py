"""Sources whose deliveries are files: each object under a location is one delivery.

Belongs here: the one loop "list objects, skip what has not changed, download, convert, seal". Does not: any format
(sources/<kind>.py convert), any transport (objects.py).

period = the object's key, so a file that is changed in place replaces what it said before, and a new file adds to it. A file that
disappears from its location keeps counting: rotating old files away does not unsay them.
"""

from __future__ import annotations

import datetime as dt
import fnmatch
import hashlib
import json
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pyarrow as pa
from pydantic import Field, field_validator

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.gunzip import expand, is_gzip
from pipelines.ingestion.objects import ObjectInfo, open_store
from pipelines.landing import Landing, Staging
from pipelines.source import Delivery, Source, SourceConfig, Window

FIRST_DAY = dt.date(1, 1, 1)
LAST_DAY = dt.date(9999, 12, 31)  # an interval without an end touches every later day

_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".psv": "psv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".prom": "exposition",
    ".metrics": "exposition",
    ".txt": "text",
    ".out": "text",
}


class FileConfig(SourceConfig):
    """Options of every file-based kind."""

    location: str = Field(description="a folder, a single file, or `s3://bucket/prefix`")
    include: list[str] = Field(default=[], description="glob(s) on the keys; default: every file with a known extension")

    @field_validator("include", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


@dataclass(frozen=True)
class Incoming:
    """One downloaded, verified object, ready to convert.

    path: the private copy; ``convert`` may move it. where: how errors name it. format: by its extension, without ``.gz``.
    origin: what to hand to ``Staging.add``.
    """

    path: Path
    key: str
    where: str
    format: str | None
    origin: dict[str, Any]
    work: Path


@dataclass(frozen=True)
class Converted:
    """What a conversion found: the UTC days its rows can touch (None: no row) and the rows it could not use."""

    covers: tuple[dt.date, dt.date] | None
    rejected: list[dict[str, Any]] = field(default_factory=list)


class FileSource(Source):
    """A source of which every object is one delivery. A kind implements ``convert``."""

    config_model: ClassVar[type[SourceConfig]] = FileConfig
    formats: ClassVar[tuple[str, ...]] = ("csv", "json", "parquet")
    # raise it when the same bytes convert to something else than before: landed files are then converted again
    conversion: ClassVar[int] = 1
    config: FileConfig

    @abstractmethod
    def convert(self, incoming: Incoming, staging: Staging) -> Converted:
        """Write the object's rows as Parquet into ``staging`` (``path`` and ``add`` for each table).

        Raises DeliveryRefused for what cannot be used as a whole.
        """

    def fetch(self, window: Window, landing: Landing) -> Iterable[Delivery]:
        """Land every object that is new or has changed; yield the delivery of each object, in key order.

        All objects are looked at before a refusal is raised, so that one broken file does not hide another.
        """
        store = open_store(self.config.location, self.config.endpoint_url)
        seen, refused = 0, []
        listed = 0
        for info in store.list():
            listed += 1
            if not self.wants(info.key):
                continue
            seen += 1
            try:
                yield self._land(store, info, landing)
            except DeliveryRefused as error:
                refused.append(error)
        if refused:
            first = refused[0]
            more = f" (and {len(refused) - 1} more refused: {', '.join(str(e.where) for e in refused[1:4])})" if len(refused) > 1 else ""
            raise DeliveryRefused(f"{first.what}{more}", where=first.where, remedy=first.remedy) from first
        if listed and not seen:
            raise DeliveryRefused(
                f"none of {listed} objects is one this source reads",
                where=self.config.location,
                remedy=f"expected {self._expectation()}; correct `location` or `include`",
            )

    def wants(self, key: str) -> bool:
        """Whether an object belongs to this source: by ``include``, else by its extension."""
        if self.config.include:
            return any(fnmatch.fnmatchcase(key, pattern) for pattern in self.config.include)
        return format_of(key) in self.formats

    def _expectation(self) -> str:
        if self.config.include:
            return " or ".join(self.config.include)
        return "files ending in " + ", ".join(e for e, f in _FORMATS.items() if f in self.formats) + " (also .gz)"

    def options_fingerprint(self) -> str:
        """Changes when an option of this entry changes what a file converts to."""
        options = self.config.model_dump(mode="json", exclude={"name", "kind", "location", "endpoint_url", "include"})
        return hashlib.sha256(json.dumps([self.kind, self.conversion, options], sort_keys=True).encode()).hexdigest()[:16]

    def _land(self, store: Any, info: ObjectInfo, landing: Landing) -> Delivery:
        options = self.options_fingerprint()
        facts = {"key": info.key, "size": info.size, "options": options, "etag": info.etag, "modified_at": info.modified_at}
        current = landing.current(self.name, info.key)
        if current and _same(current, facts if info.etag is None else {**facts, "modified_at": None}):
            return current
        with workspace(landing) as work, landing.stage(self.name, self.kind, info.key) as staging:
            path = work / f"object.{format_of(info.key) or 'bytes'}{'.gz' if info.key.lower().endswith('.gz') else ''}"
            digest = store.download(info, path)
            if current and _same(current, {"key": info.key, "source_sha256": digest, "options": options}):
                return current  # touched, not changed
            where = f"{store.location.rstrip('/')}/{info.key}" if not _is_file(store.location) else store.location
            incoming = Incoming(path, info.key, where, format_of(info.key), {**facts, "source_sha256": digest}, work)
            try:
                converted = self.convert(incoming, staging)
            except (duckdb.DataError, duckdb.InvalidInputException, pa.ArrowInvalid) as error:
                first_line = str(error).splitlines()[0][:300]
                raise DeliveryRefused(f"cannot be converted: {first_line}", where=where, remedy="have the file written again") from error
            return staging.seal(order=info.modified_at, covers=converted.covers, rejected=converted.rejected)


def format_of(key: str) -> str | None:
    """The format an extension stands for, ``.gz`` aside; None for an unknown one."""
    return _FORMATS.get(Path(key.lower().removesuffix(".gz")).suffix)


def _is_file(location: str) -> bool:
    return "://" not in location and Path(location).expanduser().is_file()


def _same(delivery: Delivery, facts: dict[str, Any]) -> bool:
    return bool(delivery.files) and all(f.origin.get(k) == v for f in delivery.files for k, v in facts.items() if v is not None)


@contextmanager
def workspace(landing: Landing) -> Iterator[Path]:
    """A private folder on the landing zone's file system, so that moving a file into a delivery is a rename."""
    scratch = landing.root / ".staging"
    scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=scratch, prefix="work-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def plain_file(incoming: Incoming) -> Path:
    """The object's bytes without gzip: expanded and verified into the workspace where it is compressed."""
    if not is_gzip(incoming.path):
        return incoming.path
    target = incoming.work / "expanded"
    with target.open("wb") as sink:
        for piece in expand(incoming.path, incoming.where):
            sink.write(piece)
    return target
