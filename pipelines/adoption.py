"""The entry that says that a lever was pulled: what to paste under `governance.levers.adopted`, with what the lever predicted then.

Belongs here: reading one lever of an archived release, and the entry's wording. Does not: writing the policy file, which is the user's;
measuring what came of it (fct_realised_saving).
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import duckdb

from pipelines.errors import ApportionError, UsageError
from pipelines.governance.commitments import AdoptedLever
from pipelines.history.archive import Archived, archived, object_path
from pipelines.history.finding import find
from pipelines.settings import Settings

LEVERS = "fct_lever"


def adoption(settings: Settings, lever_kind: str, scope: str, adopted_on: dt.date) -> dict[str, Any]:
    """The policy entry of a lever, its prediction from the release in force on the day before ``adopted_on``.

    Where the archive has no release of that time, the earliest one that knows the lever counts, and ``predicted_by`` says so: a release
    from after the adoption may already hold what the lever brought. Raises UsageError where no release knows the lever.
    """
    releases = archived(settings)
    try:
        wanted = [find(releases, (adopted_on - dt.timedelta(days=1)).isoformat())]
        origin = "in force on the day before"
    except UsageError:
        wanted, origin = releases, "the earliest that knows it; it may be from after the adoption"
    for release in wanted:
        rows = _levers(settings, release, lever_kind, scope)
        if rows:
            [(scope_type, predicted), *more] = rows
            if more:
                raise UsageError(
                    f"{lever_kind} of {scope!r} stands more than once in {LEVERS}",
                    remedy="write the entry by hand, see docs/commitments.md",
                )
            entry = AdoptedLever(
                lever_kind=lever_kind, scope_type=scope_type, scope=scope, adopted_on=adopted_on, predicted_saving_usd_per_month=predicted
            )
            return {"entry": entry.model_dump(mode="json"), "predicted_by": f"release {release.release_id}, {origin}"}
    raise UsageError(
        f"no lever {lever_kind} of {scope!r} was published before {adopted_on}",
        remedy="`select lever_kind, scope from fct_lever` lists them; an entry without a prediction can be written by hand",
    )


def adoption_lines(found: dict[str, Any]) -> list[str]:
    """The entry as YAML, to paste under `governance.levers.adopted`; texts quoted as JSON, which YAML reads."""
    entry = {name: value for name, value in found["entry"].items() if value is not None}
    fields = [f"{name}: {json.dumps(value)}" for name, value in entry.items()]
    return [f"# predicted by {found['predicted_by']}", f"- {fields[0]}", *[f"  {field}" for field in fields[1:]]]


def _levers(settings: Settings, release: Archived, lever_kind: str, scope: str) -> list[tuple[str, Any]]:
    """(scope_type, saving_usd_per_month) of the levers of this kind and scope in ``release``."""
    files = [object_path(settings, file.sha256) for (table, _), file in sorted(release.files.items()) if table == LEVERS]
    rows: list[tuple[str, Any]] = []
    with duckdb.connect() as connection:
        for path in files:
            if not path.is_file():
                raise ApportionError(
                    "a file of the archive is missing", where=str(path), remedy="bring it back from a backup of the archive"
                )
            rows += connection.execute(
                "select scope_type, saving_usd_per_month from read_parquet(?) where lever_kind = ? and scope = ? order by all",
                [str(path), lever_kind, scope],
            ).fetchall()
    return rows
