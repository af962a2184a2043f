"""The one abstraction of ingestion: a Source has Tables and fetches Deliveries.

Belongs here: what a source kind must declare (its tables and columns, its options) and the objects it hands over.
Does not: storage of deliveries (landing.py), transport (objects.py), any single format (sources/<kind>.py).

A source kind is one module ``pipelines/sources/<kind>.py`` with one ``Source`` subclass. It is found by looking into that
package: there is no registry to edit. Its raw tables become the relations ``raw.<kind>__<table>`` that dbt reads as
``source('<kind>', '<table>')``.
"""

from __future__ import annotations

import datetime as dt
import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from pipelines.landing import Landing

# The types a raw column may have. MONEY and JSON are stored as text: money so that no float is ever parsed twice
# (staging converts it once, exactly), JSON so that every engine reads it the same way.
ColumnType = Literal["VARCHAR", "TIMESTAMP", "DOUBLE", "BIGINT", "BOOLEAN", "MONEY", "JSON"]

PHYSICAL_TYPE: dict[str, str] = {"MONEY": "VARCHAR", "JSON": "VARCHAR"}


@dataclass(frozen=True)
class Column:
    """One column of a raw table. ``TIMESTAMP`` is UTC without a zone."""

    name: str
    type: ColumnType
    description: str

    @property
    def physical_type(self) -> str:
        """The DuckDB type the raw relation exposes."""
        return PHYSICAL_TYPE.get(self.type, self.type)


@dataclass(frozen=True)
class RawTable:
    """One raw table of a source kind: its name, its columns, and what one row is."""

    name: str
    description: str
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column:
        """The column called ``name``; KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


class SourceConfig(BaseModel):
    """What every entry under ``sources:`` in the settings file has; a kind adds its own options by subclassing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="the entry's name: it stands on every row that comes from it")
    kind: str = Field(description="which kind of source this is")
    location: str | None = Field(default=None, description="a folder, or `s3://bucket/prefix`")
    endpoint_url: str | None = Field(default=None, description="another S3 endpoint than AWS's (or a BigQuery emulator's)")


@dataclass(frozen=True)
class Window:
    """The UTC days a night asks for, both ends included."""

    first: dt.date
    last: dt.date

    def days(self) -> Iterator[dt.date]:
        """Each day of the window, oldest first."""
        for offset in range((self.last - self.first).days + 1):
            yield self.first + dt.timedelta(days=offset)


@dataclass(frozen=True)
class LandedFile:
    """One Parquet file of a delivery.

    ``columns`` maps raw column name -> the file's own column(s): a name, a dotted path into a struct, or several names of
    which the first that is neither NULL nor '' counts. ``None`` means that the file already has the raw table's columns.
    A raw column that is absent from the map is NULL.
    """

    table: str
    path: Path
    rows: int
    columns: dict[str, str | list[str]] | None = None
    origin: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ControlTotal:
    """What the source's own amounts of a delivery sum to, measured when it was landed, for one currency, account and invoice.

    rows: landed rows. amount: the sum of the amounts, each rounded half-even to 12 places. conversion_delta: the sum of what that
    rounding took away, exact to 24 places: source - stored.
    """

    currency: str | None
    account_id: str | None
    invoice_id: str | None
    rows: int
    amount: Decimal
    conversion_delta: Decimal


@dataclass(frozen=True)
class Delivery:
    """One complete, verified hand-over of one period of one source.

    period: what the delivery replaces as a whole: a billing month ``2026-10``, a day ``2026-10-05``, an object key.
    order: what the source itself says about which delivery of a period is newer (ISO time, execution id); it sorts as text.
    covers: the first and the last UTC day that its rows can touch, ``None`` when it has no row.
    finality: ``provisional`` or ``final`` for bills, ``None`` elsewhere.
    rejected: rows that could not be used and carry no money: counts by reason, with an example (file, row) each.
    controls: a bill's control totals; empty for what is no bill, and for deliveries landed before there were any.
    """

    source: str
    kind: str
    period: str
    delivery_id: str
    order: str
    covers: tuple[dt.date, dt.date] | None
    files: tuple[LandedFile, ...]
    finality: Literal["provisional", "final"] | None = None
    as_of: str | None = None
    rejected: tuple[dict[str, Any], ...] = ()
    controls: tuple[ControlTotal, ...] = ()

    def came_from(self, origins: Sequence[Mapping[str, Any]]) -> bool:
        """Whether its files were made from exactly these objects, in this order: each origin's facts are those of its file."""
        if len(self.files) != len(origins):
            return False
        return all({key: file.origin.get(key) for key in origin} == dict(origin) for file, origin in zip(self.files, origins, strict=True))


class Source(ABC):
    """A source kind. Subclasses are plain Python: no orchestrator, no SQL rules."""

    kind: ClassVar[str]
    description: ClassVar[str]
    tables: ClassVar[tuple[RawTable, ...]]
    config_model: ClassVar[type[SourceConfig]] = SourceConfig

    def __init__(self, config: SourceConfig) -> None:
        self.config = config

    @property
    def name(self) -> str:
        """The name of this entry in the settings file; it stands on every row that comes from it."""
        return self.config.name

    @abstractmethod
    def fetch(self, window: Window, landing: Landing) -> Iterable[Delivery]:
        """Bring every delivery that touches ``window`` and is not landed yet, and point to the ones that count.

        Yields the deliveries that the source presents now (new or already landed), each sealed by ``landing``.
        Raises DeliveryRefused for what cannot be used; the pointers then stay where they were.
        """


@cache
def source_kinds() -> dict[str, type[Source]]:
    """Every source kind found in ``pipelines.sources``, by kind, in alphabetical order."""
    import pipelines.sources as package

    found: dict[str, type[Source]] = {}
    for module_info in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
        module = importlib.import_module(f"{package.__name__}.{module_info.name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Source) and value.__module__ == module.__name__:
                if "kind" in value.__dict__:
                    found[value.kind] = value
    return dict(sorted(found.items()))
