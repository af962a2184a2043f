"""What the demo company is made of: nodes, attempts and what they hold, charges, traffic. Plain facts without behaviour.

Belongs here: the plan's dataclasses, time and money units, and the activity law. Does not: the values (company.py, runs.py,
spend.py) and any file format.

Units: times are epoch seconds (UTC) and multiples of 30; money is whole nano-dollars; prices are whole micro-dollars per second;
activity is whole per-mille. So every product in the truth is a whole number of nano-dollars and nothing is ever rounded.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

HOUR = 3600
DAY = 86_400
SLOT_SECONDS = 30
MAX_GAP_SECONDS = 120
MAX_DAYS = 14


@dataclass(frozen=True)
class Node:
    """One machine. ``lives`` are the billed [start, end) intervals; ``price`` and ``list_price`` are micro-USD per node-second."""

    hostname: str
    resource_id: str
    source: str
    cluster: str
    pool: str
    owner_team: str
    instance_type: str
    gpu_model: str
    gpu_count: int
    vcpu: int
    memory_gib: int
    purchase: str
    price: int
    list_price: int
    zone: str
    lives: tuple[tuple[int, int], ...]
    has_telemetry: bool = True

    @cached_property
    def gpu_uuids(self) -> tuple[str, ...]:
        """One stable UUID per physical GPU."""
        return tuple(gpu_uuid(self.hostname, index) for index in range(self.gpu_count))


@dataclass(frozen=True)
class Hold:
    """GPUs of one node held from ``start`` to ``end``, with the labels that telemetry shows for them."""

    node: str
    gpus: tuple[int, ...]
    start: int
    end: int
    pod: str | None = None
    namespace: str | None = None
    pod_uid: str | None = None
    hpc_job: str | None = None


@dataclass(frozen=True)
class Attempt:
    """One attempt of a run, one replica of an endpoint, one notebook or one bare pod.

    kind: run | endpoint | notebook | pod. evidence: what tells who held the GPUs: labels (pod label and interval), hpc_job
    (Slurm interval and telemetry label), gpu_ids (interval naming GPUs), count_all (interval over a whole node without samples),
    label_only (no record but the telemetry label).
    """

    kind: str
    workload_id: str
    number: int
    state: str
    evidence: str
    base_permille: int
    holds: tuple[Hold, ...]
    tags: dict[str, str] = field(default_factory=dict)
    user: str = ""

    @property
    def attempt_id(self) -> str:
        """How its record names it: the Slurm job id, the replica's pod, else the number."""
        first = self.holds[0]
        return first.hpc_job or (first.pod or "" if self.kind == "endpoint" else str(self.number))

    @property
    def start(self) -> int:
        """First held second."""
        return min(h.start for h in self.holds)

    @property
    def end(self) -> int:
        """First second no longer held."""
        return max(h.end for h in self.holds)


@dataclass(frozen=True)
class Gap:
    """Samples that are missing although the GPUs were there."""

    node: str
    gpus: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Stray:
    """GPUs kept busy by something without label or record, for whole hours."""

    node: str
    gpus: tuple[int, ...]
    start: int
    end: int
    permille: int


@dataclass(frozen=True)
class Charge:
    """A charge that is no node-hour. ``cost`` is before ``credits``; credits are (type, name, nano-USD <= 0).

    bears: usage | tax_and_fees | credit. ``tags`` is what the bill shows; run_id, endpoint and team are what they mean.
    """

    source: str
    start: int
    hours: int
    line_type: str
    service: str
    usage_type: str
    operation: str
    description: str
    resource_id: str
    quantity: float
    unit: str
    cost: int
    bears: str = "usage"
    tags: tuple[tuple[str, str], ...] = ()
    credits: tuple[tuple[str, str, int], ...] = ()
    run_id: str | None = None
    endpoint: str | None = None
    team: str | None = None
    exported_at: int | None = None
    adjustment: str | None = None


