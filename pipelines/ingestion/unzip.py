"""ZIP, verified: one plain file inside, its CRC32 and length checked, and a bomb stops early.

Belongs here: reading a ZIP archive of one file safely. Does not: what the expanded bytes mean.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.gunzip import MAX_EXPANDED_BYTES, MAX_RATIO, RATIO_FREE_BYTES
from pipelines.ingestion.objects import check_key

MAGIC = b"PK"
_PIECE = 4 << 20
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, UnicodeDecodeError, ValueError, OSError)


def expand_zip(path: Path, where: str | None = None, *, max_expanded_bytes: int = MAX_EXPANDED_BYTES) -> Iterator[bytes]:
    """Yield the expanded bytes of the archive's one file in pieces of at most 4 MB.

    Raises DeliveryRefused for what is no ZIP, truncated or corrupted (CRC32 or length), encrypted, packed by another method than deflate,
    holds no file or several, names its file unsafely, has bytes before it, is larger than ``max_expanded_bytes``, or expands more than
    200 times beyond 64 MB. What was yielded before the error is unverified: callers use nothing of it until the iterator has ended.
    """
    where = where or str(path)
    try:
        with zipfile.ZipFile(path) as archive:
            member = _only_member(archive, where)
            if member.file_size > max_expanded_bytes:
                raise _too_large(f"expands to more than {max_expanded_bytes:,} bytes", where)
            size, expanded = path.stat().st_size, 0
            with archive.open(member) as handle:
                while piece := handle.read(_PIECE):
                    expanded += len(piece)
                    if expanded > RATIO_FREE_BYTES and expanded > MAX_RATIO * size:
                        raise _too_large(f"expands more than {MAX_RATIO} times ({size:,} bytes gave {expanded:,} and more)", where)
                    yield piece
            if expanded != member.file_size:
                raise _refused(f"truncated ZIP file: {member.file_size:,} bytes promised, {expanded:,} found", where)
    except _DAMAGES as error:
        raise _refused(f"truncated or corrupted ZIP file, or none at all ({str(error) or type(error).__name__})", where) from error


def _only_member(archive: zipfile.ZipFile, where: str) -> zipfile.ZipInfo:
    members = archive.infolist()
    if len(members) != 1:
        raise _refused(f"ZIP file with {len(members)} members where one file is expected", where)
    member = members[0]
    check_key(member.orig_filename, where)
    if member.is_dir():
        raise _refused("ZIP file that holds a folder where a file is expected", where)
    if member.flag_bits & _ENCRYPTED:
        raise _refused("encrypted ZIP file", where)
    if member.compress_type not in _METHODS:
        raise _refused(f"ZIP file packed by method {member.compress_type}; deflate is read", where)
    if member.header_offset != 0:
        raise _refused("ZIP file with other bytes before its member", where)
    return member


def _refused(what: str, where: str) -> DeliveryRefused:
    return DeliveryRefused(what, where=where, remedy="have the file delivered again; nothing of it was used")


def _too_large(what: str, where: str) -> DeliveryRefused:
    return DeliveryRefused(
        f"ZIP file {what}", where=where, remedy="check what it is; if it is right, have it written as Parquet or in smaller files"
    )
