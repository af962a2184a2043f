"""Slurm's compressed host lists: ``a[0128-0130,0222],login1`` into names.

Belongs here: that notation. Does not: jobs (sources/slurm.py).
"""

from __future__ import annotations

import itertools
import re

MAX_HOSTS = 100_000
_PART = re.compile(r"[^,\[\]]*(?:\[[^\[\]]*\][^,\[\]]*)*")
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


def expand_nodelist(text: str) -> list[str]:
    """The hosts of a list, in its order; leading zeros stay. Raises ValueError for anything else."""
    hosts: list[str] = []
    position = 0
    while position < len(text):
        match = _PART.match(text, position)
        part = match.group(0) if match else ""
        if not part or text[position + len(part) : position + len(part) + 1] not in ("", ","):
            raise ValueError(f"not a Slurm node list: {text[:80]!r}")
        pieces = re.split(r"\[([^\]]*)\]", part)
        choices = [_numbers(piece) if i % 2 else [piece] for i, piece in enumerate(pieces)]
        hosts += ["".join(names) for names in itertools.islice(itertools.product(*choices), MAX_HOSTS)]
        if len(hosts) >= MAX_HOSTS:
            raise ValueError(f"a Slurm node list of {MAX_HOSTS} hosts or more")
        position += len(part) + 1
    return hosts


def _numbers(ranges: str) -> list[str]:
    found: list[str] = []
    for one in ranges.split(","):
        match = _RANGE.fullmatch(one)
        if match is None:
            raise ValueError(f"not a range of node numbers: {one[:40]!r}")
        low, high = match.group(1), match.group(2) or match.group(1)
        if int(high) - int(low) >= MAX_HOSTS:
            raise ValueError(f"a Slurm node list of {MAX_HOSTS} hosts or more")
        found += [str(n).zfill(len(low)) for n in range(int(low), int(high) + 1)]
    return found
