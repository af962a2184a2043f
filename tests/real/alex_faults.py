"""The trace's samples as a bad week would deliver them, and what may be known from what is left.

Belongs here: the faults (dropped and garbage samples, a second exporter, files in no order) and figures worked second by second from the
surviving samples and the jobs, in numpy. Does not: assertions; anything of the pipeline.

Every GPU of the trace is scraped every 30 s by two exporters, each at its own phase; a held GPU reads its job's mean, an idle one 0. Of
these samples 5 % are dropped at random: 3 % one by one, 2 % because a whole host says nothing for ten minutes (one by one alone, two
exporters hardly ever miss a slot together). 1 % of the others read garbage. The rest is shuffled over all days and cut at random places into
files. A sample with a garbage value still says that the GPU was seen; its value is discarded.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.real.alex import FROM_SECOND, GPUS_PER_HOST, HOURS, PPM, RATE_USD, UNIT, Job, gpus_of

SLOT_SECONDS, MAX_GAP_SECONDS = 30, 120
SPAN = HOURS * 3600
SOURCE = "gpus"
EXPORTERS = ("dcgm-a:9400", "dcgm-b:9400")
DROPPED, GARBAGE_RATE = 0.03, 0.01
SILENCE_SECONDS = 600
SILENCES = round(0.02 * SPAN / SILENCE_SECONDS)  # of each host: 9
GARBAGE = (9223372036854775794.0, 9223372036854775792.0, 140737488355328.0, 808334905.0, 4294967295.0, float("nan"))
FILES = 7

Gpu = tuple[str, str]  # (hostname, PCI bus id)
Key = tuple[str, str, str]  # (workload_key or '', cost class, reason or '')


@dataclass
class Seen:
    """What survived of one GPU: per exporter the seconds (from FROM_SECOND on) of its samples, and whether each has a value."""

    seconds: list[np.ndarray] = field(default_factory=list)
    has_value: list[np.ndarray] = field(default_factory=list)


@dataclass
class Faulty:
    """What was delivered: the surviving samples of each GPU, and how many were left and were garbage per day."""

    seen: dict[Gpu, Seen] = field(default_factory=lambda: defaultdict(Seen))
    made: int = 0
    samples: Counter[dt.date] = field(default_factory=Counter)
    garbage: Counter[dt.date] = field(default_factory=Counter)


@dataclass
class Known:
    """GPU-seconds of one GPU-hour or one run that can be told from the surviving samples; ``used`` in millionths."""

    held: int = 0
    covered: int = 0
    measured: int = 0
    used_ppm: int = 0


@dataclass
class Expected:
    """What must be published: by run, by (host, GPU, hour from), and dollars by (workload, class, reason)."""

    runs: dict[str, Known] = field(default_factory=lambda: defaultdict(Known))
    gpu_hours: dict[tuple[str, str, int], Known] = field(default_factory=lambda: defaultdict(Known))
    dollars: dict[Key, Decimal] = field(default_factory=lambda: defaultdict(Decimal))


def holders(jobs: list[Job], gpu: Gpu) -> np.ndarray:
    """Per second the position of the job that holds the GPU, -1 where nobody does."""
    held = np.full(SPAN, -1, dtype=np.int32)
    for position, job in enumerate(jobs):
        if job.hostname == gpu[0] and gpu[1] in job.gpus:
            held[job.started - FROM_SECOND : job.ended - FROM_SECOND] = position
    return held


def write_samples(jobs: list[Job], folder: Path, seed: int = 4) -> Faulty:
    """Wide Parquet files with the faulty samples."""
    rng = np.random.default_rng(seed)
    faulty = Faulty()
    activity = np.array([job.activity_ppm for job in jobs] + [0], dtype=np.int64)  # the last one is nobody's
    parts: list[dict[str, np.ndarray]] = []
    gpus = gpus_of(jobs)
    hosts = sorted({host for host, _ in gpus})
    phases = {(host, n): int(rng.integers(SLOT_SECONDS * PPM)) for host in hosts for n in range(len(EXPORTERS))}
    silences = {host: rng.integers(SPAN - SILENCE_SECONDS, size=SILENCES) for host in hosts}
    for number, gpu in enumerate(gpus):
        held = holders(jobs, gpu)
        for exporter in range(len(EXPORTERS)):
            micros = np.arange(0, SPAN, SLOT_SECONDS, dtype=np.int64) * PPM + phases[gpu[0], exporter]
            faulty.made += len(micros)
            micros = micros[rng.random(len(micros)) >= DROPPED]
            for start in silences[gpu[0]]:
                micros = micros[(micros < start * PPM) | (micros >= (start + SILENCE_SECONDS) * PPM)]
            seconds = micros // PPM
            is_garbage = rng.random(len(micros)) < GARBAGE_RATE
            values = activity[held[seconds]] / 10_000
            values[is_garbage] = np.array(GARBAGE)[rng.integers(len(GARBAGE), size=int(is_garbage.sum()))]
            faulty.seen[gpu].seconds.append(seconds)
            faulty.seen[gpu].has_value.append(~is_garbage)
            for day in range(HOURS // 24):
                of_day = seconds // 86400 == day
                date = dt.datetime.fromtimestamp(FROM_SECOND + day * 86400, dt.UTC).date()
                faulty.samples[date] += int(of_day.sum())
                faulty.garbage[date] += int((of_day & is_garbage).sum())
            size = len(micros)
            parts.append({"micros": micros, "gpu": np.full(size, number), "exporter": np.full(size, exporter), "value": values})
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = rng.permutation(len(columns["micros"]))
    cuts = np.sort(rng.integers(1, len(order), FILES - 1))
    folder.mkdir(parents=True)
    for number, rows in enumerate(np.split(order, cuts)):
        table = pa.table(
            {
                "timestamp": pa.array(columns["micros"][rows] + FROM_SECOND * PPM, pa.timestamp("us")),
                "hostname": _text([host for host, _ in gpus], columns["gpu"][rows]),
                "pci_bus_id": _text([bus for _, bus in gpus], columns["gpu"][rows]),
                "instance": _text(list(EXPORTERS), columns["exporter"][rows]),
                "DCGM_FI_DEV_GPU_UTIL": pa.array(columns["value"][rows], pa.float64()),
            }
        )
        pq.write_table(table, folder / f"part-{number}.parquet", compression="snappy")
    return faulty


def _text(words: list[str], positions: np.ndarray) -> pa.Array:
    return pa.array(words, pa.string()).take(pa.array(positions))


def covered_seconds(seen: Seen, held: np.ndarray) -> np.ndarray:
    """Per second whether the GPU's state is known: its observed slots, and behind each at most MAX_GAP_SECONDS, never past the next observed
    slot, nor past a second after the slot's last sample at which a job begins or ends."""
    seconds = np.sort(np.concatenate(seen.seconds))
    slots = seconds // SLOT_SECONDS
    is_last = np.append(slots[1:] != slots[:-1], True)
    anchors, from_slot = seconds[is_last], slots[is_last] * SLOT_SECONDS
    to_slot = from_slot + SLOT_SECONDS
    edges = np.append(np.flatnonzero(np.diff(held, prepend=-2, append=-2)), [10**9])
    edge = edges[np.searchsorted(edges, anchors, side="right")]
    to = np.minimum(to_slot + MAX_GAP_SECONDS, np.append(from_slot[1:], SPAN))
    to = np.minimum(np.maximum(np.minimum(to, np.maximum(edge, to_slot)), to_slot), SPAN)
    change = np.zeros(SPAN + 1, dtype=np.int32)
    np.add.at(change, from_slot, 1)
    np.add.at(change, to, -1)
    return np.cumsum(change[:-1]) > 0


