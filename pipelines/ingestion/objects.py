"""Objects at a location: a local folder or an S3 prefix, listed and read the same way.

Belongs here: the interface, path safety, folders. Does not: S3 (s3.py), what the objects mean (sources/<kind>.py).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipelines.errors import ApportionError, DeliveryRefused, UsageError

CHUNK = 1 << 20
MAX_KEY_BYTES = 1024
MAX_NAME_BYTES = 255
_TRICKS = re.compile(r"\\|%2f|%2e|%5c|%00|[\x00-\x1f\x7f]", re.IGNORECASE)


@dataclass(frozen=True)
class ObjectInfo:
    """One object. ``key`` is relative to the location; ``modified_at`` is ISO 8601 UTC; ``etag`` is None for folders."""

    key: str
    size: int
    modified_at: str
    etag: str | None = None


class ObjectStore(Protocol):
    """What a file-based source may do with its location: read, never write."""

    location: str

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Objects whose key starts with ``prefix``, in key order. Hidden files (a name beginning with a dot) are not objects."""
        ...

    def stat(self, key: str) -> ObjectInfo | None:
        """One object's facts, or None where there is none."""
        ...

    def read(self, key: str, limit: int = 32 << 20) -> bytes:
        """A small object's bytes; DeliveryRefused above ``limit`` and where there is none."""
        ...

    def download(self, info: ObjectInfo, target: Path) -> str:
        """Copy exactly the object that ``info`` describes to ``target``; return its SHA-256.

        DeliveryRefused when it changed since, disappeared, or does not arrive whole (size, ETag, checksum).
        """
        ...

    def fingerprint(self, info: ObjectInfo) -> str:
        """A name for the object's content that costs no download: the ETag on S3, the SHA-256 in a folder."""
        ...


def open_store(location: str, endpoint_url: str | None = None) -> ObjectStore:
    """The store for ``s3://bucket/prefix`` or a folder path (relative paths are relative to the working directory)."""
    if location.startswith("s3://"):
        from pipelines.ingestion.s3 import S3Store

        return S3Store(location, endpoint_url)
    if "://" in location:
        raise UsageError(f"location scheme not supported: {location}", remedy="use s3://bucket/prefix or the path of a local folder")
    return FolderStore(location)


def check_key(key: str, where: str) -> str:
    """A relative key without tricks, as it stands.

    DeliveryRefused for: an empty or absolute key, ``.`` or ``..`` as a part, a backslash, a control character, a
    percent-encoded slash, dot or backslash, more than 1,024 bytes, text that is not Unicode.
    """
    bad = (
        not key
        or key.startswith("/")
        or bool(_TRICKS.search(key))
        or any(part in ("..", ".") for part in key.split("/"))
        or len(key.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES
        or any("\ud800" <= c <= "\udfff" for c in key)
    )
    if bad:
        raise DeliveryRefused(
            f"unsafe object key {key[:120]!r}",
            where=where,
            remedy="keys must be relative, without '..', backslashes, control characters or percent-encoding; ask who wrote them",
        )
    return key


class FolderStore:
    """A folder laid out like the bucket (or one single file)."""

    def __init__(self, location: str) -> None:
        self.location = location
        self.root = Path(location).expanduser()
        if not self.root.exists():
            raise ApportionError(
                "source location does not exist", where=str(self.root), remedy="create the folder or correct `location` in the settings"
            )

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        if self.root.is_file():
            if self.root.name.startswith(prefix):
                yield self._info(self.root, self.root.name)
            return
        head = prefix.rpartition("/")[0]
        base = self._path(head) if head else self.root
        keys = []
        for folder, names, files in os.walk(base, onerror=_unreadable):
            names[:] = [n for n in names if not n.startswith(".")]
            for name in names:
                if Path(folder, name).is_symlink():
                    raise DeliveryRefused(
                        "a link to a folder lies in the location", where=str(Path(folder, name)), remedy="put the real folder there"
                    )
            relative = Path(folder).relative_to(base).as_posix()
            stem = "/".join(p for p in (head, "" if relative == "." else relative) if p)
            keys += [f"{stem}/{f}" if stem else f for f in files if not f.startswith(".")]
        for key in sorted(keys):
            if key.startswith(prefix):
                yield self._info(self._path(key), key)

    def stat(self, key: str) -> ObjectInfo | None:
        path = self._path(key)
        return self._info(path, key) if path.is_file() else None

    def read(self, key: str, limit: int = 32 << 20) -> bytes:
        path = self._path(key)
        if not path.is_file():
            raise DeliveryRefused("object does not exist", where=str(path), remedy="have it delivered again")
        with path.open("rb") as handle:
            content = handle.read(limit + 1)
        if len(content) > limit:
            raise DeliveryRefused(
                f"object larger than {limit:,} bytes", where=str(path), remedy="this object must be small; check what it is"
            )
        return content

    def download(self, info: ObjectInfo, target: Path) -> str:
        path = self._path(info.key)
        digest = hashlib.sha256()
        size = 0
        try:
            with path.open("rb") as source, target.open("wb") as sink:
                while chunk := source.read(CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    sink.write(chunk)
            now = self._info(path, info.key)
        except FileNotFoundError as error:
            raise DeliveryRefused("file disappeared while it was read", where=str(path), remedy="run again") from error
        if size != info.size or now != info:
            raise DeliveryRefused(
                f"file changed while it was read: {info.size} bytes listed, {size} read",
                where=str(path),
                remedy="run again once it is complete",
            )
        return digest.hexdigest()

    def fingerprint(self, info: ObjectInfo) -> str:
        with self._path(info.key).open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()

    def _path(self, key: str) -> Path:
        if self.root.is_file():
            return self.root
        check_key(key, self.location)
        if any(len(part.encode()) > MAX_NAME_BYTES for part in key.split("/")):
            raise DeliveryRefused(f"object key too long for a folder: {key[:120]!r}", where=self.location, remedy="shorten it")
        path = (self.root / key).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise DeliveryRefused(
                "object lies outside its location", where=str(self.root / key), remedy="remove the link that leads out of the folder"
            )
        return path

    @staticmethod
    def _info(path: Path, key: str) -> ObjectInfo:
        try:
            stat = path.stat()
        except OSError as error:
            raise DeliveryRefused(f"file cannot be read: {error.strerror}", where=str(path), remedy="remove it or mend it") from error
        if not path.is_file():
            raise DeliveryRefused("not a regular file", where=str(path), remedy="remove it from the location")
        modified = dt.datetime.fromtimestamp(stat.st_mtime, dt.UTC)
        return ObjectInfo(key, stat.st_size, modified.isoformat())


def _unreadable(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):  # a prefix without objects is not an error
        raise DeliveryRefused(f"folder cannot be read: {error.strerror}", where=str(error.filename), remedy="allow reading it")
