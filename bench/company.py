"""A company of any size, as DuckDB tables: its nodes, what they ran, its bill. Everything follows from numbers: no state, no clock.

Belongs here: what the benchmark's company is like. Does not: files and formats (generate.py), measurements.

Sixty per cent of the nodes run gangs of whole nodes, twenty per cent jobs of four GPUs, the others jobs and inference replicas of
one GPU. Half of the intervals name their GPUs, half only count them; all pods are labelled in telemetry. Of the bill, GPU nodes
are 3 in 1,000 charges; the rest is storage requests, machines, volumes, traffic and small services, some 3,000 distinct tag sets.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import duckdb

GPUS_A_NODE = 8
SLOT_SECONDS = 30
ORIGIN = dt.date(2026, 9, 1)  # before any day that is generated: jobs are counted from here
FIRST_DAY = dt.date(2026, 10, 1)


@dataclass(frozen=True)
class Size:
    """How large the company is. charges: bill rows a day. missed_ratio: share of scrapes (node x instant) that are missing."""

    gpus: int
    charges: int
    missed_ratio: float = 0.01

    @property
    def nodes(self) -> int:
        return -(-self.gpus // GPUS_A_NODE)

    @property
    def samples_a_day(self) -> int:
        """Wide samples of a day without a missed scrape."""
        return self.nodes * GPUS_A_NODE * 86400 // SLOT_SECONDS


_NODES = """
create table nodes as
select
    n,
    'ip-10-' || (n // 250) || '-' || (n % 250) || '-7.ec2.internal' as hostname,
    'i-' || lpad(printf('%x', hash(n, 'node') >> 4), 17, '0') as resource_id,
    'vol-' || lpad(printf('%x', hash(n, 'volume') >> 4), 17, '0') as volume_id,
    case when n % 10 < 6 then 'train-gang' when n % 10 < 8 then 'train-half' when n % 10 = 8 then 'single' else 'serve' end as pool,
    case when n % 10 < 6 then 8 when n % 10 < 8 then 4 else 1 end as group_gpus,
    'user-team-' || (n % 20) as team
from range(getvariable('node_count')) as t(n)
"""

# One row per (node, group of GPUs, job): job j of a sequence lies in its own period, so that any day can be made alone.
_HOLDS = """
create table holds as
with sequences as (
    select
        nodes.*, g as group_index,
        case when pool = 'train-gang' then 'g' || (n // 10) else n || '.' || g end as sequence,
        case when pool = 'serve' then 86400 else 18000 + hash(case when pool = 'train-gang' then 'g' || (n // 10) else n || '.' || g end) % 32400 end as period
    from nodes, range(8 // group_gpus) as t(g)
), jobs as (
    select *, j, epoch(getvariable('origin')::timestamp)::bigint + j * period::bigint as period_from
    from sequences, range(0, 31 + 86400 * 70 // 18000) as t(j)
), timed as (
    select *, period_from + (hash(sequence, j) % 1800)::bigint as from_second, period_from + period::bigint - 1 - (hash(sequence, j, 'gap') % 2700)::bigint as to_second
    from jobs
)
select
    n, hostname, pool, group_index, group_gpus, from_second, to_second,
    case when pool = 'serve' then 'endpoint' else 'training_run' end as workload_type,
    case when pool = 'serve' then 'chat-' || (n % 7) else 'run-' || replace(sequence, '.', '-') || '-' || j end as workload_id,
    'a' || sequence || '.' || j as attempt_id,
    'team-' || (hash(sequence, j, 'team') % 20) as namespace,
    'p-' || sequence || '-' || j || '-' || n as pod,
    hash(sequence, j, 'named') % 2 = 0 as is_named,
    0.2 + 0.75 * (hash(sequence, j, 'level') % 1000) / 1000 as activity_level
from timed
where to_second > epoch(getvariable('first_day')::timestamp) and from_second < epoch(getvariable('last_day')::timestamp) + 86400
"""


def connect(size: Size, first: dt.date, last: dt.date) -> duckdb.DuckDBPyConnection:
    """An in-memory database with ``nodes`` and ``holds`` (who held which GPUs when) for the days ``first`` to ``last``."""
    connection = duckdb.connect(config={"memory_limit": "2GB", "threads": 2})
    connection.execute("set TimeZone = 'UTC'")
    for name, value in (
        ("node_count", size.nodes), ("charges", size.charges), ("missed_ppm", round(size.missed_ratio * 1_000_000)),
        ("origin", ORIGIN), ("first_day", first), ("last_day", last),
    ):  # fmt: skip
        set_variable(connection, name, value)
    connection.execute(_NODES)
    connection.execute(_HOLDS)
    return connection


def set_variable(connection: duckdb.DuckDBPyConnection, name: str, value: object) -> None:
    """Let ``getvariable(name)`` be ``value`` in what follows."""
    connection.execute(f"set variable {name} = ?", [value])
