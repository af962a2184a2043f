"""How active a unit was under each of its holders, and whether a process had memory on it.

Belongs here: values of samples, the series that speaks for an hour, means per hour and holder. Does not: who held it (seconds.py).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from tests.oracle.plan import Cluster, Sample
from tests.oracle.readings import HOUR, NO_PROCESS_KIB, PPM, RUNGS, Unit


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except ArithmeticError:
        return None
    return value if value.is_finite() else None


def _ppm(text: str, scale: Decimal) -> int | None:
    value = _number(text)
    return None if value is None or not 0 <= value <= scale else int((value / scale * PPM).to_integral_value())


def _told(sample: Sample, metric: str, scale: Decimal) -> int | None:
    """The sample's value of a metric; GPU utilization says nothing of an instance."""
    return None if sample.mig_profile and metric == "gpu_util" else _ppm(getattr(sample, metric), scale)


def _memory_kib(text: str) -> int | None:
    """FB_USED in KiB; None where it is no amount of memory."""
    value = _number(text)
    return None if value is None or not 0 <= value <= 10_000_000 else int((value * 1024).to_integral_value())


def series_key(cluster: Cluster, exporter: str) -> str:
    """The digest by which series with as many slots are put in order."""
    source = f"dcgm-{cluster.slot_seconds}"
    return hashlib.md5(f"{len(source)}={source}|{f'{len(exporter)}={exporter}' if exporter else '~'}".encode()).hexdigest()  # noqa: S324


def measure(unit: Unit, cluster: Cluster, lo: int) -> None:
    """Mean activity, and the part of slots without a process, per (hour, holder) from the series that observed most slots of the hour."""
    hours: dict[int, dict[str, dict[int, list[Sample]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for slot, samples in unit.slots.items():
        for sample in samples:
            hours[slot // HOUR * HOUR][sample.exporter][slot].append(sample)
    for hour, series in hours.items():
        best = min(series, key=lambda e: (-len(series[e]), series_key(cluster, e)))
        told: dict[str, dict[int, list[Sample]]] = defaultdict(lambda: defaultdict(list))
        for slot, samples in series[best].items():
            for sample in samples:
                for holder in _held_by(unit, sample.micros // PPM, lo):
                    told[holder][slot].append(sample)
        for holder, slots in told.items():
            unit.activity[hour, holder] = _mean(slots.values())
            unit.no_process[hour, holder] = _no_process(slots.values())


def _held_by(unit: Unit, second: int, lo: int) -> tuple[str, ...]:
    return unit.holds[second - lo].attempts if 0 <= second - lo < len(unit.holds) else ("",)


def _mean(slots: Iterable[list[Sample]]) -> int | None:
    slots = list(slots)
    for metric, scale in RUNGS:
        values = []
        for samples in slots:
            told = [(s.micros, v) for s in samples if (v := _told(s, metric, scale)) is not None]
            if told:
                values.append(max(told)[1])
        if values:
            return (2 * sum(values) + len(values)) // (2 * len(values))
    return None


def _no_process(slots: Iterable[list[Sample]]) -> int | None:
    """Millionths of the slots with a value in which hardly any memory was in use; None: no slot has a value."""
    values = []
    for samples in slots:
        told = [(s.micros, v) for s in samples if (v := _memory_kib(s.fb_used_mib)) is not None]
        if told:
            values.append(max(told)[1] <= NO_PROCESS_KIB)
    return (2 * sum(values) * PPM + len(values)) // (2 * len(values)) if values else None
