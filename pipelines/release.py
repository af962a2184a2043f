"""Releases on disk: their folders, their marker, the one swap that makes a release current, and how many are kept.

Layout under ``<APPORTION_HOME>/published``::

    releases/<release_id>/apportion.duckdb                   every published table
    releases/<release_id>/parquet/<table>/<file>.parquet     the same rows: a file per day, or one
    releases/<release_id>/release.json                       what it holds, from what, and when it was published
    releases/<release_id>/teams/<folder>/                    the same three for one team's rows (team_releases.py), where asked for
    current -> releases/<release_id>                         replaced by one atomic rename
    apportion.duckdb -> current/apportion.duckdb             what BI opens
    parquet -> current/parquet
    teams -> current/teams                                   where the release has any
    history/, history.duckdb                                 every past release (pipelines/history)

Belongs here: files and folders. Does not: what is in them (publish.py), whether it is right (release_audit.py).
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import ApportionError
from pipelines.landing import fsync_directory, sha256_file
from pipelines.settings import Settings

MARKER, DATABASE, PARQUET, CURRENT, RELEASES, SCRATCH = "release.json", "apportion.duckdb", "parquet", "current", "releases", ".building-"
TEAMS = "teams"


@dataclass(frozen=True)
class ReleaseFile:
    """One Parquet file of a release. ``modified_ns`` tells without reading that the bytes are still those of ``sha256``."""

    table: str
    name: str
    rows: int
    bytes: int
    sha256: str
    modified_ns: int

    @property
    def day(self) -> dt.date | None:
        """The day whose rows it holds; ``None`` where it holds a whole table."""
        stem = self.name.removesuffix(".parquet")
        return None if stem == self.table else dt.date.fromisoformat(stem)

    @classmethod
    def of(cls, path: Path, table: str, rows: int) -> ReleaseFile:
        """Measure a written file."""
        stat = path.stat()
        return cls(table, path.name, rows, stat.st_size, sha256_file(path), stat.st_mtime_ns)

    def is_intact(self, path: Path) -> bool:
        """Whether ``path`` holds the recorded bytes; they are read again only where the file's time is another."""
        if not path.is_file() or path.stat().st_size != self.bytes:
            return False
        return path.stat().st_mtime_ns == self.modified_ns or sha256_file(path) == self.sha256


@dataclass(frozen=True)
class Release:
    """One release.

    identity: the digests that its figures depend on besides its inputs (``code``, ``policy``).
    columns: per table the columns as (name, type). database: size and rows of its file, and of its last build from nothing.
    is_new: whether this publication made it (False where the content was already current).
    comments: the statements that put the descriptions on the tables of its DuckDB file. teams: the folders of its team releases.
    """

    release_id: str
    sequence: int
    published_at: str
    folder: Path
    identity: dict[str, str]
    days: tuple[dt.date, ...]
    columns: dict[str, tuple[tuple[str, str], ...]]
    files: tuple[ReleaseFile, ...]
    database: dict[str, int]
    is_new: bool = True
    comments: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()

    def path(self, file: ReleaseFile) -> Path:
        """Where a file of this release lies."""
        return self.folder / PARQUET / file.table / file.name

    def is_intact(self) -> bool:
        """Whether everything it names is there in its recorded size."""
        database = self.folder / DATABASE
        if not database.is_file() or database.stat().st_size != self.database["bytes"]:
            return False
        return all(file.is_intact(self.path(file)) for file in self.files)

    def write_marker(self, folder: Path) -> None:
        """Write ``release.json`` into ``folder``."""
        marker = {
            "release_id": self.release_id,
            "sequence": self.sequence,
            "published_at": self.published_at,
            "identity": self.identity,
            "days": [day.isoformat() for day in self.days],
            "columns": self.columns,
            "files": [vars(file) for file in self.files],
            "database": self.database,
            "comments": self.comments,
            "teams": self.teams,
        }
        with (folder / MARKER).open("w", encoding="utf-8") as handle:
            handle.write(json.dumps(marker, indent=1, sort_keys=True))
            handle.flush()
            os.fsync(handle.fileno())


