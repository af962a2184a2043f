"""Time series samples in memory: batches of (series, instant, value), and their way into Parquet.

Belongs here: the batch that every Prometheus shape is read into, label columns, the Parquet writer. Does not: the shapes
(prometheus.py, exposition.py) nor what the labels of one exporter mean (sources/<kind>.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.ingestion.rejects import Rejects

BATCH_POINTS = 500_000  # about 10 MB of numbers; one row group
_EARLIEST_US = int(dt.datetime(2000, 1, 1, tzinfo=dt.UTC).timestamp()) * 1_000_000
_LATEST_US = int(dt.datetime(2100, 1, 1, tzinfo=dt.UTC).timestamp()) * 1_000_000
NAME = "__name__"
TEXT = pa.dictionary(pa.int32(), pa.string())  # the Arrow type of a label column; plain text in Parquet
OUT_OF_RANGE = "timestamp missing or outside 2000-2099"


def in_range(at_us: np.ndarray) -> np.ndarray:
    """Which instants (microseconds since 1970 UTC) lie in 2000-2099; a wrong unit or NaN does not."""
    return (at_us >= _EARLIEST_US) & (at_us < _LATEST_US)


@dataclass(frozen=True)
class SampleBatch:
    """Points of several series. ``index`` gives each point's series; ``at_us`` is microseconds since 1970 UTC."""

    series: list[dict[str, str]]
    index: np.ndarray
    at_us: np.ndarray
    value: np.ndarray

    def __len__(self) -> int:
        return len(self.index)

    def at(self) -> pa.Array:
        """The instants as naive UTC timestamps."""
        return pa.array(self.at_us, pa.timestamp("us"))

    def text(self, of: Callable[[dict[str, str]], str | None]) -> pa.Array:
        """A text column worked out once per series; empty text counts as missing (Prometheus has no empty label)."""
        codes: dict[str, int] = {}
        code_of_series = np.empty(len(self.series), np.int32)
        for i, labels in enumerate(self.series):
            text = of(labels)
            code_of_series[i] = codes.setdefault(text, len(codes)) if text else -1
        code = code_of_series[self.index]
        indices = pa.array(code, pa.int32(), mask=code < 0)
        return pa.DictionaryArray.from_arrays(indices, pa.array(list(codes), pa.string()))

    def label(self, names: Sequence[str]) -> pa.Array:
        """The first of ``names`` that a series carries with text."""
        return self.text(lambda labels: next((labels[n] for n in names if labels.get(n)), None))

    def where(self, keep: Callable[[dict[str, str]], bool]) -> tuple[SampleBatch, SampleBatch]:
        """Split by series: (points kept, points left out)."""
        flag = np.fromiter((keep(s) for s in self.series), bool, len(self.series))[self.index]
        return self._take(flag), self._take(~flag)

    def _take(self, flag: np.ndarray) -> SampleBatch:
        return SampleBatch(self.series, self.index[flag], self.at_us[flag], self.value[flag])


class Collector:
    """Gathers points and hands out batches of about ``BATCH_POINTS``, in the order in which they came."""

    def __init__(self, rejects: Rejects) -> None:
        self.rejects = rejects
        self._start()

    def _start(self) -> None:
        self._series: list[dict[str, str]] = []
        self._index: list[np.ndarray] = []
        self._at: list[np.ndarray] = []
        self._value: list[np.ndarray] = []
        self._points = 0

    @property
    def full(self) -> bool:
        """Whether it is time to take a batch."""
        return self._points >= BATCH_POINTS

    def add(self, labels: dict[str, str], at_us: np.ndarray, values: Sequence[str | float | None], row: int | str) -> None:
        """One series: float64 microseconds and as many values (text as Prometheus writes it, or numbers).

        A point without a readable value or instant is counted, not kept; the value NaN is a value.
        """
        value, readable = _floats(values)
        good = in_range(at_us)
        self.rejects.add("no readable value", int((~readable).sum()), row=row)
        self.rejects.add(OUT_OF_RANGE, int((readable & ~good).sum()), row=row)
        keep = readable & good
        self._index.append(np.full(int(keep.sum()), len(self._series), np.int32))
        self._at.append(np.rint(at_us[keep]).astype(np.int64))
        self._value.append(value[keep])
        self._series.append(labels)
        self._points += int(keep.sum())

    def take(self) -> SampleBatch:
        """What was gathered since the last call."""
        empty = [np.empty(0)]
        batch = SampleBatch(
            self._series,
            np.concatenate(self._index or empty).astype(np.int32),
            np.concatenate(self._at or empty).astype(np.int64),
            np.concatenate(self._value or empty).astype(np.float64),
        )
        self._start()
        return batch


def _floats(values: Sequence[str | float | None]) -> tuple[np.ndarray, np.ndarray]:
    try:
        number = np.fromiter(map(float, values), np.float64, len(values))
        return number, np.ones(len(values), bool)
    except (TypeError, ValueError):
        pairs = [_float(v) for v in values]  # only where something is wrong
        return np.array([p[0] for p in pairs], np.float64), np.array([p[1] for p in pairs], bool)


def _float(value: str | float | None) -> tuple[float, bool]:
    try:
        return float(value), True  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0.0, False


@dataclass
class WriteResult:
    """What was written: rows, and the first and last UTC day with a row."""

    rows: int = 0
    first: int | None = None
    last: int | None = None

    @property
    def covers(self) -> tuple[dt.date, dt.date] | None:
        """First and last UTC day; None without rows."""
        if self.first is None or self.last is None:
            return None
        return _utc_day(self.first), _utc_day(self.last)

    def see(self, batch: SampleBatch) -> None:
        """Count a batch in."""
        if len(batch):
            low, high = int(batch.at_us.min()), int(batch.at_us.max())
            self.first = low if self.first is None else min(self.first, low)
            self.last = high if self.last is None else max(self.last, high)
            self.rows += len(batch)


def _utc_day(at_us: int) -> dt.date:
    return (dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=at_us)).date()


def write_samples(path: Path, batches: Iterable[SampleBatch], project: Callable[[SampleBatch], pa.Table], schema: pa.Schema) -> WriteResult:
    """Write batches to one Parquet file, one row group each, in the order given; equal input gives equal bytes."""
    result = WriteResult()
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            if len(batch):
                writer.write_table(project(batch).cast(schema))
                result.see(batch)
    return result


def batches_of(collector: Collector, steps: Iterable[None]) -> Iterator[SampleBatch]:
    """Run ``steps`` (each adds a little to ``collector``) and hand out batches as they fill."""
    for _ in steps:
        if collector.full:
            yield collector.take()
    yield collector.take()
