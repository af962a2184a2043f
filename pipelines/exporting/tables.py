"""One published table as CSV: ``apportion export csv``.

Belongs here: which rows, in which order. Does not: how a cell is written (spreadsheet.py), which rows are a team's (team_scope.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.errors import UsageError
from pipelines.exporting.spreadsheet import write_csv
from pipelines.report import open_release
from pipelines.settings import Settings
from pipelines.team_scope import as_team, team_rows
from pipelines.warehouse import quote_name


def export_csv(settings: Settings, table: str, out: Path, *, team: str | None = None, bom: bool = False) -> dict[str, Any]:
    """Write a table of the current release to ``out``, ordered by all its columns.

    team: only the rows that a team may read (None = all rows). bom: whether the file begins with a byte order mark. Returns table, team,
    rows, release and file. Raises UsageError for a table that is not published, or has no rows of one team.
    """
    if not out.parent.is_dir():
        raise UsageError("the folder does not exist", where=str(out.parent), remedy="create it, or name another --out")
    with open_release(settings) as connection:
        found = connection.execute(
            "select column_name, data_type from duckdb_columns() where table_name = ? order by column_index", [table]
        )
        columns = tuple((name, kind) for name, kind in found.fetchall())
        if not columns:
            tables = ", ".join(name for (name,) in connection.execute("select table_name from duckdb_tables() order by 1").fetchall())
            raise UsageError(f"{table!r} is not published", remedy=f"published are {tables}")
        query = f"select * from {quote_name(table)}"  # noqa: S608 - a table that is there, quoted
        if team is not None:
            as_team(connection, team)
            query = team_rows(table, columns)
        rows = write_csv(connection, f"select * from ({query}) order by all", out, bom=bom)  # noqa: S608
        release = connection.execute("select min(release_id) from meta_publication").fetchone()
    return {"table": table, "team": team, "rows": rows, "release_id": release[0] if release else None, "out": str(out)}


def csv_lines(result: dict[str, Any]) -> list[str]:
    """The result in words."""
    return [f"{result['table']} of release {result['release_id']}: {result['rows']:,} rows", f"written: {result['out']}"]