def current_release(settings: Settings) -> dict[str, Any] | None:
    """The marker of the release that BI reads, or ``None`` before the first. Raises ApportionError where it cannot be read."""
    link = settings.published / CURRENT
    if not link.is_symlink():
        return None
    try:
        marker: dict[str, Any] = json.loads((link / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ApportionError(f"the current release cannot be read: {error}", where=str(link), remedy="publish again") from error
    return marker


def standing_release(settings: Settings) -> str | None:
    """The id of the release that BI reads; ``None`` before the first, and where it cannot be read."""
    try:
        release = current_release(settings)
    except ApportionError:
        return None
    return release["release_id"] if release else None


def current(settings: Settings) -> Release | None:
    """The current release as the next one builds on it; ``None`` where there is none or its marker cannot be read."""
    link = settings.published / CURRENT
    return load(link.resolve()) if link.is_symlink() else None


def next_sequence(root: Path) -> int:
    """One more than any release on disk or in the archive has."""
    markers = (root / "history" / RELEASES).glob("*.json")
    return 1 + max([*(release.sequence for release in on_disk(root)), *(int(path.name.split("-")[0]) for path in markers)], default=0)


def clear_leftovers(root: Path) -> None:
    """Remove what a killed publication left. Only for the single writer."""
    for path in root.glob(f"{SCRATCH}*"):
        remove(path)


def install(root: Path, building: Path, release_id: str) -> Path:
    """Move a finished, audited folder to its place; a folder of that name (the same content, not current or damaged) gives way."""
    target = root / RELEASES / release_id
    target.parent.mkdir(exist_ok=True)
    _make_read_only(building)
    if target.exists():
        target.chmod(0o755)
        os.rename(target, root / f"{SCRATCH}old-{os.getpid()}")
    os.rename(building, target)
    target.chmod(0o555)
    fsync_directory(target.parent)
    return target


def swap(root: Path, release_id: str) -> None:
    """Let BI read ``release_id``: one rename changes the database and the Parquet files together."""
    for name in (DATABASE, PARQUET):
        _point(root, name, f"{CURRENT}/{name}")
    has_teams = (root / RELEASES / release_id / TEAMS).is_dir()
    if has_teams:
        _point(root, TEAMS, f"{CURRENT}/{TEAMS}")
    _point(root, CURRENT, f"{RELEASES}/{release_id}")
    if not has_teams:
        (root / TEAMS).unlink(missing_ok=True)
    fsync_directory(root)


def retain(root: Path, keep: int) -> None:
    """Remove all but the ``keep`` releases that were published last; never the current one."""
    serving = (root / CURRENT).resolve()
    newest = sorted(on_disk(root), key=lambda release: release.sequence, reverse=True)
    kept = {release.folder for release in newest[:keep]} | {serving}
    for folder in (root / RELEASES).iterdir():
        if folder.resolve() not in kept:
            remove(folder)


def remove(path: Path) -> None:
    """Remove a folder although its files and folders are read-only."""
    if path.is_symlink() or path.is_file():
        path.unlink()
        return
    for folder, _, _ in os.walk(path):
        os.chmod(folder, 0o755)
    shutil.rmtree(path)


def link(source: Path, target: Path) -> None:
    """Give ``source`` a second name; where the file system has no hard links, a copy with the same time."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _point(root: Path, name: str, target: str) -> None:
    link = root / name
    if link.is_symlink() and os.readlink(link) == target:
        return
    fresh = root / f"{SCRATCH}link-{os.getpid()}"
    os.symlink(target, fresh)
    os.replace(fresh, link)


def _make_read_only(folder: Path) -> None:
    """Files 0444, folders 0555, names on disk; the top folder stays writable until it has been moved."""
    for name, _, files in os.walk(folder, topdown=False):
        for file in files:
            os.chmod(Path(name, file), 0o444)
        fsync_directory(Path(name))
        if Path(name) != folder:
            os.chmod(name, 0o555)


def on_disk(root: Path) -> list[Release]:
    """Every release whose folder is there, in no particular order."""
    found = [load(folder) for folder in sorted((root / RELEASES).glob("*"))]
    return [release for release in found if release is not None]


def load(folder: Path) -> Release | None:
    """The release in ``folder`` as its marker tells it; ``None`` where the marker is not there or cannot be read."""
    try:
        told = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        return Release(
            release_id=told["release_id"],
            sequence=told["sequence"],
            published_at=told["published_at"],
            folder=folder.resolve(),
            identity=told["identity"],
            days=tuple(dt.date.fromisoformat(day) for day in told["days"]),
            columns={table: tuple((name, kind) for name, kind in columns) for table, columns in told["columns"].items()},
            files=tuple(ReleaseFile(**file) for file in told["files"]),
            database=told["database"],
            is_new=False,
            comments=tuple(told.get("comments", ())),
            teams=tuple(told.get("teams", ())),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
