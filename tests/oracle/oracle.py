"""The attribution rules in plain Python, second by second: what the ledger must say of a small planned cluster.

Belongs here: billed seconds, classes and money, read from the contract ("from a node's price to workloads") and not from the SQL, with
which it shares no code and no data structure: it walks every second of every GPU, where the SQL works on masks, stretches and edges.
Does not: who held a second (seconds.py), file formats (files.py), how clusters come about (generate.py).

Where the contract leaves two readings open, the one of DECISIONS.md (9-14) or of the models is taken, and said in
readings.py (``DECLARED``); where the models still differ from the contract, ``Reading`` says how.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from tests.oracle.plan import Charge, Cluster, Gpu, Node
from tests.oracle.readings import CONTRACT, DAY, HOUR, IDLE_PPM, PPM, SHARE, UNIT, Reading, Unit
from tests.oracle.seconds import hold, is_known, units_of

# (workload_key, attempt_key, cost_class, component, route, reason)
RowKey = tuple[str | None, str | None, str, str, str, str | None]
Bucket = tuple[str, int, str, str]


@dataclass
class AttemptSeconds:
    """GPU-seconds of one attempt; ``used`` in millionths of a GPU-second."""

    held: int = 0
    measured: int = 0
    used_ppm: int = 0
    unbilled: int = 0
    awaiting: int = 0


@dataclass
class Expected:
    """What must be published of a cluster."""

    ledger: dict[Bucket, dict[RowKey, tuple[Decimal, Decimal, Decimal]]] = field(default_factory=dict)
    attempts: dict[str, AttemptSeconds] = field(default_factory=lambda: defaultdict(AttemptSeconds))


def judge(cluster: Cluster, first_day: int, last_day: int, reading: Reading = CONTRACT) -> Expected:
    """Attribute a cluster over the UTC days that begin at ``first_day``..``last_day`` (seconds since 1970)."""
    expected = Expected()
    lo, hi = _span(cluster, first_day, last_day)
    by_resource: dict[str, list[Charge]] = defaultdict(list)
    for charge in cluster.charges:
        by_resource[charge.resource_id].append(charge)
    for node in [*cluster.nodes, *_unknown_hosts(cluster)]:
        units = units_of(cluster, node)
        hold(cluster, node, units, lo, hi, reading)
        charges = by_resource.get(node.resource_id, [])
        billed = {hour: _billed(node, units, charges, hour, lo) for hour in sorted({c.hour for c in charges if c.is_compute})}
        _attempt_seconds(expected, cluster, node, units, billed, lo, hi, (first_day, last_day + DAY), reading)
        for hour in sorted({c.hour for c in charges}):
            _allocate_hour(expected, node, units, [c for c in charges if c.hour == hour], billed.get(hour), hour, lo)
    return expected


def _unknown_hosts(cluster: Cluster) -> list[Node]:
    """Machines that telemetry tells of and the inventory does not: labels, and intervals that name GPUs, say who held them."""
    known = {node.hostname for node in cluster.nodes}
    hosts: dict[str, dict[Gpu, None]] = defaultdict(dict)
    for sample in cluster.samples:
        if sample.hostname not in known:
            hosts[sample.hostname][Gpu(sample.uuid, int(sample.index), sample.pci)] = None
    return [Node(host, "", tuple(gpus), len(gpus), is_known=False) for host, gpus in hosts.items()]


def _span(cluster: Cluster, first_day: int, last_day: int) -> tuple[int, int]:
    """Whole hours around everything that happens, with an hour of margin: outside it nothing changes any more."""
    moments = [s.micros // PPM for s in cluster.samples] + [c.hour for c in cluster.charges] + [c.hour + HOUR for c in cluster.charges]
    moments += [t for i in cluster.intervals for t in (i.start, i.end) if t is not None]
    moments += [t for n in cluster.nodes for v in n.validity for t in v if t is not None]
    moments = [t for t in moments if first_day <= t <= last_day + DAY] or [first_day]
    lo = min(moments) // HOUR * HOUR - HOUR
    hi = (max(moments) // HOUR + 2) * HOUR
    return max(lo, first_day), min(hi, last_day + DAY)


# --- billed seconds and money


def _billed(node: Node, units: list[Unit], charges: list[Charge], hour: int, lo: int) -> tuple[set[int], int]:
    """(the seconds of the hour that the bill pays for, seconds billed that find no place)."""
    hours = sum((Fraction(c.usage_hours) for c in charges if c.hour == hour and c.is_compute), Fraction(0))
    seconds = max(0, min(HOUR, int(hours * HOUR + Fraction(1, 2))))
    if any(v != (None, None) for v in node.validity):
        valid = [s for s in range(hour, hour + HOUR) if any((a is None or a <= s) and (b is None or s < b) for a, b in node.validity)]
    else:
        observed = [s for s in range(hour, hour + HOUR) if any(u.covered[s - lo] for u in units)]
        start = min(observed[0] if observed else hour, hour + HOUR - seconds)
        valid = list(range(start, hour + HOUR))
    return set(valid[:seconds]), seconds - min(seconds, len(valid))


def _attempt_seconds(
    expected: Expected, cluster: Cluster, node: Node, units: list[Unit], billed: dict[int, tuple[set[int], int]], lo: int, hi: int,
    days: tuple[int, int], reading: Reading,
) -> None:  # fmt: skip
    for unit in units:
        for n, holder in enumerate(unit.holder):
            if holder is None:
                continue
            second = lo + n
            times = {second // HOUR * HOUR: 1}
            if second == hi - 1:  # nothing happens after `hi`: its last second stands for all of them
                times |= {hour: HOUR for hour in range(hi, days[1], HOUR)}
            assert second != lo or lo == days[0], "somebody holds before anything happens"
            seconds = expected.attempts[holder[1]]
            activity = unit.activity.get((second // HOUR * HOUR, holder[1]))
            if unit.covered[n] and holder[2] != "count_only" and activity is not None:
                seconds.measured += 1
                seconds.used_ppm += activity
            for hour, count in times.items():
                seconds.held += count
                if not _is_priced(cluster, node, billed, hour, reading):
                    seconds.awaiting += count
                elif second not in billed.get(hour, ({}, 0))[0]:
                    seconds.unbilled += count


def _is_priced(cluster: Cluster, node: Node, billed: dict[int, tuple[set[int], int]], hour: int, reading: Reading) -> bool:
    """Whether no bill is awaited for this hour of this node: it has come, or the inventory does not have the node in it."""
    if hour in billed:
        return True
    if not node.is_known:
        return False
    if any(v != (None, None) for v in node.validity):
        if not any((a is None or a < hour + HOUR) and (b is None or hour < b) for a, b in node.validity):
            return is_known(node, hour // DAY * DAY)
    if reading.passed_hours_are_priced and is_known(node, hour // DAY * DAY):
        known = {n.resource_id for n in cluster.nodes}
        return any(c.is_compute and c.resource_id in known and hour <= c.hour and c.hour // DAY == hour // DAY for c in cluster.charges)
    return False


def _allocate_hour(
    expected: Expected, node: Node, units: list[Unit], charges: list[Charge], billed: tuple[set[int], int] | None, hour: int, lo: int
) -> None:
    seconds, unplaced = billed or (set(), 0)
    counted = _inventoried_units(node, units, hour, lo)
    is_explained = any(u.covered[s - lo] or u.holder[s - lo] is not None for u in counted for s in seconds)
    weights = _weights(node, counted, seconds, unplaced, hour, lo)
    carriers: dict[RowKey, int] = defaultdict(int)
    for (workload, attempt, *_), weight in weights.items():
        if attempt is not None:
            carriers[workload, attempt, "not_measured", "other", "telemetry", None] += weight
    buckets: dict[Bucket, list[Charge]] = defaultdict(list)
    for charge in charges:
        buckets[charge.bucket].append(charge)
    for bucket, rows in buckets.items():
        first = rows[0]
        if first.line_type == "SavingsPlanNegation":
            shares: dict[RowKey, int] = {(None, None, "unused_commitment", "other", "none", None): 1}
        elif first.line_type == "Refund":
            shares = {(None, None, "credit", "other", "none", None): 1}
        elif first.is_compute:
            shares = dict(weights) if is_explained else {(None, None, "unknown", "gpu", "none", "node_without_telemetry"): 1}
        else:
            shares = dict(carriers) if is_explained and carriers else {(None, None, "unattributed", "other", "none", "untagged"): 1}
        split = [_split(sum((money_of(r)[basis] for r in rows), Decimal(0)), shares) for basis in range(3)]
        expected.ledger[bucket] = {key: (split[0][key], split[1][key], split[2][key]) for key in shares}


def _inventoried_units(node: Node, units: list[Unit], hour: int, lo: int) -> list[Unit]:
    """As many GPUs as the inventory counts; where more are told of, those with most evidence in the hour."""

    def evidence(unit: Unit) -> tuple[int, int, str]:
        part = range(hour - lo, hour - lo + HOUR)
        return -sum(unit.covered[n] for n in part), -sum(unit.holder[n] is not None for n in part), unit.key

    return sorted(units, key=evidence)[: node.gpu_count]


def _weights(node: Node, units: list[Unit], seconds: set[int], unplaced: int, hour: int, lo: int) -> dict[RowKey, int]:
    weights: dict[RowKey, int] = defaultdict(int)
    for unit in units:
        for second in seconds:
            for key, weight in _classes(unit, second, hour, lo):
                weights[key] += SHARE * weight
    if unplaced:
        weights[None, None, "unknown", "gpu", "telemetry", "billed_window_mismatch"] += SHARE * node.gpu_count * unplaced * PPM
    return {key: weight for key, weight in weights.items() if weight > 0}


def _classes(unit: Unit, second: int, hour: int, lo: int) -> Iterator[tuple[RowKey, int]]:
    """The classes of one GPU-second, in millionths."""
    holder = unit.holder[second - lo]
    workload, attempt, evidence = holder or (None, None, None)
    activity = unit.activity.get((hour, attempt or ""))

    def row(cost_class: str, reason: str | None = None) -> RowKey:
        return workload, attempt, cost_class, "gpu", "telemetry", reason

    if evidence == "count_only":
        yield row("unknown", "count_only"), PPM
    elif not unit.covered[second - lo]:
        yield row("unknown", "no_samples"), PPM
    elif activity is None:
        yield row("unknown", "no_activity_value"), PPM
    elif holder is not None:
        yield row("used"), activity
        yield row("held_idle"), PPM - activity
    elif activity <= IDLE_PPM:
        yield row("unallocated_idle"), PPM
    else:
        yield row("unattributed", "active_unlabelled"), PPM


def money_of(charge: Charge) -> tuple[Decimal, Decimal, Decimal]:
    """(billed, effective, list) of one bill row."""
    unblended = Decimal(charge.unblended)
    listed = Decimal(charge.list_cost) if charge.list_cost else unblended
    if charge.line_type == "SavingsPlanNegation":
        return Decimal(0), Decimal(0), Decimal(0)
    if charge.line_type == "SavingsPlanCoveredUsage":
        return Decimal(0), Decimal(charge.plan_effective), listed
    return unblended, unblended, listed


def _split(amount: Decimal, shares: dict[RowKey, int]) -> dict[RowKey, Decimal]:
    """Floor to the unit, then one unit each to the largest remainders; a refund is split as the charge with its sign turned."""
    units = int(abs(amount) / UNIT)
    total = sum(shares.values())
    exact = {key: Fraction(units * weight, total) for key, weight in shares.items()}
    floors = {key: int(value) for key, value in exact.items()}
    left = units - sum(floors.values())

    def order(key: RowKey) -> tuple[object, ...]:
        workload, attempt, cost_class, component, _, reason = key
        return (-(exact[key] - floors[key]), workload is not None, workload or "", cost_class, component, attempt is not None, attempt or "",
                reason is not None, reason or "")  # fmt: skip

    for key in sorted(shares, key=order)[:left]:
        floors[key] += 1
    sign = -1 if amount < 0 else 1
    return {key: sign * value * UNIT for key, value in floors.items()}
