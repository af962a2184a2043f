"""One month of an archived release as relations in memory.

Belongs here: bringing the release's files of the month, verified, before the queries. Does not: any figure.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from pipelines.errors import ApportionError
from pipelines.history.archive import Archived, object_path
from pipelines.landing import sha256_file
from pipelines.published_tables import LEDGER
from pipelines.settings import Settings
from pipelines.warehouse import limit, quote_name

DAILY, SHOWN = "fct_cost_daily", "fct_showback"
WHOLE = ("dim_date", "dim_workload", "fct_reconciliation", SHOWN)
OF_THE_MONTH = ("fct_cost_estimate", "fct_gpu_utilization_daily", LEDGER)


@contextmanager
def opened(settings: Settings, release: Archived, team: str, first: dt.date) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the relations that ``figures.py`` asks: the month's tables by their names, ``ledger`` (the month), ``daily`` (the
    month and the one before, with ``month``), ``shown`` (the team's rows of fct_showback, with ``month``).

    Raises ApportionError where the release has no such table or a file of the archive is missing or damaged.
    """
    before = (first - dt.timedelta(days=1)).replace(day=1)
    months = {name: {first} for name in OF_THE_MONTH} | {DAILY: {before, first}}
    with duckdb.connect(":memory:") as connection:
        limit(connection, settings)
        for table in (*WHOLE, *months):
            _relation(connection, settings, release, table, months.get(table))
        connection.execute(f"create view ledger as from {LEDGER}")
        days = f"select * replace (trim(owner_team) as owner_team), date_trunc('month', usage_date) as month from {DAILY}"  # noqa: S608
        connection.execute(f"create view daily as {days}")
        connection.execute("set variable team = ?", [team])
        connection.execute(
            f"create view shown as select *, usage_month as month from {SHOWN} where team_kind = 'team' and team = getvariable('team')"  # noqa: S608
        )
        yield connection


def _relation(
    connection: duckdb.DuckDBPyConnection, settings: Settings, release: Archived, table: str, months: set[dt.date] | None
) -> None:
    if table not in release.columns:
        raise ApportionError(
            f"release {release.release_id} has no table {table}",
            where="the archive",
            remedy="it was published before statements could be made; name a later release",
        )
    chosen = [
        file
        for (name, _), file in sorted(release.files.items())
        if name == table and file.rows and (months is None or (file.day is not None and file.day.replace(day=1) in months))
    ]
    paths = [object_path(settings, file.sha256) for file in chosen]
    for path, file in zip(paths, chosen, strict=True):
        if not path.is_file() or sha256_file(path) != file.sha256:
            raise ApportionError(
                f"{table}/{file.name} of release {release.release_id} is not in the archive as it was published",
                where=str(path),
                remedy="bring the file back from a backup of the archive",
            )
    columns = ", ".join(f"{quote_name(name)} {kind}" for name, kind in release.columns[table])
    connection.execute(f"create table {table} ({columns})")
    if paths:
        connection.execute(f"insert into {table} by name select * from read_parquet(?)", [[str(path) for path in paths]])  # noqa: S608
