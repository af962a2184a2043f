"""How many parts of a unit each of its claimants holds.

Belongs here: declared sharing, fractional requests, the free pool; arithmetic over one unit (or one node's free units) in one second.
Does not: where claims come from (seconds.py).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from tests.oracle.plan import Cluster, Interval, Node
from tests.oracle.readings import DAY, EVIDENCE, WHOLE, Claim, Hold, Holder, Unit


@dataclass(frozen=True)
class Declaration:
    """That the GPUs of a node are shared: how, and in how many replicas."""

    strategy: str
    replicas: int | None = None
    split: str = "evenly"


def is_known(node: Node, day: int) -> bool:
    """Whether the inventory has the node on the UTC day that begins at ``day``."""
    return node.is_known and (not node.validity or any((a is None or a < day + DAY) and (b is None or b > day) for a, b in node.validity))


def declared(cluster: Cluster, node: Node, day: int) -> Declaration | None:
    """What holds of the node on the UTC day: the first policy rule that matches it, else its inventory row."""
    date = dt.datetime.fromtimestamp(day, dt.UTC).date().isoformat()
    is_there = is_known(node, day)  # on a day without an inventory row nobody knows the node's pool
    for rule in cluster.sharing:
        fits = (rule.pool or node.pool) == node.pool if is_there else not rule.pool
        if fits and (rule.hostname or node.hostname) == node.hostname and rule.holds_on(date):
            return None if rule.strategy == "none" else Declaration(rule.strategy, rule.replicas, rule.split)
    if is_there and node.gpu_sharing and node.gpu_sharing != "none":
        return Declaration(node.gpu_sharing, node.gpu_replicas)
    return None


def count_of(interval: Interval) -> Fraction | None:
    """The GPUs that the interval asks for, exactly; None: it does not say."""
    return None if interval.gpu_count in (None, "") else Fraction(str(interval.gpu_count))


def is_fractional(interval: Interval | None) -> bool:
    """Whether the interval asks for a part of a GPU: a count that is not whole, or less than the GPUs it names."""
    count = count_of(interval) if interval else None
    return count is not None and interval is not None and (count.denominator > 1 or count < len(interval.gpu_ids))


def stated(interval: Interval) -> Fraction:
    """The parts that a fractional interval wants of each of its GPUs."""
    count = count_of(interval)
    assert count is not None
    return WHOLE * count / (len(interval.gpu_ids) or math.ceil(count))


def resolve(unit: Unit, claims: Iterable[Claim], declaration: Declaration | None) -> Hold:
    """Who holds the unit in a second in which these claims stand, the free pool apart."""
    own = "mig" if unit.profile else "none"
    ordered = sorted(claims, key=_rank)
    if not ordered:
        return Hold((), declaration.strategy if declaration else own)
    if declaration is not None:
        return Hold(_divide(unit, _once(ordered), declaration), declaration.strategy, True)
    winner = ordered[0]
    if is_fractional(winner.interval) and winner.evidence != "whole_node":
        sharers = [c for c in ordered if c.evidence != "whole_node" and is_fractional(c.interval)]
        return Hold(_divide(unit, _once(sharers), None), "fractional", True)
    return Hold((Holder(winner.workload, winner.attempt, winner.evidence, unit.parts),), own)


def _rank(claim: Claim) -> tuple[int, int, str]:
    return EVIDENCE.index(claim.evidence), -(claim.interval.start if claim.interval else 0), claim.attempt


def _once(claims: list[Claim]) -> list[Claim]:
    """Each attempt under its best evidence."""
    best: dict[str, Claim] = {}
    for claim in claims:
        best.setdefault(claim.attempt, claim)
    return list(best.values())


def _divide(unit: Unit, claims: list[Claim], declaration: Declaration | None) -> tuple[Holder, ...]:
    def want(claim: Claim) -> Fraction:
        if is_fractional(claim.interval):
            assert claim.interval is not None
            return stated(claim.interval)
        assert declaration is not None
        return Fraction(unit.parts, declaration.replicas or len(claims))

    wants = {claim: want(claim) for claim in claims}
    total = sum(wants.values(), Fraction(0))
    if total > unit.parts:
        exact = {claim: unit.parts * wanted / total for claim, wanted in wants.items()}
        parts = {claim: int(share) for claim, share in exact.items()}
        left = unit.parts - sum(parts.values())
        for claim in sorted(claims, key=lambda c: (parts[c] - exact[c], c.attempt))[:left]:
            parts[claim] += 1
    else:
        parts = {claim: int(wanted) for claim, wanted in wants.items()}
    return tuple(Holder(c.workload, c.attempt, c.evidence, parts[c]) for c in claims if parts[c])


def take_from_pool(free: list[Unit], waiting: list[Interval]) -> dict[str, tuple[Holder, ...]]:
    """Unit -> holders, where intervals that have only a count take it from free units.

    The free units lie end to end in the order of their keys, the intervals' wants in the order of their starts; an interval holds of a unit
    what overlaps.
    """
    held: dict[str, list[Holder]] = {}
    at = 0
    for interval in waiting:
        count = count_of(interval)
        assert count is not None
        until = at + int(WHOLE * count)
        start = 0
        for unit in free:
            overlap = min(until, start + unit.parts) - max(at, start)
            if overlap > 0:
                held.setdefault(unit.key, []).append(Holder(interval.workload_key, interval.attempt_key, "count_only", overlap))
            start += unit.parts
        at = until
    return {key: tuple(holders) for key, holders in held.items()}
