"""A past release as it was: its Parquet files byte for byte, and its DuckDB file filled from them again.

Belongs here: bringing archived bytes into a folder, verified. Does not: finding the release (archive.py), computing any figure.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb

from pipelines.errors import ApportionError, UsageError
from pipelines.history.archive import META, Archived, object_path
from pipelines.landing import sha256_file
from pipelines.published_tables import LEDGER, PublishedTable
from pipelines.release import DATABASE, MARKER, PARQUET, link
from pipelines.release_database import build_database
from pipelines.settings import Settings


def materialise(settings: Settings, release: Archived, out: Path, *, replace: bool = False) -> dict[str, Any]:
    """Bring ``release`` into the new folder ``out``: ``parquet/<table>/<file>``, ``apportion.duckdb`` and ``release.json``.

    Every file is read and compared with its digest first. The Parquet files are hard links where the file system has them. Returns
    the release's id, days and totals. replace: whether ``out`` may be there (it gives way). Raises UsageError where ``out`` is there, ApportionError where a file is missing or damaged.
    """
    if out.exists() and not replace:
        raise UsageError(f"{out} exists already", remedy="name a folder that does not exist yet")
    for (table, name), file in sorted(release.files.items()):
        path = object_path(settings, file.sha256)
        if not path.is_file() or sha256_file(path) != file.sha256:
            raise ApportionError(
                f"{table}/{name} of release {release.release_id} is not in the archive as it was published",
                where=str(path),
                remedy="bring the file back from a backup of the archive",
            )
    out.parent.mkdir(parents=True, exist_ok=True)
    building = out.with_name(f".{out.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    try:
        _fill(settings, release, building)
        if out.exists():
            shutil.rmtree(out)
        building.rename(out)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return {**summary(release), "folder": str(out), **_totals(out)}


def _fill(settings: Settings, release: Archived, folder: Path) -> None:
    for (table, name), file in release.files.items():
        target = folder / PARQUET / table / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if table != META:
            link(object_path(settings, file.sha256), target)
    tables = [PublishedTable(name, columns) for name, columns in sorted(release.columns.items())]
    [meta_file] = [file for (table, _), file in release.files.items() if table == META]
    meta_path = object_path(settings, meta_file.sha256)
    comments = json.loads(object_path(settings, release.comments, "json").read_text(encoding="utf-8")) if release.comments else []
    shutil.rmtree(folder / PARQUET / META)
    build_database(settings, folder, tables, [f for (t, _), f in sorted(release.files.items()) if t != META], None, comments, [])
    with duckdb.connect(str(folder / DATABASE)) as connection:
        _insert_meta(connection, meta_path)
    written = folder / PARQUET / META / meta_file.name
    written.unlink()
    link(meta_path, written)
    told = {**summary(release), "days": release.days, "columns": release.columns, "files": [vars(f) for f in release.files.values()]}
    (folder / MARKER).write_text(json.dumps(told, indent=1, sort_keys=True, default=str), encoding="utf-8")


def _insert_meta(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """The rows of ``meta_publication``; with the columns of its time, where those were others."""
    scan = "select * from read_parquet(?)"
    was, now = (
        [row[:2] for row in connection.execute(q, p).fetchall()] for q, p in ((f"describe {scan}", [str(path)]), (f"describe {META}", []))
    )
    statement = f"insert into {META} {scan}" if was == now else f"create or replace table {META} as {scan}"
    connection.execute(statement, [str(path)])


def summary(release: Archived) -> dict[str, Any]:
    """What a list of releases tells of one."""
    return {
        "release_id": release.release_id,
        "sequence": release.sequence,
        "published_at": release.published_at.isoformat(timespec="seconds"),
        "first_day": release.days[0].isoformat(),
        "last_day": release.days[-1].isoformat(),
        "day_count": len(release.days),
        **{f"{subject}_digest": digest for subject, digest in sorted(release.identity.items())},
    }


def _totals(folder: Path) -> dict[str, Any]:
    query = f"select sum(billed_cost), sum(effective_cost), sum(list_cost) from {LEDGER}"  # noqa: S608
    with duckdb.connect(str(folder / DATABASE), read_only=True) as connection:
        row = connection.execute(query).fetchone() or (None,) * 3
    return dict(zip(("billed_usd", "effective_usd", "list_usd"), row, strict=True))


def release_lines(told: list[dict[str, Any]]) -> list[str]:
    """The archive in words, newest first."""
    return [
        f"{r['published_at']}  {r['release_id']}  #{r['sequence']}  {r['day_count']} day(s), {r['first_day']} to {r['last_day']}"
        f"  code {r.get('code_digest', '-')[:8]}, policy {r.get('policy_digest', '-')[:8]}"
        for r in reversed(told)
    ]


def as_of_lines(told: dict[str, Any]) -> list[str]:
    """One materialised release in words."""
    from pipelines.report import usd

    return [
        f"release {told['release_id']}, published {told['published_at']}: {told['day_count']} day(s), {told['first_day']} to {told['last_day']}",
        f"billed {usd(told['billed_usd'])}, effective {usd(told['effective_usd'])}, list {usd(told['list_usd'])}",
        f"as it was published: {told['folder']}",
    ]
