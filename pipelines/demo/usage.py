"""What a provider meters of the plan's nodes: billed seconds by hour, and what a commitment leaves unused.

Belongs here: metering that bills and truth both start from. Does not: bill rows (bills_*.py) and attribution (truth.py).
"""

from __future__ import annotations

from collections import defaultdict

from pipelines.demo.model import HOUR, Company, Node

NANO_PER_MICRO = 1_000


def billed_seconds(node: Node, start: int, end: int) -> dict[int, int]:
    """Billed node-seconds by hour within [start, end)."""
    out: dict[int, int] = defaultdict(int)
    for life_start, life_end in node.lives:
        begin, stop = max(life_start, start), min(life_end, end)
        for hour in range(begin // HOUR * HOUR, stop, HOUR):
            out[hour] += min(stop, hour + HOUR) - max(begin, hour)
    return dict(out)


def unused_commitment(company: Company, start: int, end: int) -> dict[int, int]:
    """Nano-USD of the Savings Plan's hourly commitment that no node used, by hour (0 included)."""
    left = dict.fromkeys(range(start, end, HOUR), company.commitment_per_hour)
    for node in company.nodes:
        if node.purchase == "savings_plan":
            for hour, seconds in billed_seconds(node, start, end).items():
                left[hour] -= seconds * node.price * NANO_PER_MICRO
    if min(left.values()) < 0:
        raise AssertionError("the plan uses more commitment than it has")
    return left
