"""``published/history.duckdb``: the archive as tables that BI reads, built anew after each publication and swapped by one rename.

Belongs here: the file's tables, their descriptions and the swap. Does not: what a release holds; releases never depend on this file,
so that the same inputs give the same release whatever was published before.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.history import facts
from pipelines.history.archive import META, Archived, archived, root
from pipelines.history.descriptions import DESCRIPTIONS
from pipelines.history.periods import log_of
from pipelines.history.pruning import prune
from pipelines.landing import fsync_directory
from pipelines.settings import Settings
from pipelines.warehouse import limit, quote_name, quote_text
from pipelines.whole_database import whole_database

FILE = "history.duckdb"
LAYOUT = 1  # raise it when a table changes: the file is then built anew
REVISIONS = Path(__file__).with_name("revisions.sql")
# AWS goes on refreshing a month for about two weeks after its end: the first day of a month is then 31 + 14 days old
SETTLED_AGE_DAYS = 45
MINIMUM_OBSERVATIONS = 8


def update(settings: Settings) -> Path | None:
    """Bring ``history.duckdb`` up to date with the archive; only for the single writer, after a publication.

    Returns its path, ``None`` where nothing is archived. Where it is up to date nothing is written.
    """
    needed = log_of(settings).sequences
    releases = prune(settings, archived(settings), settings.values.publish.keep_history_days, needed)
    if not releases:
        return None
    link = settings.published / FILE
    target = root(settings) / f"history-{releases[0].sequence:06d}-{releases[-1].name}.{LAYOUT}.duckdb"
    if link.is_symlink() and target.exists() and link.resolve() == target.resolve():
        return link
    facts.take(settings, releases)
    _build(settings, releases, target)
    fresh = settings.published / f".{FILE}-{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target.relative_to(settings.published))
    os.replace(fresh, link)
    fsync_directory(settings.published)
    for path in [*root(settings).glob("history-*.duckdb*"), *root(settings).glob(".history-*"), *settings.published.glob(f".{FILE}-*")]:
        if path != target:
            path.unlink()
    return link


def _build(settings: Settings, releases: Sequence[Archived], target: Path) -> None:
    with whole_database(settings, target) as connection:
        _releases(connection, releases)
        _release_days(connection, releases)
        _restatements(connection, settings, releases)
        _revisions(connection, settings, releases)
        for table, (description, columns) in DESCRIPTIONS.items():
            connection.execute(f"comment on table {table} is {quote_text(description)}")
            for column, text in columns.items():
                connection.execute(f"comment on column {table}.{quote_name(column)} is {quote_text(text)}")


def _naive(instant: dt.datetime) -> dt.datetime:
    return instant.astimezone(dt.UTC).replace(tzinfo=None)


def _releases(connection: duckdb.DuckDBPyConnection, releases: Sequence[Archived]) -> None:
    told = [
        (
            r.release_id,
            r.sequence,
            _naive(r.published_at),
            r.identity.get("code"),
            r.identity.get("policy"),
            r.days[0],
            r.days[-1],
            len(r.days),
        )
        for r in releases
    ]
    connection.execute(
        "create table releases (release_id varchar, sequence bigint, published_at timestamp, code_digest varchar, policy_digest varchar,"
        " first_day date, last_day date, day_count bigint)"
    )
    connection.executemany("insert into releases values (?, ?, ?, ?, ?, ?, ?, ?)", told)
    connection.execute(
        "create or replace table releases as select release_id, sequence, published_at, lead(published_at) over (order by sequence) as replaced_at,"
        " code_digest, policy_digest, first_day, last_day, day_count from releases order by sequence"
    )


def intervals(releases: Sequence[Archived]) -> list[tuple[Any, ...]]:
    """(table, name, day, sha256, rows, first sequence, last sequence) of every version of every file, in order of publication."""
    found: list[tuple[Any, ...]] = []
    standing: dict[tuple[str, str], tuple[str, int, int]] = {}  # sha256, rows, first sequence

    def close(keys: Iterable[tuple[str, str]], last: int) -> None:
        for key in keys:
            sha256, rows, first = standing.pop(key)
            stem = key[1].removesuffix(".parquet")
            found.append((*key, None if stem == key[0] else stem, sha256, None if key[0] == META else rows, first, last))

    before = 0
    known: set[tuple[str, str]] = set()
    for release in releases:
        close(sorted(known - release.files.keys()), before)
        ended = sorted(key for key in release.changed if key in standing and standing[key][0] != release.files[key].sha256)
        close(ended, before)
        for key in release.changed:
            if key not in standing:
                standing[key] = (release.files[key].sha256, release.files[key].rows, release.sequence)
        before, known = release.sequence, set(release.files)
    close(sorted(standing), before)
    return found


def _release_days(connection: duckdb.DuckDBPyConnection, releases: Sequence[Archived]) -> None:
    names = ("table_name", "file_name", "usage_date", "sha256", "row_count", "from_sequence", "last_sequence")
    columns = list(zip(*intervals(releases), strict=True))
    versions = pa.table(
        {
            name: pa.array(values, pa.int64() if "sequence" in name or name == "row_count" else pa.string())
            for name, values in zip(names, columns, strict=True)
        }
    )
    connection.register("versions", versions)
    connection.execute(
        "create table release_days as select cast(versions.usage_date as date) as usage_date, table_name, sha256, row_count,"
        " first.published_at as valid_from, last.replaced_at as valid_to, first.release_id as from_release_id,"
        " lead_of.release_id as to_release_id, from_sequence, last_sequence"
        " from versions inner join releases as first on first.sequence = from_sequence inner join releases as last on last.sequence = last_sequence"
        " left join (select sequence, lead(release_id) over (order by sequence) as release_id from releases) as lead_of on lead_of.sequence = last_sequence"
        " order by table_name, usage_date, from_sequence"
    )
    connection.unregister("versions")


def _restatements(connection: duckdb.DuckDBPyConnection, settings: Settings, releases: Sequence[Archived]) -> None:
    pairs = list(zip(releases[:-1], releases[1:], strict=True))
    paths = {str(facts.path_of(settings, new, "moves", old)): (old, new) for old, new in pairs}
    connection.execute("create temp table pairs (path varchar, from_sequence bigint, to_sequence bigint)")
    if paths:
        connection.executemany("insert into pairs values (?, ?, ?)", [(p, old.sequence, new.sequence) for p, (old, new) in paths.items()])
    moves = "read_parquet(?, filename = true)" if paths else "(select *, '' as filename from read_parquet(?) where false)"
    scanned = list(paths) or [_empty_moves(connection, settings)]
    connection.execute(
        "create table restatements as select old.release_id as from_release_id, new.release_id as to_release_id, pairs.from_sequence,"  # noqa: S608
        " pairs.to_sequence, new.published_at, moves.* exclude (filename)"
        f" from {moves} as moves inner join pairs on moves.filename = pairs.path"
        " inner join releases as old on old.sequence = pairs.from_sequence inner join releases as new on new.sequence = pairs.to_sequence"
        " order by pairs.to_sequence, usage_date, source, account_id, team, cause",
        [scanned],
    )


def _empty_moves(connection: duckdb.DuckDBPyConnection, settings: Settings) -> str:
    """A file with the columns of a restatement and no row, for an archive of one release."""
    from pipelines.history import restatement

    path = root(settings) / "facts" / f".none.{facts.LAYOUT}.parquet"
    fields = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in restatement.COLUMNS.items())
    connection.execute(f"copy (select {fields} where false) to {quote_text(str(path))} (format parquet)")  # noqa: S608
    return str(path)


def _revisions(connection: duckdb.DuckDBPyConnection, settings: Settings, releases: Sequence[Archived]) -> None:
    with duckdb.connect(":memory:") as scratch:
        limit(scratch, settings)
        scratch.execute(
            "create table limits as select ? as settled_age_days, ? as minimum_observations", [SETTLED_AGE_DAYS, MINIMUM_OBSERVATIONS]
        )
        for name, query in (
            ("release_order", "select sequence, published_at from releases"),
            (
                "day_versions",
                "select usage_date, sha256, from_sequence, last_sequence as to_sequence from release_days where table_name = 'fct_charge_bucket'",
            ),
        ):
            relation = connection.execute(query).to_arrow_table()
            scratch.register("handed_over", relation)
            scratch.execute(f"create table {name} as from handed_over")
            scratch.unregister("handed_over")
        totals = facts.totals_paths(settings)
        scratch.execute(f"create table totals ({facts.TOTALS})")  # a home whose every night was without a charge has none
        if totals:
            scratch.execute("insert into totals select distinct * from read_parquet(?)", [totals])
        finality = {str(facts.path_of(settings, release, "finality")): release.sequence for release in releases}
        scratch.execute("create table finality_files (path varchar, sequence bigint)")
        scratch.executemany("insert into finality_files values (?, ?)", list(finality.items()))
        scratch.execute(
            "create table finality as select files.sequence, told.source, told.billing_period, told.finality"
            " from read_parquet(?, filename = true) as told inner join finality_files as files on told.filename = files.path",
            [list(finality)],
        )
        scratch.execute(REVISIONS.read_text(encoding="utf-8"))
        for table in ("revision_expectations", "provisional_figures"):
            connection.register("handed_over", scratch.execute(f"select * from {table}").to_arrow_table())  # noqa: S608
            connection.execute(f"create table {table} as from handed_over")  # noqa: S608
            connection.unregister("handed_over")
