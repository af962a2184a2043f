"""What the demo company's endpoints served, replica by replica and hour by hour.

Belongs here: counts of requests and tokens. Does not: counters, logs or any file format.
"""

from __future__ import annotations

from pipelines.demo.model import HOUR, Attempt, Traffic, at, noise

# Requests of one replica in an average hour; embed is read from a gateway log, so it stays small.
REQUESTS_PER_HOUR = {"chat": 900, "embed": 26, "translate": 2}
SILENT_DAYS = {"translate": (4, 5, 11)}  # not one request on these days
RESETS = (("chat-6d9f-0", 6, 13), ("translate-84aa-0", 2, 9))  # replica, day, hour


def plan_traffic(seed: int, start: int, attempts: tuple[Attempt, ...]) -> tuple[Traffic, ...]:
    """Traffic of every whole hour that a replica was up."""
    rows = []
    for attempt in (a for a in attempts if a.kind == "endpoint"):
        pod = attempt.holds[0].pod or ""
        for hour in range(-(-attempt.start // HOUR) * HOUR, attempt.end // HOUR * HOUR, HOUR):
            rows.append(_hour(seed, start, attempt.workload_id, pod, hour))
    return tuple(sorted(rows, key=lambda r: (r.endpoint, r.replica, r.hour)))


def _hour(seed: int, start: int, endpoint: str, pod: str, hour: int) -> Traffic:
    mean = REQUESTS_PER_HOUR[endpoint]
    wave = 18 - abs(12 - hour // HOUR % 24)  # 6 at midnight, 18 at noon
    ok = mean * wave * (80 + noise(seed, pod, hour) % 41) // 1_200
    if (hour - start) // (24 * HOUR) in SILENT_DAYS.get(endpoint, ()):
        ok = 0
    failed = (ok * 3 + noise(seed, pod, hour, "failed") % 70) // 100 if ok else 0
    prompt, output = token_base(endpoint)
    served = range(ok)
    reset = any(pod == name and hour == at(start, day, f"{clock:02d}:00:00") for name, day, clock in RESETS)
    return Traffic(
        endpoint, pod, hour, ok, failed,
        sum(prompt_tokens(prompt, i) for i in served), sum(output_tokens(output, i) for i in served), reset,
    )  # fmt: skip


def token_base(endpoint: str) -> tuple[int, int]:
    """Smallest prompt and output of a request."""
    return {"chat": (420, 160), "embed": (96, 0), "translate": (64, 70)}[endpoint]


def prompt_tokens(base: int, index: int) -> int:
    """Prompt tokens of the hour's request number ``index`` (works on arrays too)."""
    return base + index * 37 % 211


def output_tokens(base: int, index: int) -> int:
    """Output tokens of the hour's request number ``index``; embeddings have none (works on arrays too)."""
    return base + index * 53 % 97 * (base > 0)
