"""The archive: every release's Parquet files, kept by content for ever. It is the bitemporal ledger.

Layout under ``<APPORTION_HOME>/published/history``::

    objects/<sha256>.parquet                   the bytes of a published file: a hard link, unchanged files cost nothing
    objects/<sha256>.json                      the table and column descriptions of a release
    releases/<sequence>-<release_id>.json      when it was published, from what, and which files changed since the one before

Belongs here: archiving, listing. Does not: reading what is in the files, finding one
release (finding.py), forgetting some (pruning.py).

Only the single writer archives, after the swap. A release that was swapped in but not archived (a killed publication) is archived by
the next publication, before any release is removed. A marker is written last and atomically: what it names is there.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import ApportionError
from pipelines.landing import fsync_directory, write_atomically
from pipelines.release import PARQUET, Release, ReleaseFile, link, on_disk
from pipelines.settings import Settings

META = "meta_publication"


@dataclass(frozen=True)
class Archived:
    """One archived release.

    files: every file of it, ``meta_publication`` included, by (table, name). changed: those of them that the archived release before
    did not have. identity: the digests of code and policy. comments: sha256 of its descriptions, "" where none were kept.
    """

    release_id: str
    sequence: int
    published_at: dt.datetime
    identity: dict[str, str]
    days: tuple[dt.date, ...]
    columns: dict[str, tuple[tuple[str, str], ...]]
    files: dict[tuple[str, str], ReleaseFile]
    changed: frozenset[tuple[str, str]]
    comments: str

    @property
    def name(self) -> str:
        """What its marker is called."""
        return f"{self.sequence:06d}-{self.release_id}"

    def file(self, table: str, day: dt.date) -> ReleaseFile | None:
        """The file of ``table`` for ``day``; ``None`` where it has none."""
        return self.files.get((table, f"{day.isoformat()}.parquet"))


def root(settings: Settings) -> Path:
    """Where the archive lies."""
    return settings.published / "history"


def object_path(settings: Settings, sha256: str, suffix: str = "parquet") -> Path:
    """Where the bytes with this digest lie."""
    return root(settings) / "objects" / f"{sha256}.{suffix}"


def archived(settings: Settings) -> list[Archived]:
    """Every archived release, oldest first. Raises ApportionError where a marker cannot be read."""
    found: list[Archived] = []
    files: dict[tuple[str, str], ReleaseFile] = {}
    for path in sorted((root(settings) / "releases").glob("*.json")):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            if told["base"] is None:
                files = {}
            elif not found or found[-1].name != told["base"]:
                raise ValueError(f"the marker before it, {told['base']}, is missing")
            changed = {(entry["table"], entry["name"]): ReleaseFile(**entry) for entry in told["changed"]}
            gone = {(table, name) for table, name in told["gone"]}
            files = {key: file for key, file in (files | changed).items() if key not in gone}
            found.append(
                Archived(
                    release_id=told["release_id"],
                    sequence=told["sequence"],
                    published_at=dt.datetime.fromisoformat(told["published_at"]),
                    identity=told["identity"],
                    days=tuple(dt.date.fromisoformat(day) for day in told["days"]),
                    columns={table: tuple((n, kind) for n, kind in columns) for table, columns in told["columns"].items()},
                    files=files,
                    changed=frozenset(changed),
                    comments=told["comments"],
                )
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ApportionError(
                f"the archive cannot be read: {error}",
                where=str(path),
                remedy="bring the file back from a backup; the current release is not concerned",
            ) from error
    return found


def archive(settings: Settings) -> list[Archived]:
    """Archive every release on disk that is not yet, oldest first; only for the single writer. Returns the whole archive.

    Where nothing is missing, nothing is written.
    """
    known = archived(settings)
    last = known[-1].sequence if known else 0
    for release in sorted(on_disk(settings.published), key=lambda r: r.sequence):
        if release.sequence > last:
            known.append(_add(settings, release, known[-1] if known else None))
    return known


def _add(settings: Settings, release: Release, before: Archived | None) -> Archived:
    objects = root(settings) / "objects"
    objects.mkdir(parents=True, exist_ok=True)
    files = {(file.table, file.name): file for file in release.files}
    meta = release.folder / PARQUET / META / f"{META}.parquet"
    files[(META, meta.name)] = ReleaseFile.of(meta, META, 0)
    known = before.files if before else {}
    changed = frozenset(key for key, file in files.items() if key not in known or known[key].sha256 != file.sha256)
    for key in sorted(changed):
        target = object_path(settings, files[key].sha256)
        if not target.exists():
            path = release.folder / PARQUET / key[0] / key[1]
            if not files[key].is_intact(path):
                raise ApportionError("a published file changed before it was archived", where=str(path), remedy="publish again")
            link(path, target)
    text = json.dumps(list(release.comments))
    comments = hashlib.sha256(text.encode()).hexdigest() if release.comments else ""
    if comments and not object_path(settings, comments, "json").exists():
        write_atomically(object_path(settings, comments, "json"), text)
    fsync_directory(objects)
    made = Archived(
        release_id=release.release_id,
        sequence=release.sequence,
        published_at=dt.datetime.fromisoformat(release.published_at),
        identity=release.identity,
        days=release.days,
        columns=release.columns,
        files=files,
        changed=changed,
        comments=comments,
    )
    write_marker(settings, made, before)
    return made


def write_marker(settings: Settings, release: Archived, before: Archived | None) -> None:
    """Write the marker of ``release``: what changed since ``before``, or all of it."""
    marker: dict[str, Any] = {
        "release_id": release.release_id,
        "sequence": release.sequence,
        "published_at": release.published_at.isoformat(timespec="seconds"),
        "identity": release.identity,
        "days": [day.isoformat() for day in release.days],
        "columns": release.columns,
        "comments": release.comments,
        "base": before.name if before else None,
        "changed": [vars(release.files[key]) for key in sorted(release.changed if before else release.files)],
        "gone": sorted(key for key in (before.files if before else {}) if key not in release.files),
    }
    write_atomically(root(settings) / "releases" / f"{release.name}.json", json.dumps(marker, sort_keys=True))
