"""Compares what a night published with what the oracle expects, cluster by cluster, to the last digit.

Belongs here: reading the two published tables by cluster, and naming differences. Does not: any rule.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from tests.oracle.oracle import AttemptSeconds, Bucket, Expected, RowKey
from tests.oracle.plan import Cluster
from tests.oracle.readings import PPM, WHOLE

Reader = Callable[[str], list[tuple[Any, ...]]]
Rows = dict[Bucket, dict[RowKey, tuple[Decimal, Decimal, Decimal]]]

LEDGER = """
select resource_id, cast(epoch(window_start) as bigint), line_item_type, sku, workload_key, attempt_key, cost_class, component, route, reason,
       sharing, is_unmeasured, sum(billed_cost), sum(effective_cost), sum(list_cost)
from published.fct_cost_allocation
group by all
"""
ATTEMPTS = """
select attempt_key, held_gpu_seconds, measured_gpu_seconds, used_gpu_seconds, held_unbilled_seconds, awaiting_bill_gpu_seconds
from published.fct_run_attempt_cost
where attempt_key <> ''
"""


def published(read: Reader) -> tuple[Rows, dict[str, tuple[Decimal, ...]]]:
    """The published ledger by bucket and row, and the seconds by attempt."""
    ledger: Rows = defaultdict(dict)
    for resource, hour, line_type, usage_type, *row in read(LEDGER):
        ledger[resource, hour, line_type, usage_type][tuple(row[:8])] = tuple(row[8:])  # type: ignore[assignment,index]
    return ledger, {row[0]: tuple(row[1:]) for row in read(ATTEMPTS)}


def seconds_of(expected: AttemptSeconds) -> tuple[Decimal, ...]:
    """The oracle's seconds as published: GPU-seconds cut to six places."""
    parts = (expected.held, expected.measured, expected.unbilled, expected.awaiting)
    held, measured, unbilled, awaiting = (Decimal(p * PPM // WHOLE) / PPM for p in parts)
    return held, measured, Decimal(expected.used_ppm // WHOLE) / PPM, unbilled, awaiting


def differences(clusters: Sequence[Cluster], expected: dict[str, Expected], read: Reader) -> dict[str, list[str]]:
    """Cluster -> what differs (nothing: the cluster is left out)."""
    ledger, attempts = published(read)
    told: dict[str, list[str]] = {}
    for cluster in clusters:
        want = expected[cluster.name]
        found = []
        for bucket in sorted({c.bucket for c in cluster.charges} | set(want.ledger)):
            found += _rows_that_differ(bucket, ledger.get(bucket, {}), want.ledger.get(bucket, {}))
        name = cluster.name
        prefixes = tuple(
            f"{start}{name}-" for start in ("training_run/", "unregistered/pod/x/", "unregistered/pod/ml/", "unregistered/job/job-")
        )
        mine = {key for key in attempts if key.startswith(prefixes)} | set(want.attempts)
        for key in sorted(mine):
            got, wish = attempts.get(key), seconds_of(want.attempts[key]) if key in want.attempts else None
            if got != wish:
                found.append(f"seconds {key} (held, measured, used, unbilled, awaiting):\n    got  {_text(got)}\n    want {_text(wish)}")
        if found:
            told[cluster.name] = found
    return told


def _rows_that_differ(bucket: Bucket, got: dict[RowKey, Any], want: dict[RowKey, Any]) -> list[str]:
    lines = []
    for key in sorted(set(got) | set(want), key=str):
        if got.get(key) != want.get(key):
            lines.append(f"{_place(bucket)} {key}:\n    got  {_text(got.get(key))}\n    want {_text(want.get(key))}")
    return lines


def _place(bucket: Bucket) -> str:
    return f"{bucket[0]} {dt.datetime.fromtimestamp(bucket[1], dt.UTC):%H:%M} {bucket[2]} {bucket[3]}"


def _text(values: tuple[Decimal, ...] | None) -> str:
    return "nothing" if values is None else ", ".join(str(v) for v in values)
