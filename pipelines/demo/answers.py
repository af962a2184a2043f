"""The shape of the true answer: ledger entries, and the questions that sum them.

Belongs here: Entry, Truth and its answers per run, attempt, endpoint, pool and class. Does not: how an entry comes about (truth.py).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property

from pipelines.demo.model import Company, utc


def usd(nano: int) -> Decimal:
    """Nano-dollars as exact dollars."""
    return Decimal(nano).scaleb(-9)


@dataclass(frozen=True)
class Key:
    """What an amount belongs to. kind: run | endpoint | notebook | pod | None (nobody)."""

    day: dt.date
    source: str
    cost_class: str
    route: str
    kind: str | None = None
    workload: str | None = None
    attempt: str | None = None
    reason: str | None = None
    pool: str | None = None
    team: str | None = None
    purchase: str | None = None

    def sort_key(self) -> tuple[str, ...]:
        """A total order (None first)."""
        return tuple("" if v is None else str(v) for v in self.__dict__.values())


@dataclass(frozen=True)
class Entry:
    """One line of the true ledger. gpu_seconds counts each held or idle second once (on ``used`` for held, observed time)."""

    key: Key
    nano_usd: int
    gpu_seconds: int
    used_gpu_milliseconds: int


@dataclass(frozen=True)
class WorkloadAnswer:
    """Effective dollars and seconds of one workload or attempt. held = observed held + unknown seconds."""

    kind: str
    workload_id: str
    attempt: str | None
    team: str | None
    held_gpu_seconds: int
    used_gpu_seconds: Decimal
    unknown_gpu_seconds: int
    used_usd: Decimal
    held_idle_usd: Decimal
    unknown_usd: Decimal
    not_measured_usd: Decimal

    @property
    def total_usd(self) -> Decimal:
        """All effective cost on the workload, before any distribution."""
        return self.used_usd + self.held_idle_usd + self.unknown_usd + self.not_measured_usd


@dataclass(frozen=True)
class EndpointAnswer:
    """Cost and traffic of one endpoint over the days asked for."""

    endpoint: str
    cost: WorkloadAnswer
    requests_ok: int
    requests_failed: int
    prompt_tokens: int
    output_tokens: int

    @property
    def usd_per_1k_requests(self) -> Fraction | None:
        """Exact; None where no request succeeded."""
        return Fraction(self.cost.total_usd) * 1000 / self.requests_ok if self.requests_ok else None


@dataclass(frozen=True)
class Truth:
    """The answers for the days first_day..last_day. All money in it is exact."""

    company: Company
    first_day: dt.date
    last_day: dt.date
    entries: tuple[Entry, ...]
    billed_nano: dict[tuple[dt.date, str], int]

    def sum_usd(self, where: Callable[[Key], bool] = lambda key: True) -> Decimal:
        """Effective dollars of the entries whose key passes ``where``."""
        return usd(sum(e.nano_usd for e in self.entries if where(e.key)))

    def by(self, *fields: str, where: Callable[[Key], bool] = lambda key: True) -> dict[tuple, Decimal]:
        """Effective dollars grouped by fields of Key, for instance ``by("day", "source")`` or ``by("cost_class")``."""
        out: dict[tuple, int] = defaultdict(int)
        for e in self.entries:
            if where(e.key):
                out[tuple(getattr(e.key, f) for f in fields)] += e.nano_usd
        return {k: usd(v) for k, v in out.items()}

    @property
    def effective_usd(self) -> Decimal:
        """All effective cost."""
        return self.sum_usd()

    @property
    def billed_usd(self) -> Decimal:
        """All billed cost (covered usage 0, the commitment's fee once)."""
        return usd(sum(self.billed_nano.values()))

    @cached_property
    def effective_by_day(self) -> dict[tuple[dt.date, str], Decimal]:
        """(UTC day, source) -> effective dollars."""
        return self.by("day", "source")

    @cached_property
    def billed_by_day(self) -> dict[tuple[dt.date, str], Decimal]:
        """(UTC day, source) -> billed dollars."""
        return {k: usd(v) for k, v in sorted(self.billed_nano.items())}

    @cached_property
    def classes(self) -> dict[str, Decimal]:
        """cost_class -> effective dollars."""
        return {k[0]: v for k, v in self.by("cost_class").items()}

    @cached_property
    def unallocated_idle_by_pool(self) -> dict[str, Decimal]:
        """Node pool -> dollars that nobody held."""
        return {k[0]: v for k, v in self.by("pool", where=lambda k: k.cost_class == "unallocated_idle").items()}

    @cached_property
    def unattributed_by_reason(self) -> dict[str, Decimal]:
        """active_unlabelled | no_rule_for_tags | untagged -> dollars."""
        return {k[0]: v for k, v in self.by("reason", where=lambda k: k.cost_class == "unattributed").items()}

    @property
    def unknown_without_holder_usd(self) -> Decimal:
        """Billed GPU time without samples that no record assigns to anybody."""
        return self.sum_usd(lambda k: k.cost_class == "unknown" and k.workload is None)

    @cached_property
    def workloads(self) -> dict[tuple[str, str], WorkloadAnswer]:
        """(kind, workload_id) -> answer, for every workload with cost in these days."""
        return {(k[0], k[1]): _answer(k[0], k[1], None, es) for k, es in self._grouped("kind", "workload").items()}

    @cached_property
    def runs(self) -> dict[str, WorkloadAnswer]:
        """run_id -> answer."""
        return {name: answer for (kind, name), answer in self.workloads.items() if kind == "run"}

    @cached_property
    def attempts(self) -> dict[tuple[str, str], WorkloadAnswer]:
        """(run_id, attempt id as its record names it) -> answer; charges routed by tag belong to the run, not to an attempt."""
        groups = self._grouped("kind", "workload", "attempt")
        return {(k[1], k[2]): _answer(*k, es) for k, es in groups.items() if k[0] == "run" and k[2] is not None}

    @cached_property
    def endpoints(self) -> dict[str, EndpointAnswer]:
        """endpoint -> answer over all the days."""
        return {name: self._endpoint(name, [e for e in self.entries if e.key.workload == name], None) for name in self.company.gateways}

    @cached_property
    def endpoint_days(self) -> dict[tuple[str, dt.date], EndpointAnswer]:
        """(endpoint, UTC day) -> answer."""
        groups = self._grouped("kind", "workload", "day")
        return {(k[1], k[2]): self._endpoint(k[1], es, k[2]) for k, es in groups.items() if k[0] == "endpoint"}

    def _grouped(self, *fields: str) -> dict[tuple, list[Entry]]:
        groups: dict[tuple, list[Entry]] = defaultdict(list)
        for e in self.entries:
            if e.key.workload is not None:
                groups[tuple(getattr(e.key, f) for f in fields)].append(e)
        return dict(groups)

    def _endpoint(self, name: str, entries: list[Entry], day: dt.date | None) -> EndpointAnswer:
        first, last = (day, day) if day else (self.first_day, self.last_day)
        rows = [t for t in self.company.traffic if t.endpoint == name and first <= utc(t.hour).date() <= last]
        return EndpointAnswer(
            name,
            _answer("endpoint", name, None, entries),
            sum(t.ok for t in rows),
            sum(t.failed for t in rows),
            sum(t.prompt_tokens for t in rows),
            sum(t.output_tokens for t in rows),
        )


def _answer(kind: str, workload: str, attempt: str | None, entries: Iterable[Entry]) -> WorkloadAnswer:
    entries = list(entries)

    def money(cost_class: str) -> Decimal:
        return usd(sum(e.nano_usd for e in entries if e.key.cost_class == cost_class))

    return WorkloadAnswer(
        kind,
        workload,
        attempt,
        next((e.key.team for e in entries if e.key.team), None),
        sum(e.gpu_seconds for e in entries),
        Decimal(sum(e.used_gpu_milliseconds for e in entries)).scaleb(-3),
        sum(e.gpu_seconds for e in entries if e.key.cost_class == "unknown"),
        money("used"),
        money("held_idle"),
        money("unknown"),
        money("not_measured"),
    )
