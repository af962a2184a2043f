"""Who held each second of each GPU, whether it was observed, and how active it was.

Belongs here: samples to slots, labels and intervals to holders, fills, the mean activity of a holder in an hour; second by second.
Does not: bills and money (oracle.py).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from decimal import Decimal

from tests.oracle.plan import Cluster, Gpu, Interval, Node, Sample
from tests.oracle.readings import DAY, HOUR, MAX_GAP_SECONDS, PPM, RUNGS, Reading, Unit

Claim = tuple[str, str, Interval | None] | None  # (workload, attempt, its interval where it has one)


def is_known(node: Node, day: int) -> bool:
    return node.is_known and (not node.validity or any((a is None or a < day + DAY) and (b is None or b > day) for a, b in node.validity))


# --- samples on GPUs


def units_of(cluster: Cluster, node: Node) -> list[Unit]:
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


def hold(cluster: Cluster, node: Node, units: list[Unit], lo: int, hi: int, reading: Reading) -> None:
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
        for interval in here:  # where the inventory lacks the node, a count says nothing: only names and labels tell which GPUs
            if interval.gpu_ids:
                named.append(interval)
            elif interval in seen:
                if interval.gpu_count is not None or reading.labels_choose_without_count:
                    chosen[interval] = _chosen(interval, seen[interval])
            elif interval.gpu_count and is_known(node, day):
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
    second: int, named: list[Interval], label: Claim, chosen: list[Interval], whole: list[Interval]
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


def _label_claims(cluster: Cluster, node: Node, unit: Unit, lo: int, hi: int) -> list[Claim]:
    """Per second the (workload, attempt, interval) that the slot's label gives it, fills included; None where it gives nobody."""
    claims: list[Claim] = [None] * (hi - lo)
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


def _label_seconds(labels: dict[str, list[Claim]], seconds: range, lo: int) -> dict[Interval, dict[str, int]]:
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


def _label_ends(claims: list[Claim], lo: int) -> set[int]:
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


def series_key(cluster: Cluster, exporter: str) -> str:
    exporter_part = f"={exporter}" if exporter else "~"
    return hashlib.md5(f"=dcgm-{cluster.slot_seconds}|{exporter_part}".encode()).hexdigest()  # noqa: S324


def _measure(unit: Unit, cluster: Cluster, lo: int) -> None:
    """Mean activity per (hour, holder) from the series that observed most slots of the hour."""
    hours: dict[int, dict[str, dict[int, list[Sample]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for slot, samples in unit.slots.items():
        for sample in samples:
            hours[slot // HOUR * HOUR][sample.exporter][slot].append(sample)
    for hour, series in hours.items():
        best = min(series, key=lambda e: (-len(series[e]), series_key(cluster, e)))
        for holder in {_holder_at(unit, s.micros // PPM, lo) for samples in series[best].values() for s in samples}:
            unit.activity[hour, holder] = _mean(unit, series[best], holder, lo)


def _holder_at(unit: Unit, second: int, lo: int) -> str:
    at = unit.holder[second - lo] if 0 <= second - lo < len(unit.holder) else None
    return at[1] if at else ""


def _mean(unit: Unit, slots: dict[int, list[Sample]], holder: str, lo: int) -> int | None:
    for metric, scale in RUNGS:
        values = []
        for samples in slots.values():
            told = [
                (s.micros, v)
                for s in samples
                if (v := _ppm(getattr(s, metric), scale)) is not None and _holder_at(unit, s.micros // PPM, lo) == holder
            ]
            if told:
                values.append(max(told)[1])
        if values:
            return (2 * sum(values) + len(values)) // (2 * len(values))
    return None
