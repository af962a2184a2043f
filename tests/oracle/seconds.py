"""Who held each second of each unit, and whether it was observed.

Belongs here: labels and intervals to claims, fills; second by second. Does not: which units a GPU has (devices.py), how claimants of one unit
divide it (sharing.py), how active it was (activity.py), bills and money (oracle.py).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import compress

from tests.oracle import sharing
from tests.oracle.activity import measure, series_key
from tests.oracle.devices import names
from tests.oracle.plan import Cluster, Interval, Node, Sample
from tests.oracle.readings import (
    DAY,
    MAX_GAP_SECONDS,
    PPM,
    Claim,
    Device,
    Hold,
    Holder,
    Reading,
    Unit,
)

Claims = list[tuple[Claim, ...]]  # by second


def _label(sample: Sample) -> str | None:
    if sample.hpc_job:
        return f"job/{sample.hpc_job}"
    return f"pod/{sample.namespace}/{sample.pod}" if sample.pod else None


def _slot_label(cluster: Cluster, samples: list[Sample]) -> Sample:
    """Whose slot it is: each exporter's latest word, a labelled one before an unlabelled one, the later before the earlier. At one instant
    the label that sorts first."""

    def name(sample: Sample) -> tuple[bool, str, bool, str]:
        return _label(sample) is None, _label(sample) or "", not sample.pod_uid, sample.pod_uid

    words: dict[str, Sample] = {}
    for sample in sorted(samples, key=lambda s: (-s.micros, name(s))):
        words.setdefault(sample.exporter, sample)
    return min(words.values(), key=lambda s: (_label(s) is None, -s.micros, name(s), series_key(cluster, s.exporter)))


def _every_label(samples: list[Sample]) -> list[Sample]:
    """One sample for each label of a slot of a shared unit."""
    return list({(_label(s), s.pod_uid): s for s in samples if _label(s) is not None}.values())


# --- who holds a second


def _meant(cluster: Cluster, node: Node, sample: Sample) -> list[Interval]:
    """The intervals that a sample's label can mean on this node, those without length among them: they hold nothing, and nobody else does."""
    fits = []
    for interval in cluster.intervals:
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


def _claim(evidence: str, interval: Interval) -> Claim:
    return Claim(evidence, interval.workload_key, interval.attempt_key, interval)


