"""What could be saved: read from the published file, as any BI client would.

Belongs here: the queries of `apportion levers` and their wording. Does not: any figure that is not published.
"""

from __future__ import annotations

import json
from typing import Any

import duckdb

from pipelines.errors import UsageError
from pipelines.report import open_release, usd
from pipelines.rows import rows_of
from pipelines.settings import Settings

NOBODY = "(nobody)"


def levers(settings: Settings, *, team: str | None = None, kind: str | None = None) -> dict[str, Any]:
    """The levers of the release, dearest first. team: of one team only ('' is what nobody owns). Raises UsageError for a kind without rows."""
    with open_release(settings) as connection:
        return find_levers(connection, team=team, kind=kind)


def find_levers(connection: duckdb.DuckDBPyConnection, *, team: str | None = None, kind: str | None = None) -> dict[str, Any]:
    """The levers that ``connection`` sees in ``fct_lever``. Levers of one group claim the same dollars: the total has the dearest shown one of each."""
    kinds = [name for (name,) in connection.execute("select distinct lever_kind from fct_lever order by 1").fetchall()]
    if kind is not None and kind not in kinds:
        raise UsageError(f"no lever of kind {kind!r} in this release", remedy=f"there are: {', '.join(kinds) or 'none'}")
    rows = rows_of(
        connection,
        "with shown as (select *, row_number() over (partition by coalesce(overlap_group, lever_kind || '/' || scope_type || '/' || scope)"
        " order by saving_usd_per_month desc, lever_kind, scope) = 1 as is_counted from fct_lever"
        " where ($team is null or coalesce(team, '') = $team) and ($kind is null or lever_kind = $kind))"
        " select * from shown order by saving_usd_per_month desc, lever_kind, scope_type, scope, team, environment",
        {"team": team, "kind": kind},
    )
    for row in rows:
        row["evidence"] = json.loads(row["evidence"])
    counted = [row for row in rows if row["is_counted"]]
    return {
        "team": team,
        "kind": kind,
        "levers": rows,
        "counted": len(counted),
        "saving_usd_per_month": sum((row["saving_usd_per_month"] for row in counted), start=0),
    }


def lever_lines(found: dict[str, Any]) -> list[str]:
    """The answer in words: two lines a lever, then what they come to."""
    whose = "" if found["team"] is None else f" of {found['team'] or NOBODY}"
    if not found["levers"]:
        return [f"No lever{whose}: nothing above the thresholds of `governance.levers`"]
    lines = []
    for row in found["levers"]:
        mark = "" if row["is_counted"] else "  (same dollars as a dearer lever: not in the total)"
        lines += [
            f"{usd(row['saving_usd_per_month']):>12} a month  {row['lever_kind']:<18} {row['scope_type']} {row['scope']}  {row['team'] or NOBODY}"
            f"  confidence {row['confidence']}, effort {row['effort']}{mark}",
            f"{'':14}{evidence_line(row)}",
            f"{'':14}{row['action']}",
        ]
    total = usd(found["saving_usd_per_month"])
    return [
        *lines,
        "",
        f"{total} a month{whose} from {found['counted']} of {len(found['levers'])} levers; the others claim the same dollars",
    ]


def evidence_line(row: dict[str, Any]) -> str:
    """The observed window and the figures of one lever, on one line."""
    figures = ", ".join(f"{name} {'unknown' if value is None else value}" for name, value in row["evidence"].items())
    return f"{row['observed_from']} to {row['observed_to']} ({row['observed_days']} days): {figures}"
