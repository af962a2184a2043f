"""Local times without an offset, as schedulers print them, made UTC.

Belongs here: the hour that is skipped and the hour that is repeated when clocks change. Does not: any scheduler's columns.
"""

from __future__ import annotations

import duckdb

from pipelines.ingestion.tabular import literal

NOT_YET = "('', 'Unknown', 'None', 'N/A')"  # what Slurm prints for a time that has not come


def elapsed_seconds(text: str) -> str:
    """SQL: ``[D-][HH:]MM:SS`` in seconds; NULL where it is none."""
    parts = f"regexp_extract({text}, '^(?:([0-9]+)-)?(?:([0-9]+):)?([0-9]+):([0-9]+)(?:[.][0-9]+)?$', ['d', 'h', 'm', 's'])"
    sizes = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    seconds = " + ".join(f"coalesce(try_cast({parts}.{unit} AS BIGINT), 0) * {size}" for unit, size in sizes)
    return f"CASE WHEN {parts}.s <> '' THEN {seconds} END"


def resolve_local_times(con: duckdb.DuckDBPyConnection, zone: str, start: str, end: str, elapsed: str) -> None:
    """Make the table ``times`` from ``records``: _row, s and e (UTC), pending, unreadable, ambiguous.

    Args:
        zone: an IANA time zone.
        start, end, elapsed: SQL over ``records``: two local times as text, and seconds between them.

    A time in the repeated hour means two instants; the pair whose distance is ``elapsed`` is taken. Where several pairs fit or none
    does, the earliest is taken and the row is marked ambiguous. A time in the skipped hour is unreadable.
    """
    con.execute(f"CREATE TABLE given AS SELECT _row, {start} AS s, {end} AS e, {elapsed} AS elapsed FROM records")  # noqa: S608
    con.execute(f"CREATE TABLE candidates AS SELECT *, {_instants('s', zone)} AS ss, {_instants('e', zone)} AS es FROM given")  # noqa: S608
    pairs = "flatten(list_transform(ss, lambda a: list_transform(es, lambda b: {'s': a, 'e': b})))"
    con.execute(
        f"CREATE TABLE paired AS SELECT *, coalesce(s, '') IN {NOT_YET} AS pending, coalesce(e, '') IN {NOT_YET} AS running,"  # noqa: S608
        f" list_filter({pairs}, lambda p: epoch(p.e) - epoch(p.s) = elapsed) AS fitting FROM candidates"
    )
    con.execute(
        """
        CREATE TABLE times AS
        SELECT _row, pending,
            NOT pending AND (len(ss) = 0 OR (NOT running AND len(es) = 0)) AS unreadable,
            coalesce(fitting[1].s, ss[1]) AS s,
            CASE WHEN running THEN NULL ELSE coalesce(fitting[1].e, list_filter(es, lambda b: b >= ss[1])[1], es[1]) END AS e,
            NOT pending AND (len(ss) > 1 OR (NOT running AND len(es) > 1)) AND len(fitting) <> 1 AS ambiguous
        FROM paired
        """
    )


def _instants(column: str, zone: str) -> str:
    """SQL: the UTC instants a local time can mean, earliest first: none in the skipped hour, two in the repeated one."""
    local = f"try_cast(CASE WHEN {column} IN {NOT_YET} THEN NULL ELSE {column} END AS TIMESTAMP)"
    base = f"timezone('UTC', timezone({literal(zone)}, {local}))"
    near = f"list_transform([-60, -30, 0, 30, 60], lambda m: {base} + to_minutes(CAST(m AS BIGINT)))"
    is_same = f"timezone({literal(zone)}, timezone('UTC', u)) = {local}"
    return f"CASE WHEN {local} IS NULL THEN CAST([] AS TIMESTAMP[]) ELSE list_filter({near}, lambda u: {is_same}) END"
