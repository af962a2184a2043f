"""The gate of closed periods at publication: what is closed is published as it was closed, or the release is refused.

Belongs here: comparing a release that is about to be published with the archived one that a period was closed with. Does not: which
days a night computes (planning.py), the log (periods.py).

A file with the same bytes is the same. Where the bytes differ (another schema after a change of code, rows of an open bill on a frozen
day), the rows of the closed bills are compared by the columns that both have; ``bucket_key`` is a digest of columns and not compared.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb

from pipelines.errors import GateError
from pipelines.history.archive import Archived, archived, object_path
from pipelines.history.periods import Pair, PeriodLog, log_of
from pipelines.published_tables import BUCKETS, LEDGER
from pipelines.release import PARQUET, Release
from pipelines.settings import Settings
from pipelines.warehouse import limit, quote_name

NOT_COMPARED = {"bucket_key"}


def closed_days_stand(settings: Settings, folder: Path, fresh: Release) -> None:
    """Raise GateError where ``fresh``, whose files lie in ``folder``, would change a closed period without a correction."""
    log = log_of(settings)
    if not log.closed:
        return
    references = {release.sequence: release for release in archived(settings)}
    for table, day, sequence, pairs in _obligations(log):
        reference = references[sequence]
        before = reference.file(table, day)
        after = next((f for f in fresh.files if f.table == table and f.day == day), None)
        if before is None or (after is not None and after.sha256 == before.sha256):
            continue
        period = min(period for _, period in pairs)
        if after is None:
            _refuse(f"{day} of the closed period {period} would no longer be published", table, period, "run a night over its days")
        path = folder / PARQUET / table / after.name
        common = _common_columns(reference, fresh, table)
        moved = _moved_rows(settings, object_path(settings, before.sha256), path, common, pairs)
        if moved:
            told = f"{moved[0]} row(s) of {table} on {day} would change, effective cost by {moved[1]:f} US dollars"
            _refuse(f"period {period} of {', '.join(sorted(s for s, _ in pairs))} is closed, but {told}", table, period, "")


def _obligations(log: PeriodLog) -> list[tuple[str, dt.date, int, frozenset[Pair]]]:
    """(table, day, reference, pairs): frozen days in both tables, and the bill rows of closed pairs on days that are not."""
    standing = log.standing
    found = [(table, day, frozen.sequence, frozen.pairs) for day, frozen in sorted(standing.items()) for table in (BUCKETS, LEDGER)]
    for pair, sequence in sorted(log.closed.items()):
        if pair not in log.correcting:
            found += [(BUCKETS, day, sequence, frozenset({pair})) for day in sorted(log.bill_days[pair] - standing.keys())]
    return found


def _common_columns(reference: Archived, fresh: Release, table: str) -> list[str]:
    before = {name for name, _ in reference.columns[table]}
    return [name for name, _ in fresh.columns[table] if name in before and name not in NOT_COMPARED]


def _moved_rows(settings: Settings, before: Path, after: Path, columns: list[str], pairs: frozenset[Pair]) -> tuple[int, object] | None:
    """How many rows of the closed pairs differ, and by how much effective cost; ``None`` where none does."""
    period = "billing_period" if "billing_period" in columns else "usage_date"
    row = ", ".join(quote_name(name) for name in columns)
    scan = f"select {row} from read_parquet(?) semi join pairs on pairs.source = read_parquet.source and pairs.period = strftime(read_parquet.{period}, '%Y-%m')"  # noqa: S608
    with duckdb.connect(":memory:") as connection:
        limit(connection, settings)
        connection.execute("create table pairs (source varchar, period varchar)")
        connection.executemany("insert into pairs values (?, ?)", sorted(pairs))
        connection.execute(f"create table before as {scan}", [str(before)])
        connection.execute(f"create table after as {scan}", [str(after)])
        found = connection.execute(
            "select count(*), (select coalesce(sum(effective_cost), 0) from after) - (select coalesce(sum(effective_cost), 0) from before)"
            " from ((from before except all from after) union all (from after except all from before))"
        ).fetchone()
    return (int(found[0]), found[1]) if found and found[0] else None


def _refuse(what: str, table: str, period: str, remedy: str) -> None:
    correct = f"`apportion correct {period} --reason ...` lets the next night change it"
    raise GateError(what, where=table, remedy=f"nothing was published; {remedy or correct}")