def hold(cluster: Cluster, node: Node, devices: list[Device], lo: int, hi: int, reading: Reading) -> None:
    """Fill in holds, covered and activity of every second of every unit."""
    here = [i for i in cluster.intervals if i.hostname == node.hostname and (i.end is None or i.end > i.start)]
    units = [unit for device in devices for unit in device.units]
    regimes = {day: sharing.declared(cluster, node, day) for day in range(lo // DAY * DAY, hi, DAY)}
    by_slot = {unit.key: _label_claims(cluster, node, unit, lo, hi, False) for unit in units}
    by_each = {unit.key: _label_claims(cluster, node, unit, lo, hi, True) for unit in units} if any(regimes.values()) else by_slot
    edges: dict[str, dict[int, set[int]]] = {unit.key: {} for unit in units}
    for unit in units:
        unit.holds = [Hold()] * (hi - lo)
    for day, declaration in regimes.items():
        seconds = range(max(lo, day), min(hi, day + DAY))
        labels = by_each if declaration else by_slot
        seen = _label_seconds(units, labels, seconds, lo)
        whole, pool, named = [], [], []
        chosen = {}
        before = _ended_before(cluster, node, units, day)
        for interval in (
            i for i in here if i.start < day + DAY and (i.end is None or i.end > day)
        ):  # where the inventory lacks the node, a count says nothing: only names and labels tell which GPUs
            count = sharing.count_of(interval)
            if interval.gpu_ids:
                named.append(interval)
            elif interval in seen:
                if count is not None or reading.labels_choose_without_count:
                    chosen[interval] = _chosen(count, seen[interval])
            elif count and sharing.is_known(node, day):
                (whole if count >= node.gpu_count else pool).append(interval)
        for unit in units:
            mine = [_claim("interval", i) for i in named if unit.gpu is not None and names(i, unit.gpu)]
            mine += [_claim("label_chosen", i) for i, keys in chosen.items() if unit.key in keys]
            mine += [_claim("whole_node", i) for i in whole]
            intervals = [c.interval for c in mine if c.interval is not None]
            turns = {t for i in intervals for t in (i.start, i.end) if t is not None}
            edges[unit.key][day] = turns | _label_ends(labels[unit.key], lo, seconds) | before[unit.key] | _returns(unit, seconds, lo)
            _hold_unit(unit, mine, labels[unit.key], turns, declaration, seconds, lo)
        _take_from_pool(units, sorted(pool, key=lambda i: i.start), seconds, lo)
    for unit in units:
        _cover(unit, cluster.slot_seconds, edges[unit.key], node, lo, hi)
        measure(unit, cluster, lo)


def _hold_unit(
    unit: Unit, mine: list[Claim], labels: Claims, turns: set[int], declaration: sharing.Declaration | None, seconds: range, lo: int
) -> None:
    """Resolve the claims of every second; between two seconds in which no claim changes the outcome is the same one."""
    state = None
    for second in seconds:
        n = second - lo
        if state is None or second in turns or labels[n] is not labels[n - 1]:
            running = [c for c in mine if c.interval is not None and _active(c.interval, second)]
            state = sharing.resolve(unit, [*running, *labels[n]], declaration)
        if unit.live[n]:
            unit.holds[n] = state


def _label_claims(cluster: Cluster, node: Node, unit: Unit, lo: int, hi: int, is_shared: bool) -> Claims:
    """Per second what the labels claim, fills included. ``is_shared``: every label of a slot has its say; else one label takes it."""
    claims: Claims = [()] * (hi - lo)
    slots = sorted(unit.slots)
    meant_of: dict[tuple[str, str, str, str], list[Interval]] = {}
    before: tuple[Claim, ...] = ()
    for position, slot in enumerate(slots):
        winners = _every_label(unit.slots[slot]) if is_shared else [_slot_label(cluster, unit.slots[slot])]
        winners = [w for w in winners if _label(w) is not None]
        if not winners:
            continue
        end = slot + cluster.slot_seconds + MAX_GAP_SECONDS
        if position + 1 < len(slots):
            end = min(end, slots[position + 1])
        found: list[tuple[str, list[Interval]]] = []
        for winner in winners:
            mark = (winner.hpc_job, winner.namespace, winner.pod, winner.pod_uid)
            if mark not in meant_of:
                meant_of[mark] = _meant(cluster, node, winner)
            found.append((f"unregistered/{_label(winner)}", meant_of[mark]))
        turns = {t for _, meant in found for i in meant for t in (i.start, i.end)} | set(range(slot // DAY * DAY, end, DAY))
        first = max(slot, lo)
        for second in range(first, min(end, hi)):
            if second == first or second in turns:
                now = _labelled(found, second)
                before = before if before == now else now
            claims[second - lo] = before
    return claims


def _labelled(found: list[tuple[str, list[Interval]]], second: int) -> tuple[Claim, ...]:
    """The claims of some labels in a second: each means at most one interval, the one that started last; or nobody's that is registered."""
    claims = set()
    day = second // DAY * DAY
    for unregistered, told in found:
        meant = [i for i in told if i.start < day + DAY and (i.end is None or i.end > day - DAY)]  # those that the day knows
        running = [i for i in meant if _active(i, second)]
        if not meant:
            claims.add(Claim("label", unregistered, unregistered, None))
        elif running:
            claims.add(_claim("label", min(running, key=lambda i: (-i.start, i.attempt_key))))
    return tuple(sorted(claims, key=lambda c: c.attempt))


def _label_seconds(units: list[Unit], labels: dict[str, Claims], seconds: range, lo: int) -> dict[Interval, dict[str, int]]:
    """Interval -> unit -> seconds under the interval's own label."""
    seen: dict[Interval, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for unit in units:
        part = slice(seconds.start - lo, seconds.stop - lo)
        told = dict(zip(map(id, labels[unit.key][part]), labels[unit.key][part], strict=True))
        counts = Counter(compress(map(id, labels[unit.key][part]), unit.live[part]))
        for claims, count in ((told[i], n) for i, n in counts.items()):
            for claim in claims:
                if claim.interval is not None:
                    seen[claim.interval][unit.key] += count
    return seen


def _chosen(count: object, seen: dict[str, int]) -> set[str]:
    """The units that the interval's label chose: those on which it was seen longest, up to the count."""
    ranked = sorted(seen, key=lambda key: (-seen[key], key))
    return set(ranked if count is None else ranked[: math.ceil(count)])  # type: ignore[arg-type,call-overload]


def _label_ends(claims: Claims, lo: int, seconds: range) -> set[int]:
    """Seconds at which a label stopped to hold because its interval ended."""
    ends = set()
    before: tuple[Claim, ...] = ()
    for second in seconds:
        now = claims[second - lo]
        if now is not before:
            before, last = now, {c.interval.end for c in now if c.interval is not None}
        if now and second + 1 in last:
            ends.add(second + 1)
    return ends


def _ended_before(cluster: Cluster, node: Node, units: list[Unit], day: int) -> dict[str, set[int]]:
    """Unit -> ends of intervals that were over when the day began, as the day knows them: by name, by a label in its lead-in, by a count that
    is all of the node."""
    lead_in = range(day - 60 * cluster.slot_seconds, day)
    bore = {
        unit.key: {i for slot in unit.slots if slot in lead_in for s in unit.slots[slot] if _label(s) for i in _meant(cluster, node, s)}
        for unit in units
    }
    labelled = set().union(*bore.values())
    ends: dict[str, set[int]] = {unit.key: set() for unit in units}
    for interval in cluster.intervals:
        if interval.end is None or not interval.start < interval.end <= day:
            continue
        is_here, count = interval.hostname == node.hostname, sharing.count_of(interval)
        is_whole = not interval.gpu_ids and count and count >= node.gpu_count and interval not in labelled and sharing.is_known(node, day)
        for unit in units:
            is_named = unit.gpu is not None and names(interval, unit.gpu)
            if interval in bore[unit.key] or (is_here and (is_named or is_whole)):
                ends[unit.key].add(interval.end)
    return ends


def _returns(unit: Unit, seconds: range, lo: int) -> set[int]:
    """Seconds at which the unit is there again (or for the first time) within the day."""
    return {s for s in seconds[1:] if unit.live[s - lo] and not unit.live[s - 1 - lo]}


def _cover(unit: Unit, slot_seconds: int, edges: dict[int, set[int]], node: Node, lo: int, hi: int) -> None:
    """Observed slots, and behind each its fill: at most the gap, never past a sample, an edge, or the node's end.

    ``edges``: by day, what the day knows; of the node's stretches it knows those that touch it.
    """
    unit.covered = [False] * (hi - lo)
    slots = sorted(unit.slots)
    for position, slot in enumerate(slots):
        after = slot + slot_seconds
        anchor = max(s.micros // PPM for s in unit.slots[slot])
        stop = after + MAX_GAP_SECONDS
        if position + 1 < len(slots):
            stop = min(stop, slots[position + 1])
        for day in range(max(slot, lo) // DAY * DAY, min(max(stop, after), hi), DAY):
            known = edges[day] | {b for a, b in node.validity if b is not None and b > day and (a is None or a < day + DAY)}
            until = min([stop, *(max(e, after) for e in known if e > anchor)])
            for second in range(max(slot, lo, day), min(max(until, after), hi, day + DAY)):
                unit.covered[second - lo] = unit.live[second - lo]


def _take_from_pool(units: list[Unit], waiting: list[Interval], seconds: range, lo: int) -> None:
    """Intervals that have only a count smaller than the node's take parts of what is free, earliest start first."""
    turns = {t for i in waiting for t in (i.start, i.end)}
    fractions = {i.attempt_key for i in waiting if sharing.is_fractional(i)}
    known: dict[tuple[object, ...], list[tuple[Unit, Hold]]] = {}
    for second in seconds if waiting else ():
        wanted = tuple(i.attempt_key for i in waiting if _active(i, second))
        free = [u for u in units if u.live[second - lo] and not u.holds[second - lo].holders] if wanted else []
        key = (second in turns, wanted, *(id(u) for u in free), *(u.holds[second - lo].sharing for u in free))
        if second in turns or key not in known:
            held = sharing.take_from_pool(free, [i for i in waiting if _active(i, second)])
            known[key] = [(u, _pooled(held[u.key], fractions, u.holds[second - lo])) for u in free if u.key in held]
        for unit, state in known[key]:
            unit.holds[second - lo] = state


def _pooled(holders: tuple[Holder, ...], fractions: set[str], was: Hold) -> Hold:
    """The unit's state once counts alone have taken from it; ``fractions``: the attempts whose count has a fraction."""
    shared = (was.sharing if was.sharing not in ("none", "mig") else "fractional", True)
    flagged = tuple(replace(h, flags=shared if h.attempt in fractions else (was.sharing, False)) for h in holders)
    return Hold(flagged, *(shared if any(h.attempt in fractions for h in holders) else (was.sharing, False)))