@dataclass(frozen=True)
class Traffic:
    """What one endpoint replica served in one hour; ``reset`` marks an hour in which its counters restart."""

    endpoint: str
    replica: str
    hour: int
    ok: int
    failed: int
    prompt_tokens: int
    output_tokens: int
    reset: bool = False


@dataclass(frozen=True)
class Revenue:
    """What 1,000 answered requests of an endpoint earn, in whole micro-USD, from the first day on."""

    endpoint: str
    micro_usd_per_1k: int


@dataclass(frozen=True)
class Quality:
    """One evaluation of a model version, in whole millionths of the metric (greater is better)."""

    model: str
    run_id: str
    metric: str
    millionths: int
    at: int


@dataclass(frozen=True)
class ManagedUse:
    """Requests to somebody else's model in one hour, all alike; prices are nano-USD per token, as the gateway's price map has them."""

    endpoint: str
    provider: str
    model: str
    hour: int
    requests: int
    prompt_tokens: int
    output_tokens: int
    prompt_price: int
    output_price: int


@dataclass(frozen=True)
class Company:
    """The whole plan; ``last_day`` says how much of it is written."""

    seed: int
    first_day: dt.date
    last_day: dt.date
    nodes: tuple[Node, ...]
    attempts: tuple[Attempt, ...]
    gaps: tuple[Gap, ...]
    strays: tuple[Stray, ...]
    charges: tuple[Charge, ...]
    traffic: tuple[Traffic, ...]
    gateways: dict[str, str]
    commitment_per_hour: int
    revenue: tuple[Revenue, ...] = ()
    quality: tuple[Quality, ...] = ()
    managed: tuple[ManagedUse, ...] = ()
    governance: dict[str, Any] = field(default_factory=dict)
    spare_commitment_per_hour: int = 0  # of a second plan that nothing uses
    slot_seconds: int = SLOT_SECONDS

    @property
    def start(self) -> int:
        """Epoch second at which the plan begins."""
        return epoch(self.first_day)

    @property
    def cut(self) -> int:
        """Epoch second at which the written data ends."""
        return epoch(self.last_day) + DAY

    @cached_property
    def node(self) -> dict[str, Node]:
        """Nodes by hostname."""
        return {n.hostname: n for n in self.nodes}

    def days(self) -> list[dt.date]:
        """The written UTC days."""
        return [self.first_day + dt.timedelta(days=i) for i in range((self.last_day - self.first_day).days + 1)]


def at(start: int, day: int, clock: str = "00:00:00") -> int:
    """The epoch second of ``clock`` on the plan's day number ``day`` (0 is the first)."""
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return start + day * DAY + hours * HOUR + minutes * 60 + seconds


def epoch(day: dt.date) -> int:
    """The epoch second of a UTC midnight."""
    return int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp())


def utc(second: int) -> dt.datetime:
    """An aware UTC datetime."""
    return dt.datetime.fromtimestamp(second, dt.UTC)


def noise(*parts: object) -> int:
    """A stable pseudo-random integer in [0, 2**32): the same on every machine and for every call order."""
    return zlib.crc32("|".join(map(str, parts)).encode())


def hex_id(length: int, *parts: object) -> str:
    """A stable hexadecimal identifier."""
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:length]


def gpu_uuid(hostname: str, index: int) -> str:
    """The UUID of a physical GPU."""
    h = hex_id(32, "gpu", hostname, index)
    return f"GPU-{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def activity_permille(seed: int, attempt: Attempt, node: str, gpu: int, hour: int) -> int:
    """SM activity of an attempt on one GPU, constant over one UTC hour, in per-mille (0 for a base of 0)."""
    base = attempt.base_permille
    if base == 0:
        return 0
    if attempt.kind == "endpoint":  # a daily wave
        base += base * (6 - abs(12 - hour // HOUR % 24)) // 12
    swing = max(1, base // 8)
    jitter = noise(seed, attempt.workload_id, attempt.number, node, gpu, hour) % (2 * swing + 1) - swing
    return max(1, min(998, base + jitter))
