"""The demo company's troubles beside its ledger: what the levers, budgets and alerts have to find, planted where the truth knows of it.

Belongs here: the nightly retrain that does not pay, the forgotten disk, the copied data set, revenue, quality, a provider's API. Does
not: what ran anyway (runs.py), the everyday bill (spend.py), file formats.
"""

from __future__ import annotations

from pipelines.demo.model import DAY, HOUR, MAX_DAYS, Attempt, Charge, Hold, ManagedUse, Quality, Revenue, at, noise
from pipelines.demo.runs import SERVE, pod_uid

CENT = 10_000_000  # nano-USD
RETRAINED, RETRAIN_TEAM = "twotower-2", "recsys"
RETRAIN_GPUS = (4, 5, 6, 7)
FAILED_NIGHT = 8  # this night's first attempt breaks off after 40 minutes
COPY_DAY = 11  # a data set goes to another region: $1,380.60 on one day, where $7 are usual
SPARE_PLAN_PER_HOUR = 50 * CENT  # a plan bought for machines that were never started: $12 a day
FORGOTTEN_DISK = "vol-0f0f0f0f0f0f0f0f0"
# What 1,000 requests earn. chat earns money; embed's busy GPUs alone cost more than that; translate pays for its work, not for its idle GPU.
REVENUE = {"chat": 12_000_000, "embed": 6_000_000, "translate": 300_000_000}


def retrain_id(day: int) -> str:
    """The run that trains on the plan's night number ``day``."""
    return f"recsys-nightly-{day + 1:02d}"


def nightly_retrains(start: int) -> list[Attempt]:
    """Every night from 01:00 two hours of four A100s; on one night the first attempt fails."""
    attempts = []
    for day in range(MAX_DAYS):
        begin = at(start, day, "01:00:00")
        spans = [("completed", begin, begin + 2 * HOUR)]
        if day == FAILED_NIGHT:
            spans = [("failed", begin, begin + 2_400), ("completed", begin + 2_700, begin + 2_700 + 2 * HOUR)]
        attempts += [_retrain(retrain_id(day), number, *span) for number, span in enumerate(spans, start=1)]
    return attempts


def _retrain(run_id: str, number: int, state: str, begin: int, end: int) -> Attempt:
    pod = f"{run_id}-a{number}"
    tags = {"team": RETRAIN_TEAM, "model": RETRAINED, "environment": "production", "project": "recsys-2026", "run_id": run_id}
    holds = (Hold(SERVE, RETRAIN_GPUS, begin, end, pod, "recsys-train", pod_uid(pod)),)
    return Attempt("run", run_id, number, state, "labels", 720, holds, tags, "dora")


def quality(seed: int, retrains: list[Attempt]) -> tuple[Quality, ...]:
    """Ten minutes after each retrain: recall that goes up and down by less than a tenth of a point, and nowhere."""
    done = [a for a in retrains if a.state == "completed"]
    return tuple(
        Quality(RETRAINED, a.workload_id, "recall_at_20", 421_000 + noise(seed, "recall", a.workload_id) % 801 - 400, a.end + 600)
        for a in done
    )


def revenue() -> tuple[Revenue, ...]:
    """What finance says that requests earn."""
    return tuple(Revenue(endpoint, micro_usd) for endpoint, micro_usd in sorted(REVENUE.items()))


def managed(start: int) -> tuple[ManagedUse, ...]:
    """A few questions an hour go to a provider's model: 900 tokens in, 150 out, at $0.15 and $0.60 a million."""
    hours = range(start, start + MAX_DAYS * DAY, HOUR)
    return tuple(ManagedUse("assist", "openai", "gpt-4o-mini", hour, 3 + noise("assist", hour) % 4, 900, 150, 150, 600) for hour in hours)


def charges(start: int) -> list[Charge]:
    """The disk that nobody attached, and the day on which a data set was copied."""
    disk = [
        Charge(
            "aws", at(start, day), 24, "Usage", "AmazonEC2", "EBS:VolumeUsage.gp3", "CreateVolume-Gp3", "$0.08 per GB-month of gp3 storage",
            FORGOTTEN_DISK, 64.5, "GB-Mo", 516 * CENT, tags=(("user_team", "vision"),), team="vision",
        )
        for day in range(MAX_DAYS)
    ]  # fmt: skip
    copy = Charge(
        "aws", at(start, COPY_DAY), 24, "Usage", "AWSDataTransfer", "USE1-EUW1-AWS-Out-Bytes", "InterRegion", "$0.02 per GB - to EU (Ireland)",
        "", 69_030.0, "GB", 138_060 * CENT,
    )  # fmt: skip
    return [*disk, copy]
