"""CSV structure, counted independently of the SQL engine: records, fields, quoting and UTF-8 (RFC 4180).

Belongs here: where records begin and end, and a canonical copy (plain header, LF, no byte-order mark) that every reader
reads alike. Does not: names, types and values of columns (tabular.py).

Works on blocks with numpy, no loop over rows: some 200 MB/s on one core.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from pipelines.errors import DeliveryRefused
from pipelines.repeated import repeated

MAX_COLUMNS = 2_000
MAX_LINE_BYTES = 32 << 20
_BOM = b"\xef\xbb\xbf"
_QUOTE, _CR, _LF = 0x22, 0x0D, 0x0A
_AGAIN = "have the file delivered again, complete and as RFC 4180 CSV in UTF-8; nothing of it was used"


@dataclass(frozen=True)
class CsvShape:
    """What a CSV file holds: its header, its data rows (blank lines not counted) and its longest record in bytes."""

    header: tuple[str, ...]
    rows: int
    longest_bytes: int


def copy_canonical(pieces: Iterable[bytes], sink: BinaryIO, *, where: str, delimiter: str = ",") -> CsvShape:
    """Check a CSV file given in pieces and write it to ``sink`` in canonical form.

    The canonical form has the header ``c0,c1,...``, records ended by LF, no byte-order mark and no blank lines; the bytes of
    every field stay as they are. Rows are numbered from 1 after the header in messages.

    Raises DeliveryRefused for: no header, more than 2,000 columns, a record over 32 MB, a record with another number of
    fields than the header, quotes that do not follow RFC 4180, a bare carriage return, invalid UTF-8.
    """
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
        raise ValueError(f"not a delimiter: {delimiter!r}")
    header: tuple[str, ...] = ()
    rows = longest = offset = 0
    for block in _blocks(pieces, where):
        start = len(_BOM) if offset == 0 and block.startswith(_BOM) else 0
        _check_utf8(block, offset, rows + bool(header), where)
        if not header:
            end = _first_record_end(block, start)
            header = _parse_header(block[start:end].decode().rstrip("\r\n"), delimiter, where)
            sink.write(delimiter.join(f"c{i}" for i in range(len(header))).encode() + b"\n")
            longest = end
            start = end
        body, count, length = _check_block(block[start:], len(header), rows, where, delimiter)
        sink.write(body)
        rows += count
        longest = max(longest, length)
        offset += len(block)
    if not header:
        raise DeliveryRefused("CSV file without a header", where=where, remedy=_AGAIN)
    return CsvShape(header, rows, longest)


def _blocks(pieces: Iterable[bytes], where: str) -> Iterator[bytes]:
    """Regroup pieces into blocks of whole records, each ended by LF."""
    rest = b""
    for piece in pieces:
        rest += piece
        inside = _inside_quotes(np.frombuffer(rest, np.uint8))
        ends = np.flatnonzero((np.frombuffer(rest, np.uint8) == _LF) & ~inside)
        if len(ends):
            cut = int(ends[-1]) + 1
            yield rest[:cut]
            rest = rest[cut:]
        if len(rest) > MAX_LINE_BYTES:
            raise DeliveryRefused(
                f"a CSV record is longer than {MAX_LINE_BYTES:,} bytes, or a quote is never closed", where=where, remedy=_AGAIN
            )
    if rest:
        if bool(_inside_quotes(np.frombuffer(rest, np.uint8))[-1]):
            raise DeliveryRefused("CSV file ends inside a quoted field: truncated, or a quote out of place", where=where, remedy=_AGAIN)
        yield rest + b"\n"


def _inside_quotes(data: np.ndarray) -> np.ndarray:
    """For each byte whether it lies inside a quoted field (data starts at a record's start)."""
    return np.bitwise_xor.accumulate((data == _QUOTE).view(np.uint8)).view(bool)


def _first_record_end(block: bytes, start: int) -> int:
    data = np.frombuffer(block, np.uint8)[start:]
    return start + int(np.flatnonzero((data == _LF) & ~_inside_quotes(data))[0]) + 1


def _parse_header(text: str, delimiter: str, where: str) -> tuple[str, ...]:
    try:
        names = tuple(next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), ()))
    except csv.Error as error:
        raise DeliveryRefused(f"unreadable CSV header: {error}", where=where, remedy=_AGAIN) from error
    if not names:
        raise DeliveryRefused("CSV file without a header", where=where, remedy=_AGAIN)
    if len(names) > MAX_COLUMNS:
        raise DeliveryRefused(f"CSV file with {len(names):,} columns; at most {MAX_COLUMNS:,} are read", where=where, remedy=_AGAIN)
    twice = repeated(names)
    if twice:
        raise DeliveryRefused(
            f"column named twice in the header: {', '.join(map(repr, twice[:5]))}", where=where, remedy="remove or rename one of them"
        )
    return names


