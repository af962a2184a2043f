"""The attribution rules in plain Python, second by second: what the ledger must say of a small planned cluster.

Belongs here: an independent reading of the contract ("from a node's price to workloads") over dictionaries of seconds and slots. It shares
no code and no data structure with the SQL: it walks every second of every GPU, where the SQL works on masks, stretches and edges.
Does not: file formats (files.py), how clusters come about (generate.py).

Where the contract leaves two readings open, the one of DECISIONS.md (9-14) or of the models is taken, and said in ``DECLARED`` below;
where the models still differ from the contract, ``Reading`` says how.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from tests.oracle.plan import Charge, Cluster, Gpu, Interval, Node, Sample

DECLARED = """
- Activity is a whole number of millionths: per sample round(value), per holder and hour the mean over its slots, half up.
- The ladder of metrics is climbed per GPU, hour and holder; a slot cut by an interval's edge counts for the holder at its sample's second.
- Series of equal slot counts: the smaller digest of (source, exporter) wins.
- A labelled exporter beats an unlabelled one in the same slot (a second exporter changes nothing); then the later sample wins.
- Two intervals that name one GPU in one second: the one that started later has it.
- A fill stops at any second after the last sample at which an interval on that GPU ends or begins.
- An interval's label chooses, per day, the GPUs on which it was seen longest, up to its count, for the whole interval.
- A count that is less than the node's takes free GPUs in the order of their names; earlier intervals first.
- A node without validity times: billed seconds run from the first observed slot of the hour, moved back to fit into the hour.
- A day knows only the inventory rows that touch it, and its own labels: an interval holds on a node only on days that have the node, and
  a day on which its label is not seen takes it by its count alone.
