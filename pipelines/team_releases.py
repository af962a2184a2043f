"""Releases for restricted readers: per team one folder with the team's rows and nothing else. DuckDB has no users: what is not in the
file cannot be read.

Belongs here: which teams, their folders' names, which files are taken over from the last release, the last look at the rows. Does not:
which rows are a team's (team_scope.py), the swap (release.py): the folders lie inside the release and change with it in one rename. A
team release that cannot be built stops the publication; yesterday's stands, for everybody.

Layout under ``releases/<release_id>/teams/<folder>``: as a release (apportion.duckdb, parquet/, release.json).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import duckdb

from pipelines import release as releases
from pipelines.errors import ApportionError, GateError
from pipelines.published_tables import PublishedTable
from pipelines.release import PARQUET, TEAMS, Release, ReleaseFile
from pipelines.release_database import META_COLUMNS, build_database
from pipelines.release_parquet import write_parquet
from pipelines.settings import Settings
from pipelines.team_scope import SCOPES, as_team, team_rows
from pipelines.warehouse import limit, quote_name, quote_text

PLAIN_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}")
LOOKS_HASHED = re.compile(r".*-[0-9a-f]{16}")
RULES = "rules"
FILES_AT_ONCE = 31  # days of a table whose rows are in memory together


def team_folder(team: str) -> str:
    """The name of a team's folder: its own name where that is plain lower-case ASCII, else what is plain of it and a digest.

    Two teams never share a folder, also where a file system does not tell upper from lower case; no name leads out of ``teams/``.
    """
    if PLAIN_NAME.fullmatch(team) and not LOOKS_HASHED.fullmatch(team):
        return team
    plain = re.sub(r"[^a-z0-9]+", "-", team.lower()).strip("-")[:24]
    return f"{plain or 'team'}-{hashlib.sha256(team.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def wanted_teams(settings: Settings, connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The teams that get a release, by folder. ``connection``: the warehouse, which is asked only where the settings say ``all``."""
    wanted = settings.values.publish.team_releases
    if wanted == "all":
        query = (
            "select team from published.dim_workload where team is not null"
            " union select team from published.fct_showback where team_kind = 'team'"
        )
        wanted = [team for (team,) in connection.execute(query).fetchall()]
    teams = sorted(set(wanted))
    folders = {team_folder(team): team for team in teams}
    if len(folders) < len(teams):
        raise ApportionError("two teams share the folder of their release", where="publish.team_releases", remedy="rename one of them")
    return folders


def build_team_releases(settings: Settings, building: Path, release: Release, previous: Release | None, teams: Mapping[str, str]) -> None:
    """Write ``building/teams/<folder>`` for every team from the finished Parquet files in ``building``.

    release: the release as it will be; previous: the last one, whose team files stand where nothing they come from has changed.
    Raises GateError where a team's file holds a row that is not the team's.
    """
    if not teams:
        return
    with duckdb.connect(":memory:") as connection:
        limit(connection, settings)
        tables = [PublishedTable(name, release.columns[name]) for name in sorted(SCOPES) if name in release.columns]
        for table in tables:  # what rules look at; a table by day is read day by day
            if not table.is_by_day:
                path = building / PARQUET / table.name / f"{table.name}.parquet"
                connection.from_parquet(str(path)).create_view(table.name)
        for folder, team in teams.items():
            as_team(connection, team)
            _build(settings, connection, building, release, previous, building / TEAMS / folder, team, tables)


def _build(
    settings: Settings,
    connection: duckdb.DuckDBPyConnection,
    building: Path,
    release: Release,
    previous: Release | None,
    folder: Path,
    team: str,
    tables: list[PublishedTable],
) -> None:
    folder.mkdir(parents=True)
    before = releases.load(previous.folder / TEAMS / folder.name) if previous else None
    rules = {table.name: _rule(connection, table) for table in tables}
    identity = {"team": team, **{f"{RULES}:{name}": rule for name, rule in rules.items()}}
    files: list[ReleaseFile] = []
    for table in tables:
        (folder / PARQUET / table.name).mkdir(parents=True)
        known = _known(release, previous, before, table, identity) if previous and before else {}
        fresh: list[ReleaseFile] = []
        for file in (file for file in release.files if file.table == table.name):
            if file.name not in known:
                fresh.append(file)
            elif before is not None and (stands := known[file.name]) is not None:
                releases.link(before.path(stands), folder / PARQUET / table.name / file.name)
                files.append(stands)
        for first in range(0, len(fresh), FILES_AT_ONCE):
            files += _write(connection, building, folder, table, fresh[first : first + FILES_AT_ONCE])
    meta = _meta(release)
    comments = [text for text in release.comments if any(f" {quote_name(t.name)}" in text for t in tables)]
    database = build_database(settings, folder, tables, files, before, comments, [meta])
    _only_the_team(folder, team)
    own = replace(
        release, folder=folder, identity=release.identity | identity, columns={t.name: t.columns for t in tables}, files=tuple(files),
        database=database, comments=tuple(comments), teams=(),
    )  # fmt: skip
    own.write_marker(folder)


