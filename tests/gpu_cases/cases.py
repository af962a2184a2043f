"""What a worked case is: a small cluster, the ledger rows worked by hand, and further questions with their answers.

Belongs here: the shape of a case and short ways to write its inputs. Does not: any case (case_<topic>.py), the night that runs them
all (test_gpu_cases.py).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.oracle.plan import Charge, Cluster, Gpu, Interval, Node, Sample

EVE = dt.date(2026, 10, 5)  # the night computes this day and the next
DAY = int(dt.datetime(2026, 10, 6, tzinfo=dt.UTC).timestamp())
TEN = DAY + 10 * 3600


@dataclass(frozen=True)
class Row:
    """The key of an expected ledger row; the dollars of all ledger rows of the case that agree in it are summed."""

    workload: str | None  # workload_key; None: nobody
    cost_class: str
    reason: str | None = None
    sharing: str | None = "none"
    is_unmeasured: bool | None = False
    component: str = "gpu"


@dataclass(frozen=True)
class Question:
    """A query over the warehouse (schemas published, intermediate) and the rows it must give, in order."""

    sql: str
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True)
class Case:
    """A cluster and what must come out of it.

    ledger: every row of the ledger (stage allocated) of the cluster's billed resources, as exact effective dollars; None: not asked.
    bug: the field's bug that the case is for (B22...), if any.
    """

    name: str
    cluster: Cluster
    ledger: dict[Row, str] | None = None
    questions: list[Question] = field(default_factory=list)
    bug: str = ""


def gpus(name: str, count: int = 1, model: str = "NVIDIA A100-SXM4-80GB") -> tuple[Gpu, ...]:
    """GPUs of a node, with names that occur nowhere else."""
    return tuple(Gpu(f"GPU-{name}-{n}", n, f"00000000:{16 * (n + 1):02X}:00.0", model) for n in range(count))


def node(name: str, count: int = 1, first: int = TEN, last: int = TEN + 3600, **values: Any) -> Node:
    """A node ``<name>-n`` billed as ``i-<name>``, valid from ``first`` to ``last``."""
    return Node(f"{name}-n", f"i-{name}", gpus(name, count), count, ((first, last),), **values)


def charge(at: Node, cost: str, hour: int = TEN, hours: str = "1", **values: Any) -> Charge:
    """One on-demand hour of the node."""
    return Charge(at.resource_id, hour, usage_hours=hours, unblended=cost, **values)


def samples(at: Node, first: int, last: int, index: int = 0, step: int = 30, **values: str) -> list[Sample]:
    """One sample of a GPU every ``step`` seconds, by default one in each slot of 30 s; values and labels are constant."""
    device = at.gpus[index]
    given = {"exporter": "a:9400", "gpu_model": device.model, **values}
    return [
        Sample(second * 1_000_000, at.hostname, device.uuid, str(index), device.pci, **given)  # type: ignore[arg-type]
        for second in range(first, last, step)
    ]


def run(name: str, at: Node, first: int = TEN, last: int | None = TEN + 3600, attempt: str = "1", **values: Any) -> Interval:
    """One attempt of training run ``name`` on a node."""
    return Interval(name, attempt, first, last, at.hostname, **values)


def total(case: Case) -> Decimal:
    """What the bill of the case comes to, from its charges."""
    return sum((Decimal(c.unblended) for c in case.cluster.charges), Decimal(0))