def _best_exporter(seen: Seen, hour: int) -> int:
    """The exporter that saw most slots of the hour; of two that saw as many, the one with the smaller digest of its name."""

    def rank(exporter: int) -> tuple[int, str]:
        slots = seen.seconds[exporter] // SLOT_SECONDS
        count = int(((slots >= hour * 120) & (slots < (hour + 1) * 120)).sum())  # a sample a slot
        return -count, hashlib.md5(f"{len(SOURCE)}={SOURCE}|{len(EXPORTERS[exporter])}={EXPORTERS[exporter]}".encode()).hexdigest()  # noqa: S324

    return min(range(len(EXPORTERS)), key=rank)


def expected(jobs: list[Job], faulty: Faulty) -> Expected:
    """What can be known of every run and GPU-hour, and what each costs."""
    told = Expected()
    weights: dict[tuple[str, int], dict[Key, int]] = defaultdict(lambda: defaultdict(int))
    for gpu in gpus_of(jobs):
        seen, held = faulty.seen[gpu], holders(jobs, gpu)
        covered = covered_seconds(seen, held)
        for hour in range(HOURS):
            part = slice(hour * 3600, (hour + 1) * 3600)
            best = _best_exporter(seen, hour)
            at = seen.seconds[best]
            valued = set(held[at[(at // 3600 == hour) & seen.has_value[best]]].tolist())
            gpu_hour = told.gpu_hours[gpu[0], gpu[1], FROM_SECOND + hour * 3600]
            split = weights[gpu[0], hour]
            for position in np.unique(held[part]).tolist():
                mine = held[part] == position
                seconds, known = int(mine.sum()), int((mine & covered[part]).sum())
                measured = known if position in valued else 0
                key, ppm = (jobs[position].key, jobs[position].activity_ppm) if position >= 0 else ("", 0)
                gpu_hour.covered += known
                for total in (gpu_hour, told.runs[jobs[position].job_id]) if position >= 0 else ():
                    total.held += seconds
                    total.measured += measured
                    total.used_ppm += measured * ppm
                if position >= 0:
                    told.runs[jobs[position].job_id].covered += known
                    split[key, "used", ""] += measured * ppm
                    split[key, "held_idle", "process_unknown"] += measured * (PPM - ppm)
                else:
                    split[key, "unallocated_idle", ""] += measured * PPM
                split[key, "unknown", "no_samples"] += (seconds - known) * PPM
                split[key, "unknown", "no_activity_value"] += (known - measured) * PPM
    _price(weights, told)
    return told


def _price(weights: dict[tuple[str, int], dict[Key, int]], told: Expected) -> None:
    """Each host-hour's charge over its 8 x 3600 GPU-seconds: floor to 1e-12 USD, the rest one unit each to the largest remainders, ties by
    workload (nobody first), class, reason."""
    units, total = int(RATE_USD / UNIT), GPUS_PER_HOST * 3600 * PPM
    for of_hour in weights.values():
        assert sum(of_hour.values()) == total
        shares = {key: divmod(units * weight, total) for key, weight in of_hour.items() if weight}
        left = units - sum(floor for floor, _ in shares.values())
        for rank, key in enumerate(sorted(shares, key=lambda k: (-shares[k][1], k))):
            told.dollars[key] += (shares[key][0] + (rank < left)) * UNIT
