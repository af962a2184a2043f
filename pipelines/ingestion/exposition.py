"""The Prometheus text exposition format: one page of ``/metrics`` lines into samples.

Belongs here: the grammar of a line, and where a page's instant comes from. Does not: which metrics matter (sources/<kind>.py).

Every line of a page is blank, a comment, a sample, or counted in the rejects with its reason and line number. Label sets repeat
from page to page and metric to metric, so a label text is parsed once and remembered.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator

import numpy as np

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.rejects import Rejects
from pipelines.ingestion.samples import BATCH_POINTS, NAME, OUT_OF_RANGE, SampleBatch, in_range

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:.]*")
_LABEL = re.compile(r'\s*(?:([a-zA-Z_][a-zA-Z0-9_.]*)|"((?:[^"\\]|\\.)*)")\s*(?:=\s*"((?:[^"\\]|\\.)*)")?\s*(,|(?=\}))')
_ESCAPE = re.compile(r"\\(.)")
_VALUE = re.compile(r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|inf|infinity|nan)", re.IGNORECASE)
_ISO_IN_NAME = re.compile(r"(?<!\d)(\d{4})-?(\d{2})-?(\d{2})T(\d{2})[:-]?(\d{2})[:-]?(\d{2})(?:\.(\d{1,6}))?Z")
_EPOCH_IN_NAME = re.compile(r"(?<![0-9A-Za-z])(1\d{9})(\d{3})?(?![0-9A-Za-z])")


def page_instant_us(key: str) -> int | None:
    """The instant in a page's file name, in microseconds since 1970 UTC; None where the name has none.

    Understood: ``...20261005T101500Z...`` (with or without dashes and colons, with a fraction), else epoch seconds or
    milliseconds standing alone. The last match in the key counts.
    """
    iso = list(_ISO_IN_NAME.finditer(key))
    if iso:
        *parts, fraction = iso[-1].groups()
        try:
            at = dt.datetime(*map(int, parts), tzinfo=dt.UTC)
        except ValueError:
            return None
        return int(at.timestamp()) * 1_000_000 + int((fraction or "0").ljust(6, "0"))
    epoch = list(_EPOCH_IN_NAME.finditer(key))
    if epoch:
        seconds, milliseconds = epoch[-1].groups()
        return int(seconds) * 1_000_000 + int(milliseconds or 0) * 1_000
    return None


def parse_labels(text: str, start: int) -> tuple[dict[str, str], int]:
    """The labels of ``{...}`` that opens at ``start``; returns them and the position after the closing brace.

    A quoted text without a value is the metric's name (Prometheus 3). Raises ValueError for anything else.
    """
    labels: dict[str, str] = {}
    position = start + 1
    while True:
        if text[position:].lstrip()[:1] == "}":
            return labels, text.index("}", position) + 1
        match = _LABEL.match(text, position)
        if match is None:
            raise ValueError("malformed labels")
        bare, quoted, value, _ = match.groups()
        if value is None:
            if quoted is None:
                raise ValueError("malformed labels")
            bare, value = NAME, quoted
        name = bare or _unescape(quoted)
        if name in labels:
            raise ValueError("the same label twice")
        labels[name] = _unescape(value)
        position = match.end()


def _unescape(text: str) -> str:
    return (
        _ESCAPE.sub(lambda m: "\n" if m.group(1) == "n" else m.group(1) if m.group(1) in '"\\' else m.group(0), text)
        if "\\" in text
        else text
    )


class LineParser:
    """Parses sample lines; remembers the label sets it has seen."""

    def __init__(self) -> None:
        self.series: list[dict[str, str]] = []
        self._known: dict[str, int] = {}

    def parse(self, line: str) -> tuple[int, float, float | None]:
        """One sample line: (index into ``series``, value, the timestamp as written or None).

        Raises ValueError with the reason for a malformed line.
        """
        end = line.rfind("}") + 1
        if end == 0:
            head, _, tail = line.strip().partition(" ")
            index = self._known.get(head)
            if index is None:
                if "\t" in head or not _NAME.fullmatch(head):
                    raise ValueError("malformed metric name")
                index = self._learn(head, {NAME: head})
        else:
            index = self._known.get(line[:end])
            if index is None:
                index, end = self._head(line, end)
            tail = line[end:]
        fields = tail.split()
        if "#" in fields:  # an exemplar
            fields = fields[: fields.index("#")]
        if not 1 <= len(fields) <= 2:
            raise ValueError("no value" if not fields else "more than a value and a timestamp")
        if not all(_VALUE.fullmatch(f) for f in fields):
            raise ValueError("unreadable value or timestamp")
        return index, float(fields[0]), float(fields[1]) if len(fields) == 2 else None

    def _head(self, line: str, end: int) -> tuple[int, int]:
        brace = line.index("{") if "{" in line else -1
        name = line[:brace].strip() if brace >= 0 else ""
        if brace < 0 or (name and not _NAME.fullmatch(name)):
            raise ValueError("malformed metric name")
        labels, position = parse_labels(line, brace)
        if name:
            labels = {NAME: name, **labels}
        if NAME not in labels:
            raise ValueError("malformed metric name")
        known = self._known.get(line[:position])
        return (self._learn(line[:position], labels) if known is None else known), position

    def _learn(self, head: str, labels: dict[str, str]) -> int:
        self.series.append(labels)
        self._known[head] = len(self.series) - 1
        return self._known[head]


def parse_page(lines: Iterable[str], page_us: int | None, rejects: Rejects) -> Iterator[SampleBatch]:
    """Samples of one page, in line order.

    Args:
        lines: the page, line by line.
        page_us: the instant for lines that carry none (microseconds since 1970 UTC).
        rejects: where lines that are no samples are counted.

    A timestamp on a line is milliseconds, or seconds on an OpenMetrics page (one that closes with ``# EOF``). Raises
    DeliveryRefused when a line has no timestamp and the page has none either.
    """
    parser = LineParser()
    index: list[int] = []
    value: list[float] = []
    at: list[float] = []
    own: list[bool] = []
    line_number: list[int] = []
    openmetrics = False
    for number, raw in enumerate(lines, start=1):
        line = raw.strip()
        if not line or line[0] == "#":
            openmetrics = openmetrics or line == "# EOF"
            continue
        try:
            series, number_value, stamp = parser.parse(line)
        except ValueError as error:
            rejects.add(str(error), row=number)
            continue
        if stamp is None and page_us is None:
            raise DeliveryRefused(
                "the page has no timestamp: neither its lines nor its file name say when it was scraped",
                where=f"{rejects.file}: line {number}",
                remedy="name the file after the instant, such as node1-20261005T101500Z.prom or node1-1791195300.prom",
            )
        index.append(series)
        value.append(number_value)
        at.append(stamp if stamp is not None else float(page_us or 0))
        own.append(stamp is not None)
        line_number.append(number)
    scale = np.where(np.array(own, bool), 1_000_000.0 if openmetrics else 1_000.0, 1.0)
    instants = np.array(at, np.float64) * scale
    good = in_range(instants)
    if not good.all():
        rejects.add(OUT_OF_RANGE, int((~good).sum()), row=line_number[int(np.argmin(good))])
    batch = SampleBatch(
        parser.series, np.array(index, np.int32)[good], np.rint(instants[good]).astype(np.int64), np.array(value, np.float64)[good]
    )
    for start in range(0, len(batch), BATCH_POINTS):
        part = slice(start, start + BATCH_POINTS)
        yield SampleBatch(batch.series, batch.index[part], batch.at_us[part], batch.value[part])