def _rule(connection: duckdb.DuckDBPyConnection, table: PublishedTable) -> str:
    """A digest of the table's rule and of the keys that it compares with now."""
    scope = SCOPES[table.name]
    keys = [str(key) for (key,) in connection.execute(scope.keys).fetchall()] if scope.keys else []
    return hashlib.sha256("\0".join([repr(scope), *keys]).encode()).hexdigest()[:16]


def _known(
    release: Release, previous: Release, before: Release, table: PublishedTable, identity: Mapping[str, str]
) -> dict[str, ReleaseFile | None]:
    """The team's day files of the last release that stand, by name: ``None`` for a day on which the team had no row."""
    rule = f"{RULES}:{table.name}"
    if not table.is_by_day or before.columns.get(table.name) != table.columns or before.identity.get(rule) != identity[rule]:
        return {}
    if before.identity.get("team") != identity["team"]:
        return {}
    main = {file.name: file.sha256 for file in previous.files if file.table == table.name}
    own = {file.name: file for file in before.files if file.table == table.name}
    clean = [file.name for file in release.files if file.table == table.name and main.get(file.name) == file.sha256]
    return {name: own.get(name) for name in clean if name not in own or own[name].is_intact(before.path(own[name]))}


def _write(
    connection: duckdb.DuckDBPyConnection, building: Path, folder: Path, table: PublishedTable, files: list[ReleaseFile]
) -> list[ReleaseFile]:
    """The team's rows of some files of the release, a file for each; none for a day without any."""
    made = []
    if not table.is_by_day:
        for file in files:
            path = folder / PARQUET / table.name / file.name
            made.append(ReleaseFile.of(path, table.name, write_parquet(connection, team_rows(table.name, table.columns), path)))
        return made
    sources = {str(building / PARQUET / table.name / file.name): file for file in files if file.rows > 0}
    if not sources:
        return []
    own = team_rows(table.name, table.columns, "read_parquet(?, filename = true)")
    connection.execute(f"create or replace temp table own_rows as {own}", [list(sources)])
    for (source,) in connection.execute("select distinct filename from own_rows order by filename").fetchall():
        path = folder / PARQUET / table.name / sources[source].name
        query = f"select * exclude (filename) from own_rows where filename = {quote_text(source)}"  # noqa: S608
        made.append(ReleaseFile.of(path, table.name, write_parquet(connection, query, path)))
    connection.execute("drop table own_rows")
    return made


def _meta(release: Release) -> tuple[object, ...]:
    """One row of ``meta_publication`` that says which release this is, and nothing of the company's bills."""
    told = {
        "release_id": release.release_id, "source": "(all)", "kind": "team_release", "first_published_day": min(release.days),
        "last_published_day": max(release.days), "published_day_count": len(release.days),
        "code_digest": release.identity.get("code"), "policy_digest": release.identity.get("policy"),
    }  # fmt: skip
    return tuple(told.get(name) for name, _, _ in META_COLUMNS)


def _only_the_team(folder: Path, team: str) -> None:
    """The finished file once more: whoever is named in a column of teams is this team, or nobody."""
    with duckdb.connect(str(folder / releases.DATABASE), read_only=True) as connection:
        named = connection.execute(
            "select table_name, column_name from duckdb_columns() where column_name in ('team', 'owner_team') and not internal order by all"
        ).fetchall()
        for table, column in named:
            nobody = " and team_kind <> 'nobody'" if SCOPES[table].has_members else ""
            query = f"select count(*) from {quote_name(table)} where {quote_name(column)} <> ?{nobody}"  # noqa: S608
            found = connection.execute(query, [team]).fetchone()
            if found and found[0]:
                raise GateError(
                    f"the release of team {team!r} holds {found[0]} rows of others",
                    where=f"{table}.{column}",
                    remedy="report this; nothing was published, the last release stands",
                )