def _check_utf8(block: bytes, offset: int, first_row: int, where: str) -> None:
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        data = np.frombuffer(block, np.uint8)[: error.start]
        records = int(np.count_nonzero((data == _LF) & ~_inside_quotes(data)))
        row = first_row + records
        raise DeliveryRefused(
            f"invalid UTF-8 at byte {offset + error.start}",
            where=f"{where}, {f'row {row}' if row else 'header'}",
            remedy="write the file as UTF-8",
        ) from error


def _check_block(block: bytes, width: int, rows_before: int, where: str, delimiter: str) -> tuple[bytes, int, int]:
    """Check whole records; return their canonical bytes, their number and the longest one's length."""
    if not block:
        return b"", 0, 0
    data = np.frombuffer(block, np.uint8)
    inside = _inside_quotes(data)
    ends = np.flatnonzero((data == _LF) & ~inside)
    returns = np.flatnonzero((data == _CR) & ~inside)
    starts = np.concatenate(([0], ends[:-1] + 1))
    stops = ends - np.isin(ends - 1, returns)
    blank = stops == starts
    row_of = np.cumsum(~blank) + rows_before  # the row number of each record

    def refuse(what: str, position: int) -> DeliveryRefused:
        row = int(row_of[min(int(np.searchsorted(ends, position)), len(ends) - 1)])
        return DeliveryRefused(what, where=f"{where}, row {row}", remedy=_AGAIN)

    lone = returns[data[returns + 1] != _LF]
    if len(lone):
        raise refuse("bare carriage return outside quotes", int(lone[0]))
    quotes = np.flatnonzero(data == _QUOTE)
    separators = (ord(delimiter), _LF, _CR, _QUOTE)
    opening, closing = quotes[0::2], quotes[1::2]
    inner = opening[opening > 0]
    stray = np.concatenate((inner[~np.isin(data[inner - 1], separators)], closing[~np.isin(data[closing + 1], separators)]))
    if len(stray):
        raise refuse("quote inside an unquoted field, or text after a closing quote", int(stray.min()))
    delimiters = np.flatnonzero((data == ord(delimiter)) & ~inside)
    fields = np.searchsorted(delimiters, ends) - np.searchsorted(delimiters, starts) + 1
    wrong = np.flatnonzero((fields != width) & ~blank)
    if len(wrong):
        first = int(wrong[0])
        raise refuse(f"a row has {int(fields[first])} fields, the header {width}: truncated or shifted", int(ends[first]))
    if width == 1 and bool(blank.any()):
        raise refuse("blank line in a file of one column: a missing value or nothing?", int(starts[np.flatnonzero(blank)[0]]))
    longest = int((ends - starts).max()) + 1
    if longest > MAX_LINE_BYTES:
        raise refuse(f"a CSV record is longer than {MAX_LINE_BYTES:,} bytes", int(ends[int((ends - starts).argmax())]))
    count = int(np.count_nonzero(~blank))
    if not len(returns) and not bool(blank.any()):
        return block, count, longest
    keep = np.ones(len(data), bool)
    keep[returns] = False
    keep[ends[blank]] = False
    return data[keep].tobytes(), count, longest
