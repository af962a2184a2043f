"""Gzip, verified: every member's CRC32 and length are checked, and a bomb stops early.

Belongs here: reading gzip safely. Does not: what the expanded bytes mean. (The SQL engine accepts truncated and corrupted
gzip files without a word, so it never sees one.)
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from pipelines.errors import DeliveryRefused

MAGIC = b"\x1f\x8b"
MAX_RATIO = 200  # bills compress 10 to 40 times; the format's limit is 1,032
RATIO_FREE_BYTES = 64 << 20  # below this an extreme ratio is harmless
MAX_EXPANDED_BYTES = 50 << 30
_IN = 1 << 18
_OUT = 4 << 20


def is_gzip(path: Path) -> bool:
    """Whether the file begins like gzip."""
    with path.open("rb") as handle:
        return handle.read(2) == MAGIC


def expand(path: Path, where: str | None = None, *, max_expanded_bytes: int = MAX_EXPANDED_BYTES) -> Iterator[bytes]:
    """Yield the expanded bytes in pieces of at most 4 MB; several members one after another are one file.

    Raises DeliveryRefused for a file that is empty, not gzip, truncated, corrupted (CRC32 or length), followed by garbage,
    larger than ``max_expanded_bytes``, or expanding more than 200 times beyond 64 MB. What was yielded before the error is
    unverified: callers use nothing of it until the iterator has ended.
    """
    where = where or str(path)
    expanded = consumed = 0
    with path.open("rb") as handle:
        pending = handle.read(_IN)
        if not pending.startswith(MAGIC):
            raise _refused("not a gzip file" if pending else "empty file where a gzip file is expected", where)
        while pending:
            if not pending.startswith(MAGIC) and not (len(pending) == 1 and pending == MAGIC[:1]):
                if not pending.strip(b"\x00") and not _anything_left(handle):
                    return  # zero padding after the last member is allowed by the format
                raise _refused("data after the end of the gzip file", where)
            member = zlib.decompressobj(wbits=31)
            while not member.eof:
                if not pending and not (pending := handle.read(_IN)):
                    raise _refused("truncated gzip file: it ends inside a compressed member", where)
                before = len(pending)
                try:
                    piece = member.decompress(pending, _OUT)
                except zlib.error as error:
                    raise _refused(f"corrupted gzip file ({error})", where) from error
                pending = member.unused_data if member.eof else member.unconsumed_tail
                consumed += before - len(pending)
                expanded += len(piece)
                if expanded > max_expanded_bytes:
                    raise _too_large(f"expands to more than {max_expanded_bytes:,} bytes", where)
                if expanded > RATIO_FREE_BYTES and expanded > MAX_RATIO * consumed:
                    raise _too_large(f"expands more than {MAX_RATIO} times ({consumed:,} bytes gave {expanded:,})", where)
                if piece:
                    yield piece
            if not pending:
                pending = handle.read(_IN)


def verify_gzip(path: Path, where: str | None = None, *, max_expanded_bytes: int = MAX_EXPANDED_BYTES) -> int:
    """Check a whole gzip file and return its expanded size in bytes; DeliveryRefused as in ``expand``."""
    return sum(len(piece) for piece in expand(path, where, max_expanded_bytes=max_expanded_bytes))


def _anything_left(handle) -> bool:  # noqa: ANN001 - a binary file
    while piece := handle.read(_IN):
        if piece.strip(b"\x00"):
            return True
    return False


def _refused(what: str, where: str) -> DeliveryRefused:
    return DeliveryRefused(what, where=where, remedy="have the file delivered again; nothing of it was used")


def _too_large(what: str, where: str) -> DeliveryRefused:
    return DeliveryRefused(
        f"gzip file {what}", where=where, remedy="check what it is; if it is right, have it written as Parquet or in smaller files"
    )