- An hour in which nothing was observed or held, and one without a billed second, is `unknown` as one row without a route.
- Allocation rows are per attempt and reason; ties go by (workload, class, component, attempt, reason).
"""

HOUR, DAY = 3600, 86400
PPM = 1_000_000
SHARE = 28  # a whole GPU; published seconds are weights over 28
UNIT = Decimal("0.000000000001")
MAX_GAP_SECONDS = 120
IDLE_PPM = 10_000
RUNGS = (("sm_active", Decimal(1)), ("gr_engine_active", Decimal(1)), ("gpu_util", Decimal(100)))

# (workload_key, attempt_key, cost_class, component, route, reason)
RowKey = tuple[str | None, str | None, str, str, str, str | None]
Bucket = tuple[str, int, str, str]


@dataclass(frozen=True)
class Reading:
    """Where the models still differ from the contract, which of the two the oracle follows. The defaults are the contract's.

    labels_choose_without_count: whether an interval without a count keeps, for all its time, the GPUs on which its label was seen.
    passed_hours_are_priced: whether an hour without a charge counts as
    priced because that hour or a later one of that provider's day has one somewhere.
    """

    labels_choose_without_count: bool = False
    passed_hours_are_priced: bool = False


CONTRACT = Reading()
MODELS = Reading(labels_choose_without_count=True, passed_hours_are_priced=True)


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


@dataclass
class Unit:
    """One physical GPU of a node with what is known of it, second by second (index 0 = ``lo``)."""

    key: str
    gpu: Gpu | None
    slots: dict[int, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    covered: list[bool] = field(default_factory=list)
    holder: list[tuple[str, str, str] | None] = field(default_factory=list)  # (workload, attempt, evidence)
    activity: dict[tuple[int, str], int | None] = field(default_factory=dict)


def judge(cluster: Cluster, first_day: int, last_day: int, reading: Reading = CONTRACT) -> Expected:
    """Attribute a cluster over the UTC days that begin at ``first_day``..``last_day`` (seconds since 1970)."""
    expected = Expected()
    lo, hi = _span(cluster, first_day, last_day)
    by_resource: dict[str, list[Charge]] = defaultdict(list)
    for charge in cluster.charges:
        by_resource[charge.resource_id].append(charge)
    for node in [*cluster.nodes, *_unknown_hosts(cluster)]:
        units = _units(cluster, node)
        _hold(cluster, node, units, lo, hi, reading)
        charges = by_resource.get(node.resource_id, [])
        billed = {hour: _billed(node, units, charges, hour, lo) for hour in sorted({c.hour for c in charges if c.is_compute})}
        _attempt_seconds(expected, cluster, node, units, billed, lo, hi, (first_day, last_day + DAY), reading)
        for hour in sorted({c.hour for c in charges}):
            _allocate_hour(expected, node, units, [c for c in charges if c.hour == hour], billed.get(hour), hour, lo)
    return expected


def _unknown_hosts(cluster: Cluster) -> list[Node]:
    """Machines that telemetry tells of and the inventory does not: only labels can say who held them."""
    known = {node.hostname for node in cluster.nodes}
    hosts: dict[str, dict[Gpu, None]] = defaultdict(dict)
    for sample in cluster.samples:
        if sample.hostname not in known:
            hosts[sample.hostname][Gpu(sample.uuid, int(sample.index), sample.pci)] = None
    return [Node(host, "", tuple(gpus), len(gpus), is_known=False) for host, gpus in hosts.items()]


def _is_known(node: Node, day: int) -> bool:
    return node.is_known and (not node.validity or any((a is None or a < day + DAY) and (b is None or b > day) for a, b in node.validity))


def _span(cluster: Cluster, first_day: int, last_day: int) -> tuple[int, int]:
    """Whole hours around everything that happens, with an hour of margin: outside it nothing changes any more."""
    moments = [s.micros // PPM for s in cluster.samples] + [c.hour for c in cluster.charges] + [c.hour + HOUR for c in cluster.charges]
    moments += [t for i in cluster.intervals for t in (i.start, i.end) if t is not None]
    moments += [t for n in cluster.nodes for v in n.validity for t in v if t is not None]
    moments = [t for t in moments if first_day <= t <= last_day + DAY] or [first_day]
    lo = min(moments) // HOUR * HOUR - HOUR
    hi = (max(moments) // HOUR + 2) * HOUR
    return max(lo, first_day), min(hi, last_day + DAY)


# --- samples on GPUs


def _units(cluster: Cluster, node: Node) -> list[Unit]:
    """The node's GPUs in the order of their names: those that samples or the inventory tell of, then stand-ins up to the count."""
    found: dict[str, Unit] = {}
    if node.lists_gpus:
        found |= {g.key: Unit(g.key, g) for g in node.gpus}
    for sample in cluster.samples:
        if sample.hostname == node.hostname and _stands(node, sample.micros // PPM, cluster):
            gpu = next(g for g in node.gpus if str(g.index) == sample.index)
            unit = found.setdefault(gpu.key, Unit(gpu.key, gpu))
            slot = sample.micros // PPM // cluster.slot_seconds * cluster.slot_seconds
            unit.slots[slot].append(sample)
    for interval in cluster.intervals:  # a GPU that only an interval names
        if interval.hostname == node.hostname and interval.end != interval.start:
            for gpu in node.gpus:
                if _names(interval, gpu) and gpu.key not in found:
                    key = next(i.lower() for i in interval.gpu_ids if i.lower().lstrip("0") in gpu.names() or i in gpu.names())
                    found[gpu.key] = Unit(key, gpu)
    units = list(found.values())
    units += [Unit(f"unseen-{n + 1}", None) for n in range(node.gpu_count - len(units))]
    return sorted(units, key=lambda u: u.key)


def _stands(node: Node, second: int, cluster: Cluster) -> bool:
    """Whether the host name means this node at that second (it matters only where two machines had one name)."""
    if sum(n.hostname == node.hostname for n in cluster.nodes) == 1 or not node.validity:
        return True
    return any((a is None or a <= second) and (b is None or second < b) for a, b in node.validity)


def _names(interval: Interval, gpu: Gpu) -> bool:
    return any(i.lower() in gpu.names() or i.lower().lstrip("0") in gpu.names() for i in interval.gpu_ids)


def _label(sample: Sample) -> str | None:
    if sample.hpc_job:
        return f"job/{sample.hpc_job}"
    return f"pod/{sample.namespace}/{sample.pod}" if sample.pod else None


def _slot_label(samples: list[Sample]) -> Sample:
    """Whose slot it is: each exporter's latest word, a labelled one before an unlabelled one, the later before the earlier."""
    words: dict[str, Sample] = {}
    for sample in samples:
        held = words.get(sample.exporter)
        if held is None or (sample.micros, _label(sample) is not None) > (held.micros, _label(held) is not None):
            words[sample.exporter] = sample
    return max(words.values(), key=lambda s: (_label(s) is not None, s.micros))


# --- who holds a second


def _meant(cluster: Cluster, node: Node, sample: Sample) -> list[Interval]:
    """The intervals that a sample's label can mean on this node."""
    fits = []
    for interval in cluster.intervals:
        if interval.end is not None and interval.end <= interval.start:
            continue
        if interval.hostname and interval.hostname != node.hostname:
            continue
        if sample.hpc_job:
            fit = interval.hpc_job == sample.hpc_job
        else:
            same_uid = not sample.pod_uid or not interval.pod_uid or sample.pod_uid == interval.pod_uid
            fit = interval.pod != "" and (interval.pod, interval.namespace) == (sample.pod, sample.namespace) and same_uid
        if fit:
            fits.append(interval)
    return fits


def _active(interval: Interval, second: int) -> bool:
    return interval.start <= second and (interval.end is None or second < interval.end)


def _hold(cluster: Cluster, node: Node, units: list[Unit], lo: int, hi: int, reading: Reading) -> None:
    """Fill in holder, covered and activity of every second of every unit."""
    here = [i for i in cluster.intervals if i.hostname == node.hostname and (i.end is None or i.end > i.start)]
    labels = {unit.key: _label_claims(cluster, node, unit, lo, hi) for unit in units}
    edges = {unit.key: _label_ends(labels[unit.key], lo) for unit in units}
    for unit in units:
        unit.holder = [None] * (hi - lo)
    for day in range(lo // DAY * DAY, hi, DAY):
        seconds = range(max(lo, day), min(hi, day + DAY))
        seen = _label_seconds(labels, seconds, lo)
        whole, pool, named = [], [], []
        chosen = {}
        for interval in here if _is_known(node, day) else []:
            if interval.gpu_ids:
                named.append(interval)
            elif interval in seen:
                if interval.gpu_count is not None or reading.labels_choose_without_count:
                    chosen[interval] = _chosen(interval, seen[interval])
            elif interval.gpu_count:
                (whole if interval.gpu_count >= node.gpu_count else pool).append(interval)
        for unit in units:
            mine = [i for i in named if unit.gpu is not None and _names(i, unit.gpu)]
            by_choice = [i for i, keys in chosen.items() if unit.key in keys]
            for second in seconds:
                unit.holder[second - lo] = _first_holder(second, mine, labels[unit.key][second - lo], by_choice, whole)
            for interval in (*mine, *by_choice, *whole):
                edges[unit.key].add(interval.start)
                if interval.end is not None:
                    edges[unit.key].add(interval.end)
        _take_from_pool(units, pool, seconds, lo)
    for unit in units:
        _cover(unit, cluster.slot_seconds, edges[unit.key], node, lo, hi)
        _measure(unit, cluster, lo)


def _first_holder(
    second: int, named: list[Interval], label: tuple[str, str, Interval | None] | None, chosen: list[Interval], whole: list[Interval]
) -> tuple[str, str, str] | None:
    def latest(intervals: list[Interval], evidence: str) -> tuple[str, str, str] | None:
        running = [i for i in intervals if _active(i, second)]
        if not running:
            return None
        start = max(i.start for i in running)
        best = min((i for i in running if i.start == start), key=lambda i: i.attempt_key)
        return best.workload_key, best.attempt_key, evidence

    by_label = (label[0], label[1], "label") if label else None
    return latest(named, "interval") or by_label or latest(chosen, "label_chosen") or latest(whole, "whole_node")


def _label_claims(cluster: Cluster, node: Node, unit: Unit, lo: int, hi: int) -> list[tuple[str, str, Interval | None] | None]:
    """Per second the (workload, attempt, interval) that the slot's label gives it, fills included; None where it gives nobody."""
    claims: list[tuple[str, str, Interval | None] | None] = [None] * (hi - lo)
    slots = sorted(unit.slots)
    for position, slot in enumerate(slots):
        winner = _slot_label(unit.slots[slot])
        label = _label(winner)
        if label is None:
            continue
        meant = _meant(cluster, node, winner)
        end = slot + cluster.slot_seconds + MAX_GAP_SECONDS
        if position + 1 < len(slots):
            end = min(end, slots[position + 1])
        for second in range(max(slot, lo), min(end, hi)):
            if not meant:
                claims[second - lo] = (f"unregistered/{label}", f"unregistered/{label}", None)
                continue
            running = [i for i in meant if _active(i, second)]
            if running:
                start = max(i.start for i in running)
                best = min((i for i in running if i.start == start), key=lambda i: i.attempt_key)
                claims[second - lo] = (best.workload_key, best.attempt_key, best)
    return claims


def _label_seconds(labels: dict[str, list[tuple[str, str, Interval | None] | None]], seconds: range, lo: int) -> dict[Interval, dict[str, int]]:
    """Interval -> GPU -> seconds under the interval's own label."""
    seen: dict[Interval, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for key, claims in labels.items():
        for second in seconds:
            claim = claims[second - lo]
            if claim is not None and claim[2] is not None:
                seen[claim[2]][key] += 1
    return seen


def _chosen(interval: Interval, seen: dict[str, int]) -> set[str]:
    """The GPUs that the interval's label chose: those on which it was seen longest, up to the count."""
    ranked = sorted(seen, key=lambda key: (-seen[key], key))
    return set(ranked if interval.gpu_count is None else ranked[: interval.gpu_count])


def _label_ends(claims: list[tuple[str, str, Interval | None] | None], lo: int) -> set[int]:
    """Seconds at which a label stopped to hold because its interval ended."""
    ends = set()
    for n, claim in enumerate(claims):
        if claim is not None and claim[2] is not None and claim[2].end == lo + n + 1:
            ends.add(lo + n + 1)
    return ends


def _cover(unit: Unit, slot_seconds: int, edges: set[int], node: Node, lo: int, hi: int) -> None:
    """Observed slots, and behind each its fill: at most the gap, never past a sample, an edge, or the node's end."""
    unit.covered = [False] * (hi - lo)
    ends = {b for _, b in node.validity if b is not None}
    slots = sorted(unit.slots)
    for position, slot in enumerate(slots):
        after = slot + slot_seconds
        for second in range(max(slot, lo), min(after, hi)):
            unit.covered[second - lo] = True
        anchor = max(s.micros // PPM for s in unit.slots[slot])
        stop = after + MAX_GAP_SECONDS
        if position + 1 < len(slots):
            stop = min(stop, slots[position + 1])
        stop = min([stop, *(max(e, after) for e in edges | ends if e > anchor)])
        for second in range(max(after, lo), min(stop, hi)):
            unit.covered[second - lo] = True


def _take_from_pool(units: list[Unit], counted: list[Interval], seconds: range, lo: int) -> None:
    """Intervals that have only a count smaller than the node's take free GPU-seconds, earliest start first."""
    wanted = sorted(counted, key=lambda i: i.start)
    for second in seconds if wanted else ():
        free = [u for u in units if u.holder[second - lo] is None]
        for interval in wanted:
            if _active(interval, second):
                count = interval.gpu_count or 0
                for unit in free[:count]:
                    unit.holder[second - lo] = (interval.workload_key, interval.attempt_key, "count_only")
                free = free[count:]


# --- how active


def _ppm(text: str, scale: Decimal) -> int | None:
    try:
        value = Decimal(text)
    except ArithmeticError:
        return None
    if not value.is_finite() or not 0 <= value <= scale:
        return None
    return int((value / scale * PPM).to_integral_value())


def _series_key(cluster: Cluster, exporter: str) -> str:
    exporter_part = f"={exporter}" if exporter else "~"
    return hashlib.md5(f"=dcgm-{cluster.slot_seconds}|{exporter_part}".encode()).hexdigest()  # noqa: S324


def _measure(unit: Unit, cluster: Cluster, lo: int) -> None:
    """Mean activity per (hour, holder) from the series that observed most slots of the hour."""
    hours: dict[int, dict[str, dict[int, list[Sample]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for slot, samples in unit.slots.items():
        for sample in samples:
            hours[slot // HOUR * HOUR][sample.exporter][slot].append(sample)
    for hour, series in hours.items():
        best = min(series, key=lambda e: (-len(series[e]), _series_key(cluster, e)))
        for holder in {_holder_at(unit, s.micros // PPM, lo) for samples in series[best].values() for s in samples}:
            unit.activity[hour, holder] = _mean(unit, series[best], holder, lo)


def _holder_at(unit: Unit, second: int, lo: int) -> str:
    at = unit.holder[second - lo] if 0 <= second - lo < len(unit.holder) else None
    return at[1] if at else ""


def _mean(unit: Unit, slots: dict[int, list[Sample]], holder: str, lo: int) -> int | None:
    for metric, scale in RUNGS:
        values = []
        for samples in slots.values():
            told = [(s.micros, v) for s in samples if (v := _ppm(getattr(s, metric), scale)) is not None and _holder_at(unit, s.micros // PPM, lo) == holder]
            if told:
                values.append(max(told)[1])
        if values:
            return (2 * sum(values) + len(values)) // (2 * len(values))
    return None


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
            return _is_known(node, hour // DAY * DAY)
    if reading.passed_hours_are_priced and _is_known(node, hour // DAY * DAY):
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
        split = [_split(sum((_money(r)[basis] for r in rows), Decimal(0)), shares) for basis in range(3)]
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


def _money(charge: Charge) -> tuple[Decimal, Decimal, Decimal]:
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
