"""Publication: the audited tables of the warehouse become a release that BI reads.

Belongs here: which files a new release writes, which it takes over from the last one, its id, and the order of the steps.
Does not: files and folders (release.py), the DuckDB file (release_database.py), the audit (release_audit.py), the figures, what
becomes of past releases (history/).

Published bytes depend on the chosen deliveries, the policy and the code only: the Parquet files are written in a total order, and
``release_id`` is the digest of their bytes and of ``meta_publication``. Publishing the same content again changes nothing.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from pipelines import release as releases
from pipelines.errors import ApportionError, GateError
from pipelines.history.archive import archive
from pipelines.history.gate import closed_days_stand
from pipelines.published_tables import DAY_COLUMN, SCHEMA, PublishedTable, published_days, published_tables
from pipelines.release import PARQUET, SCRATCH, Release, ReleaseFile, current_release
from pipelines.release_audit import audit
from pipelines.release_database import build_database, meta_rows, table_comments
from pipelines.release_parquet import write_parquet
from pipelines.settings import Settings
from pipelines.team_releases import build_team_releases, wanted_teams
from pipelines.warehouse import connect, quote_name, quote_text

__all__ = ["Release", "current_release", "publish", "write_parquet"]


def publish(settings: Settings, dirty_days: set[dt.date], *, identity: Mapping[str, str]) -> Release:
    """Publish the warehouse's schema ``published``. Only for the single writer, with no connection open to the warehouse.

    Args:
        dirty_days: the days whose rows may differ from the last release's; the others are taken over from it as they are.
        identity: the digests ``code`` and ``policy``.

    Returns the release that is current now; ``is_new`` is False where it already was.
    Raises GateError where the audit fails (nothing is published, the last release stands), ApportionError where it cannot start.
    """
    root = settings.published
    root.mkdir(parents=True, exist_ok=True)
    releases.clear_leftovers(root)
    previous = releases.current(settings)
    building = root / f"{SCRATCH}{os.getpid()}"
    building.mkdir()
    try:
        with connect(settings, read_only=True) as connection:
            tables = published_tables(connection)
            days = _days(connection, dirty_days)
            files = _write_files(connection, building, tables, days, dirty_days, previous)
            meta = meta_rows(connection, days, identity)
            comments = table_comments(connection)
            teams = wanted_teams(settings, connection)
        release_id = content_digest(files, meta)
        if previous is not None and previous.release_id == release_id and previous.is_intact() and previous.teams == tuple(teams):
            releases.remove(building)
            archive(settings)
            return previous
        database = build_database(settings, building, tables, files, previous, comments, [(release_id, *row) for row in meta])
        audit(settings, building, tables, files, _fresh_days(files, previous) | dirty_days, release_id)
        fresh = Release(
            release_id=release_id,
            sequence=releases.next_sequence(root),
            published_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            folder=root / releases.RELEASES / release_id,
            identity=dict(identity),
            days=tuple(days),
            columns={table.name: table.columns for table in tables},
            files=tuple(files),
            database=database,
            comments=tuple(comments),
            teams=tuple(teams),
        )
        if content_digest(_measured_again(fresh, building), meta) != release_id:
            raise GateError("the release failed its audit: its files changed meanwhile", where=str(building), remedy="publish again")
        closed_days_stand(settings, building, fresh)
        build_team_releases(settings, building, fresh, previous, teams)
        fresh.write_marker(building)
        releases.install(root, building, release_id)
    except BaseException:
        if building.exists():
            releases.remove(building)
        raise
    releases.swap(root, release_id)
    archive(settings)  # before any release is removed
    releases.clear_leftovers(root)
    releases.retain(root, settings.values.publish.keep_releases)
    return fresh


def content_digest(files: Sequence[ReleaseFile], meta: Sequence[tuple[Any, ...]]) -> str:
    """The id of a release: 16 hexadecimal digits over every file's bytes and every row of ``meta_publication`` (with the identity)."""
    content = [sorted((file.table, file.name, file.sha256) for file in files), meta]
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()[:16]


def _days(connection: duckdb.DuckDBPyConnection, dirty_days: set[dt.date]) -> list[dt.date]:
    days = published_days(connection)
    if not days:
        raise ApportionError("no day is published", where=f"{SCHEMA}.dim_date", remedy="run a night for at least one day first")
    if unknown := sorted(dirty_days - set(days)):
        raise ApportionError(f"day {unknown[0]} is dirty but not published", where=f"{SCHEMA}.dim_date", remedy="build the models again")
    return days


def _write_files(
    connection: duckdb.DuckDBPyConnection,
    building: Path,
    tables: Sequence[PublishedTable],
    days: Sequence[dt.date],
    dirty_days: set[dt.date],
    previous: Release | None,
) -> list[ReleaseFile]:
    """Every Parquet file of the release, by table and name: linked where the day is clean, else written."""
    found: list[ReleaseFile] = []
    for table in tables:
        folder = building / PARQUET / table.name
        folder.mkdir(parents=True)
        before = _reusable(previous, table)
        if not table.is_by_day:
            found.append(_write(connection, table, folder / f"{table.name}.parquet", None))
            continue
        for day in days:
            path = folder / f"{day.isoformat()}.parquet"
            known = before.get(path.name)
            if day not in dirty_days and known is not None and previous is not None and known.is_intact(previous.path(known)):
                releases.link(previous.path(known), path)
                found.append(known)
            else:
                found.append(_write(connection, table, path, day))
    return _linked_where_equal(building, found, previous)


def _reusable(previous: Release | None, table: PublishedTable) -> dict[str, ReleaseFile]:
    """The last release's files of ``table``, by name; none where its columns were others."""
    if previous is None or previous.columns.get(table.name) != table.columns:
        return {}
    return {file.name: file for file in previous.files if file.table == table.name}


def _write(connection: duckdb.DuckDBPyConnection, table: PublishedTable, path: Path, day: dt.date | None) -> ReleaseFile:
    where = f" where {DAY_COLUMN} = date {quote_text(day.isoformat())}" if day else ""
    query = f"select * from {SCHEMA}.{quote_name(table.name)}{where}"  # noqa: S608
    rows = write_parquet(connection, query, path)
    return ReleaseFile.of(path, table.name, rows)


def _linked_where_equal(building: Path, files: Sequence[ReleaseFile], previous: Release | None) -> list[ReleaseFile]:
    """Where a written file came out as the last release's, keep that one: the same bytes need no second place on disk."""
    if previous is None:
        return list(files)
    before = {(file.table, file.name, file.sha256): file for file in previous.files}
    result = []
    for file in files:
        known = before.get((file.table, file.name, file.sha256))
        if known is not None and known != file and known.is_intact(previous.path(known)):
            path = building / PARQUET / file.table / file.name
            path.unlink()
            releases.link(previous.path(known), path)
            file = known
        result.append(file)
    return result


def _fresh_days(files: Sequence[ReleaseFile], previous: Release | None) -> set[dt.date]:
    """The days that have a file whose bytes the last release did not have."""
    known = {(file.table, file.name, file.sha256) for file in previous.files} if previous else set()
    return {file.day for file in files if file.day is not None and (file.table, file.name, file.sha256) not in known}


def _measured_again(release: Release, building: Path) -> list[ReleaseFile]:
    """The release's files as they lie in ``building`` now."""
    paths = {file: building / PARQUET / file.table / file.name for file in release.files}
    return [file if file.is_intact(path) else ReleaseFile.of(path, file.table, file.rows) for file, path in paths.items()]
