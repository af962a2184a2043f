"""The true answer for any span of days, worked out from the plan alone in whole nano-dollars.

Belongs here: the cost rules applied by hand-sized Python to the plan (price split gpu_only, slots of 30 s, gaps filled up to 120 s,
idle threshold 0.01). Does not: the pipeline, its SQL, or any file that was written.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator

from pipelines.demo.answers import Entry, Key, Truth
from pipelines.demo.model import (
    DAY,
    HOUR,
    MAX_GAP_SECONDS,
    Attempt,
    Charge,
    Company,
    Gap,
    Hold,
    Node,
    Stray,
    activity_permille,
    epoch,
    utc,
)
from pipelines.demo.usage import NANO_PER_MICRO, unused_commitment

SEPARATE_CREDITS = frozenset({"PROMOTION", "FREE_TIER"})


def truth(company: Company, first_day: dt.date | None = None, last_day: dt.date | None = None) -> Truth:
    """What the days ``first_day``..``last_day`` (UTC, both included; default: all written days) truly cost, and whom.

    Raises ValueError for days that the company has not written.
    """
    first, last = first_day or company.first_day, last_day or company.last_day
    if not company.first_day <= first <= last <= company.last_day:
        raise ValueError(f"days {first}..{last} are not within {company.first_day}..{company.last_day}")
    window = (epoch(first), epoch(last) + DAY)
    ledger: dict[Key, list[int]] = defaultdict(lambda: [0, 0, 0])
    billed: dict[tuple[dt.date, str], int] = defaultdict(int)
    for key, nano, seconds, used in _gpu_pieces(company, *window):
        line = ledger[key]
        line[0] += nano
        line[1] += seconds
        line[2] += used
        if key.purchase != "savings_plan":  # covered usage is billed 0, the commitment once
            billed[key.day, key.source] += nano
    for hour, unused in unused_commitment(company, *window).items():
        day = utc(hour).date()
        ledger[Key(day, "aws", "unused_commitment", "none")][0] += unused + company.spare_commitment_per_hour
        billed[day, "aws"] += company.commitment_per_hour + company.spare_commitment_per_hour
    for charge in company.charges:
        if window[0] <= charge.start < window[1] and (charge.exported_at or 0) < company.cut:
            for key, nano in _charge_pieces(charge):
                ledger[key][0] += nano
                billed[key.day, key.source] += nano
    entries = tuple(Entry(key, *amounts) for key, amounts in sorted(ledger.items(), key=lambda item: item[0].sort_key()))
    return Truth(company, first, last, entries, dict(billed))


def _charge_pieces(charge: Charge) -> Iterator[tuple[Key, int]]:
    day = utc(charge.start).date()
    net = charge.cost + sum(amount for kind, _, amount in charge.credits if kind not in SEPARATE_CREDITS)
    for kind, _, amount in charge.credits:
        if kind in SEPARATE_CREDITS:
            yield Key(day, charge.source, "credit", "none"), amount
    if charge.bears != "usage":
        yield Key(day, charge.source, charge.bears, "none"), net
    elif charge.run_id or charge.endpoint:
        kind, workload = ("run", charge.run_id) if charge.run_id else ("endpoint", charge.endpoint)
        yield Key(day, charge.source, "not_measured", "tag", kind, workload, team=charge.team), net
    else:
        reason = "no_rule_for_tags" if charge.team else "untagged"
        yield Key(day, charge.source, "unattributed", "none", reason=reason, team=charge.team), net


def _gpu_pieces(company: Company, start: int, end: int) -> Iterator[tuple[Key, int, int, int]]:
    """(key, nano-USD, GPU-seconds, used GPU-seconds x 1000) of every stretch of every GPU within [start, end)."""
    for node in company.nodes:
        for gpu in range(node.gpu_count):
            holds = [(a, h) for a in company.attempts for h in a.holds if h.node == node.hostname and gpu in h.gpus]
            gaps = [g for g in company.gaps if g.node == node.hostname and gpu in g.gpus]
            strays = [s for s in company.strays if s.node == node.hostname and gpu in s.gpus]
            for life_start, life_end in node.lives:
                begin, stop = max(life_start, start), min(life_end, end)
                edges = set(range(-(-begin // HOUR) * HOUR, stop, HOUR)) | {begin, stop}
                edges |= {e for _, h in holds for e in (h.start, h.end)} | {e for s in strays for e in (s.start, s.end)}
                edges |= {e for g in gaps for e in (g.start, g.start + MAX_GAP_SECONDS, g.end)}
                points = sorted(e for e in edges if begin <= e <= stop)
                for left, right in zip(points, points[1:], strict=False):
                    yield from _stretch(company, node, gpu, left, right, holds, gaps, strays)


def _stretch(
    company: Company,
    node: Node,
    gpu: int,
    left: int,
    right: int,
    holds: list[tuple[Attempt, Hold]],
    gaps: list[Gap],
    strays: list[Stray],
) -> Iterator[tuple[Key, int, int, int]]:
    """One GPU from ``left`` to ``right``: within one hour, one holder, one state of observation."""
    day, seconds = utc(left).date(), right - left
    price = node.price // node.gpu_count * NANO_PER_MICRO
    observed = node.has_telemetry and not any(min(g.end, g.start + MAX_GAP_SECONDS) <= left < g.end for g in gaps)
    holder = next(((a, h) for a, h in holds if h.start <= left < h.end), None)
    if holder and not observed and holder[0].evidence == "label_only":
        holder = None  # nothing but samples told of this holder, and there are none
    common = {"purchase": node.purchase, "pool": node.pool}
    if holder is None:
        if not observed:
            yield Key(day, node.source, "unknown", "telemetry", **common), seconds * price, seconds, 0
        elif any(s.start <= left < s.end for s in strays):
            yield Key(day, node.source, "unattributed", "none", reason="active_unlabelled", **common), seconds * price, seconds, 0
        else:
            key = Key(day, node.source, "unallocated_idle", "telemetry", team=node.owner_team, **common)
            yield key, seconds * price, seconds, 0
        return
    attempt, hold = holder
    who = {"kind": attempt.kind, "workload": attempt.workload_id, "attempt": attempt.attempt_id, "team": attempt.tags.get("team"), **common}
    if not observed:
        if len(hold.gpus) != node.gpu_count and attempt.evidence != "gpu_ids":
            raise AssertionError(f"the plan leaves open who held {node.hostname} GPU {gpu} at {utc(left)}")
        yield Key(day, node.source, "unknown", "telemetry", **who), seconds * price, seconds, 0
        return
    permille = activity_permille(company.seed, attempt, node.hostname, gpu, left // HOUR * HOUR)
    used = seconds * permille
    nano_per_permille, rest = divmod(price, 1_000)
    if rest:
        raise AssertionError("the price of a GPU-second is not finite in nano-dollars")
    yield Key(day, node.source, "used", "telemetry", **who), used * nano_per_permille, seconds, used
    yield Key(day, node.source, "held_idle", "telemetry", **who), (seconds * 1_000 - used) * nano_per_permille, 0, 0
