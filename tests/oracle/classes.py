"""What a billed second of a GPU is called: the classes and reasons of its parts, and how the node's price divides between GPUs and host.

Belongs here: weights of one node and hour. Does not: who held a second (seconds.py, sharing.py), bills and money (oracle.py).
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from itertools import compress

from tests.oracle.plan import Cluster, Node
from tests.oracle.readings import HOUR, IDLE_PPM, LABELLED, PPM, WHOLE, Device, Hold, Unit

# (workload_key, attempt_key, cost_class, reason, sharing, is_unmeasured): what a part of a GPU-second is
PartKey = tuple[str | None, str | None, str, str | None, str, bool]


def node_split(cluster: Cluster, node: Node, second: int) -> dict[str, int]:
    """component -> whole-number weight of the node's price, by the first rule that matches the node on the second's UTC day."""
    date = dt.datetime.fromtimestamp(second, dt.UTC).date().isoformat()
    provider = node.provider or cluster.name
    fits = (
        r for r in cluster.node_split if (r.pool or node.pool) == node.pool and (r.provider or provider) == provider and r.holds_on(date)
    )
    method = next((r.method for r in fits), "gpu_only")
    gpus, vcpus, memory = node.gpu_count, Decimal(node.vcpus or 0), Decimal(node.memory_gib or 0)
    if method == "fixed_95_3_2":
        return {"gpu": 95, "host": 5}
    if not node.vcpus or not node.memory_gib or method == "gpu_only":
        return {"gpu": 1}
    if method == "weights_9_1":
        return {"gpu": 9000 * gpus, "host": _whole(900 * vcpus + 100 * memory)}
    assert method == "base_price"
    return {"gpu": 950_000 * gpus, "host": _whole(31_611 * vcpus + 4_237 * memory)}


def _whole(weight: Decimal) -> int:
    """A weight is whole: half of it up."""
    return int(weight + Decimal("0.5"))


def inventoried(node: Node, devices: list[Device], hour: int, lo: int) -> list[Device]:
    """As many GPUs as the inventory counts; where more are told of, those with most evidence in the hour."""

    def evidence(device: Device) -> tuple[int, int, str]:
        part = range(hour - lo, hour - lo + HOUR)
        covered = sum(u.covered[n] for u in device.units for n in part)
        return -covered, -sum(bool(u.holds[n].holders) for u in device.units for n in part), device.key

    return sorted(devices, key=evidence)[: node.gpu_count]


def parts_of(node: Node, devices: list[Device], seconds: set[int], unplaced: int, hour: int, lo: int) -> dict[PartKey, int]:
    """What each part of the billed GPU-seconds is, in parts x seconds x millionths."""
    weights: dict[PartKey, int] = defaultdict(int)
    part, is_billed = slice(hour - lo, hour - lo + HOUR), [s in seconds for s in range(hour, hour + HOUR)]
    for device in devices:
        for unit in device.units:
            known = dict(zip(map(id, unit.holds[part]), unit.holds[part], strict=True))
            counted = [billed and live for billed, live in zip(is_billed, unit.live[part], strict=True)]
            states = Counter(compress(zip(map(id, unit.holds[part]), unit.covered[part], strict=True), counted))
            for (state, is_covered), count in states.items():
                for key, weight in classes(unit, known[state], is_covered, hour):
                    weights[key] += count * weight
        for (idle, stranded), count in Counter(compress(device.remainder[part], is_billed)).items():
            weights[None, None, "unallocated_idle", "profile_fits", "mig", False] += count * idle * PPM
            weights[None, None, "stranded", "outside_any_instance", "mig", False] += count * stranded * PPM
    if unplaced:
        weights[None, None, "unknown", "billed_window_mismatch", "none", False] += WHOLE * node.gpu_count * unplaced * PPM
    weights = defaultdict(int, {key: weight for key, weight in weights.items() if weight > 0})
    assert sum(weights.values()) == WHOLE * PPM * node.gpu_count * (len(seconds) + unplaced), "a physical GPU sums to its parts"
    return weights


def classes(unit: Unit, state: Hold, is_covered: bool, hour: int) -> Iterator[tuple[PartKey, int]]:
    """The classes of one second of a unit, in parts x millionths."""

    def row(who: tuple[str | None, str | None], cost_class: str, reason: str | None = None) -> PartKey:
        return *who, cost_class, reason, *flags

    nobody, left = (None, None), unit.parts - state.parts
    flags = (state.sharing, state.is_unmeasured)
    for holder in state.holders:
        who = holder.workload, holder.attempt
        flags = holder.flags or (state.sharing, state.is_unmeasured)
        activity = unit.activity.get((hour, holder.attempt))
        if holder.evidence == "count_only":
            yield row(who, "unknown", "count_only"), holder.parts * PPM
        elif not is_covered:
            yield row(who, "unknown", "no_samples"), holder.parts * PPM
        elif activity is None:
            yield row(who, "unknown", "no_activity_value"), holder.parts * PPM
        else:
            yield row(who, "used"), holder.parts * activity
            no_process = unit.no_process.get((hour, holder.attempt))
            if no_process is None:
                yield row(who, "held_idle", "process_unknown"), holder.parts * (PPM - activity)
            else:
                no_process = min(no_process, PPM - activity)
                yield row(who, "held_idle", "no_process"), holder.parts * no_process
                yield row(who, "held_idle", "low_activity"), holder.parts * (PPM - activity - no_process)
    if not left:
        return
    activity, flags = unit.activity.get((hour, "")), (state.sharing, state.is_unmeasured)
    if not is_covered:
        yield row(nobody, "unknown", "no_samples"), left * PPM
    elif state.holders:
        is_labelled = any(h.evidence in LABELLED for h in state.holders)
        told = ("unattributed", "shared_unlabelled") if is_labelled else ("unallocated_idle", "unrequested_share")
        yield row(nobody, *told), left * PPM
    elif activity is None:
        yield row(nobody, "unknown", "no_activity_value"), left * PPM
    elif activity <= IDLE_PPM:
        yield row(nobody, "unallocated_idle"), left * PPM
    else:
        yield row(nobody, "unattributed", "active_unlabelled"), left * PPM
