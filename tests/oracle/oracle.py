"""The attribution rules in plain Python, second by second: what the ledger must say of a small planned cluster.

Belongs here: billed seconds and money, read from the contract ("from a node's price to workloads") and not from the SQL, with
which it shares no code and no data structure: it walks every second of every GPU, where the SQL works on masks, stretches and edges.
Does not: which units a GPU has (devices.py), who held a second (seconds.py, sharing.py), what it is called (classes.py), file
formats (files.py), how clusters come about (generate.py).

Where the contract leaves two readings open, the one of DECISIONS.md (9-14) or of the models is taken, and said in
readings.py (``DECLARED``); where the models still differ from the contract, ``Reading`` says how.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import repeat

from tests.oracle.classes import inventoried, node_split, parts_of
from tests.oracle.devices import devices_of
from tests.oracle.plan import Charge, Cluster, Gpu, Node
from tests.oracle.readings import (
    CONTRACT,
    DAY,
    HOUR,
    PPM,
    UNIT,
    Device,
    Reading,
)
from tests.oracle.seconds import hold
from tests.oracle.sharing import is_known

# (workload_key, attempt_key, cost_class, component, route, reason, sharing, is_unmeasured)
RowKey = tuple[str | None, str | None, str, str, str, str | None, str | None, bool | None]
Bucket = tuple[str, int, str, str]


@dataclass
class AttemptSeconds:
    """Seconds of one attempt x parts of a GPU; ``used`` in millionths of that."""

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
        devices = devices_of(cluster, node, lo, hi)
        hold(cluster, node, devices, lo, hi, reading)
        charges = by_resource.get(node.resource_id, [])
        billed = {hour: _billed(node, devices, charges, hour, lo) for hour in sorted({c.hour for c in charges if c.is_compute})}
        _attempt_seconds(expected, cluster, node, devices, billed, lo, hi, (first_day, last_day + DAY), reading)
        for hour in sorted({c.hour for c in charges}):
            _allocate_hour(expected, cluster, node, devices, [c for c in charges if c.hour == hour], billed.get(hour), hour, lo)
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


def _billed(node: Node, devices: list[Device], charges: list[Charge], hour: int, lo: int) -> tuple[set[int], int]:
    """(the seconds of the hour that the bill pays for, seconds billed that find no place)."""
    hours = sum((Fraction(c.usage_hours) for c in charges if c.hour == hour and c.is_compute), Fraction(0))
    seconds = max(0, min(HOUR, int(hours * HOUR + Fraction(1, 2))))
    if any(v != (None, None) for v in node.validity):
        valid = [s for s in range(hour, hour + HOUR) if any((a is None or a <= s) and (b is None or s < b) for a, b in node.validity)]
    else:
        observed = [s for s in range(hour, hour + HOUR) if any(u.covered[s - lo] for d in devices for u in d.units)]
        start = min(observed[0] if observed else hour, hour + HOUR - seconds)
        valid = list(range(start, hour + HOUR))
    return set(valid[:seconds]), seconds - min(seconds, len(valid))


def _attempt_seconds(
    expected: Expected, cluster: Cluster, node: Node, devices: list[Device], billed: dict[int, tuple[set[int], int]], lo: int, hi: int,
    days: tuple[int, int], reading: Reading,
) -> None:  # fmt: skip
    is_priced = {hour: _is_priced(cluster, node, billed, hour, reading) for hour in range(lo, days[1], HOUR)}
    for unit in (u for d in devices for u in d.units):
        known = dict(zip(map(id, unit.holds), unit.holds, strict=True))
        assert not unit.holds[0].holders or lo == days[0], "somebody holds before anything happens"
        for hour in range(lo, hi, HOUR):
            paid, part = billed.get(hour, (set(), 0))[0], slice(hour - lo, hour - lo + HOUR)
            are_paid = [s in paid for s in range(hour, hour + HOUR)] if paid else repeat(False)
            states = Counter(zip(map(id, unit.holds[part]), unit.covered[part], are_paid, strict=False))
            for (state, is_covered, is_paid), count in states.items():
                for holder in known[state].holders:
                    seconds, weight = expected.attempts[holder.attempt], holder.parts * count
                    activity = unit.activity.get((hour, holder.attempt))
                    seconds.held += weight
                    seconds.awaiting += 0 if is_priced[hour] else weight
                    seconds.unbilled += weight if is_priced[hour] and not is_paid else 0
                    if is_covered and holder.evidence != "count_only" and activity is not None:
                        seconds.measured += weight
                        seconds.used_ppm += weight * activity
        for hour in range(hi, days[1], HOUR):  # nothing happens after `hi`: its last second stands for all of them
            assert hour not in billed
            for holder in unit.holds[-1].holders:
                expected.attempts[holder.attempt].held += holder.parts * HOUR
                expected.attempts[holder.attempt].awaiting += 0 if is_priced[hour] else holder.parts * HOUR
                expected.attempts[holder.attempt].unbilled += holder.parts * HOUR if is_priced[hour] else 0


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
    expected: Expected, cluster: Cluster, node: Node, devices: list[Device], charges: list[Charge], billed: tuple[set[int], int] | None,
    hour: int, lo: int,
) -> None:  # fmt: skip
    seconds, unplaced = billed or (set(), 0)
    counted = inventoried(node, devices, hour, lo)
    units = [u for d in counted for u in d.units]
    is_explained = any(u.covered[s - lo] or u.holds[s - lo].holders for u in units for s in seconds)
    parts = parts_of(node, counted, seconds, unplaced, hour, lo)
    weights: dict[RowKey, int] = defaultdict(int)
    carriers: dict[RowKey, int] = defaultdict(int)
    for (workload, attempt, cost_class, reason, sharing, is_unmeasured), weight in parts.items():
        for component, component_weight in node_split(cluster, node, hour).items():
            weights[workload, attempt, cost_class, component, "telemetry", reason, sharing, is_unmeasured] += weight * component_weight
        if attempt is not None:
            carriers[workload, attempt, "not_measured", "other", "telemetry", None, None, None] += weight
    buckets: dict[Bucket, list[Charge]] = defaultdict(list)
    for charge in charges:
        buckets[charge.bucket].append(charge)
    for bucket, rows in buckets.items():
        first = rows[0]
        if first.line_type == "SavingsPlanNegation":
            shares = _one("unused_commitment", "other", None)
        elif first.line_type == "Refund":
            shares = _one("credit", "other", None)
        elif first.is_compute or first.line_type == "EdpDiscount":  # a discount on the machine goes where its price goes
            shares = dict(weights) if is_explained else _one("unknown", "gpu", "node_without_telemetry")
        else:
            shares = dict(carriers) if is_explained and carriers else _one("unattributed", "other", "untagged")
        split = [_split(sum((money_of(r)[basis] for r in rows), Decimal(0)), shares) for basis in range(3)]
        expected.ledger[bucket] = {key: (split[0][key], split[1][key], split[2][key]) for key in shares}


def _one(cost_class: str, component: str, reason: str | None) -> dict[RowKey, int]:
    """A bucket that goes to nobody as one row, off the telemetry route."""
    return {(None, None, cost_class, component, "none", reason, None, None): 1}


def money_of(charge: Charge) -> tuple[Decimal, Decimal, Decimal]:
    """(billed, effective, list) of one bill row."""
    unblended = Decimal(charge.unblended)
    listed = Decimal(charge.list_cost) if charge.list_cost else unblended
    if charge.line_type == "EdpDiscount":
        return unblended, unblended, Decimal(0)
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
        workload, attempt, cost_class, component, _, reason, sharing, is_unmeasured = key
        return (-(exact[key] - floors[key]), workload is not None, workload or "", cost_class, component, attempt is not None, attempt or "",
                reason is not None, reason or "", sharing is not None, sharing or "", is_unmeasured is not None, is_unmeasured or False)  # fmt: skip

    for key in sorted(shares, key=order)[:left]:
        floors[key] += 1
    sign = -1 if amount < 0 else 1
    return {key: sign * value * UNIT for key, value in floors.items()}
