"""The physical GPUs of a node, the instances into which they were cut, and when each existed.

Belongs here: samples to GPUs and instances, the size of an instance, the layout of a GPU through a day. Does not: who held a unit
(seconds.py, sharing.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.oracle.plan import Cluster, Gpu, Interval, Node, Sample
from tests.oracle.readings import DAY, PPM, WHOLE, Device, Unit

MEMORY_GB = (("H100 NVL", 96), ("A100", 80), ("H100", 80), ("H200", 141), ("B200", 180), ("A30", 24))
MEMORY_SLICES_UNKNOWN = {"1g": 1, "2g": 2, "3g": 4, "4g": 4, "7g": 8}


def names(interval: Interval, gpu: Gpu) -> bool:
    """Whether the interval names this GPU, in any spelling."""
    return any(i.lower() in gpu.names() or i.lower().lstrip("0") in gpu.names() for i in interval.gpu_ids)


def devices_of(cluster: Cluster, node: Node, lo: int, hi: int) -> list[Device]:
    """The node's GPUs in the order of their names: those that samples or the inventory tell of, then stand-ins up to the count."""
    found: dict[str, Device] = {}
    if node.lists_gpus:
        found |= {g.key: Device(g.key, g) for g in node.gpus}
    told: dict[str, list[Sample]] = {}
    for sample in cluster.samples:
        if sample.hostname == node.hostname and _stands(node, sample.micros // PPM, cluster):
            gpu = next(g for g in node.gpus if str(g.index) == sample.index)
            found.setdefault(gpu.key, Device(gpu.key, gpu))
            told.setdefault(gpu.key, []).append(sample)
    for interval in cluster.intervals:  # a GPU that only an interval names
        if interval.hostname == node.hostname and interval.end != interval.start:
            for gpu in node.gpus:
                if names(interval, gpu) and gpu.key not in found:
                    key = next(i.lower() for i in interval.gpu_ids if i.lower().lstrip("0") in gpu.names() or i in gpu.names())
                    found[gpu.key] = Device(key, gpu)
    devices = list(found.values())
    devices += [Device(f"unseen-{n + 1}", None) for n in range(node.gpu_count - len(devices))]
    for device in devices:
        _cut(device, told.get(device.key, []), cluster.slot_seconds, lo, hi)
    return sorted(devices, key=lambda d: d.key)


def _stands(node: Node, second: int, cluster: Cluster) -> bool:
    """Whether the host name means this node at that second (it matters only where two machines had one name)."""
    if sum(n.hostname == node.hostname for n in cluster.nodes) == 1 or not node.validity:
        return True
    return any((a is None or a <= second) and (b is None or second < b) for a, b in node.validity)


# --- sizes


def model_slices(model: str) -> int:
    """Compute slices of a GPU of this model."""
    return 4 if re.search(r"\bA30\b", model) else 7


def profile_slices(profile: str) -> int:
    """Compute slices of an instance: 3 of 3g.20gb."""
    return int(re.match(r"(\d+)g", profile)[1])  # type: ignore[index]


def memory_slices(model: str, profile: str) -> int:
    """Memory slices of an instance: its share of the GPU's memory, of the 8 (A30: 4) into which that is cut."""
    slices = 4 if model_slices(model) == 4 else 8
    in_name = re.search(r"(\d+) ?GB", model)
    whole = int(in_name[1]) if in_name else next((gb for name, gb in MEMORY_GB if name in model), None)
    compute, _, memory = profile.partition(".")
    if whole is None or not memory:
        return MEMORY_SLICES_UNKNOWN[compute]
    gigabytes = int(re.match(r"(\d+)gb", memory)[1])  # type: ignore[index]
    return (2 * gigabytes * slices + whole) // (2 * whole)


def instance_parts(model: str, profile: str) -> int:
    """Parts of the physical GPU that an instance has."""
    return WHOLE * profile_slices(profile) // model_slices(model)


def remainder_of(model: str, profiles: Iterable[str]) -> tuple[int, int]:
    """(idle parts, stranded parts) that instances of these profiles leave of a GPU: a slice of compute is of use with a slice of memory."""
    slices = model_slices(model)
    profiles = list(profiles)
    compute = slices - sum(profile_slices(p) for p in profiles)
    memory = (4 if slices == 4 else 8) - sum(memory_slices(model, p) for p in profiles)
    idle = max(0, min(compute, memory))
    return idle * (WHOLE // slices), (compute - idle) * (WHOLE // slices)


# --- layout by time


def _cut(device: Device, samples: list[Sample], slot_seconds: int, lo: int, hi: int) -> None:
    """Make the device's units from its samples, with the seconds in which each exists, and what they leave of the GPU."""
    bare = Unit(device.key, device.gpu)
    units: dict[tuple[str, str], Unit] = {("", ""): bare}
    model = next((s.gpu_model for s in samples if s.gpu_model), device.gpu.model if device.gpu else "")
    for sample in samples:
        mark = (sample.mig_instance_id, sample.mig_profile) if sample.mig_instance_id else ("", "")
        if mark not in units:
            key = f"{device.key}#{mark[0]}#{mark[1]}"
            units[mark] = Unit(key, device.gpu, instance_parts(model, mark[1]), mark[1])
        units[mark].slots[sample.micros // PPM // slot_seconds * slot_seconds].append(sample)
    device.units = sorted(units.values(), key=lambda u: u.key)
    device.remainder = [(0, 0)] * (hi - lo)
    for unit in device.units:
        unit.live = [False] * (hi - lo)
    for day in range(lo // DAY * DAY, hi, DAY):
        for first, last, taken in layout(device.units, model, day, slot_seconds):
            left = (0, 0) if any(not u.profile for u in taken) else remainder_of(model, [u.profile for u in taken])
            for second in range(max(first, lo), min(last, hi)):
                device.remainder[second - lo] = left
                for unit in taken:
                    unit.live[second - lo] = True
    for unit in device.units:  # samples of a unit that does not exist are set aside
        for slot in [s for s in unit.slots if not (lo <= s < hi) or not unit.live[s - lo]]:
            del unit.slots[slot]
    device.units = [u for u in device.units if any(u.live)]


def layout(units: list[Unit], model: str, day: int, slot_seconds: int) -> list[tuple[int, int, list[Unit]]]:
    """The stretches (from, to, units that exist) of a UTC day."""
    bare = next(u for u in units if not u.profile)
    begin = day - 60 * slot_seconds  # the lead-in
    seen: dict[str, tuple[int, int]] = {}
    for unit in units:
        slots = [s for s in unit.slots if begin <= s < day + DAY]
        if slots and max(slots) + slot_seconds > day:
            seen[unit.key] = (min(slots), max(slots) + slot_seconds)
    instances = [u for u in units if u.profile and u.key in seen]
    if not instances:
        return [(day, day + DAY, [bare])]
    first, last = min(seen[u.key][0] for u in instances), max(seen[u.key][1] for u in instances)
    is_bare_outside = bare.key in seen and (seen[bare.key][0] < first or seen[bare.key][1] > last)
    if sum(u.parts for u in instances) <= WHOLE and not is_bare_outside:
        return [(day, day + DAY, instances)]
    candidates = [u for u in units if u.key in seen]
    earliest = min(a for a, _ in seen.values())
    cuts = sorted({day, day + DAY} | {t for pair in seen.values() for t in pair if day < t < day + DAY})
    pieces = []
    for start, end in zip(cuts, cuts[1:], strict=False):

        def rank(unit: Unit, at: int = start) -> tuple[bool, bool, int, int, str]:
            seen_from, seen_to = seen[unit.key]
            return seen_to <= at, not unit.profile, -seen_to, -seen_from, unit.key

        taken: list[Unit] = []
        for unit in sorted((u for u in candidates if seen[u.key][0] <= start or seen[u.key][0] == earliest), key=rank):
            if not unit.profile and taken:
                continue  # a row of the device beside its instances
            if sum(u.parts for u in taken) + unit.parts > WHOLE:
                break
            taken.append(unit)
        pieces.append((start, end, taken))
    return pieces
