"""A well-run company, made from a seed: busy GPUs, tagged bills, covered commitments, weekends, month ends, ordinary noise. Nothing in it is
worth an alarm, so every alarm over it is false.

Belongs here: the plan. Does not: file formats (pipelines.demo writes them), what a false alarm is (test_clean_companies.py).
"""

from __future__ import annotations

import datetime as dt
import random

from pipelines.demo.company import A100, COMMITMENT_PER_HOUR, H100, L4, L4_PRICE
from pipelines.demo.model import DAY, HOUR, Attempt, Charge, Company, Hold, Node, Revenue, Traffic, at, epoch, hex_id
from pipelines.demo.runs import pod_uid
from pipelines.demo.traffic import output_tokens, prompt_tokens

FIRST_DAY = dt.date(2026, 9, 28)  # a Monday; the days cross a month's end
DAYS = 21
SLOT_SECONDS = 60
CENT = 10_000_000  # nano-USD
TRAIN, LAB, SERVE = "ip-10-1-0-1.ec2.internal", "ip-10-1-0-2.ec2.internal", "gke-serve-l4x2-0001"
TEAMS = ("nlp", "vision")
ALL = (0, 1)  # two dear GPUs to a node: a big company's dollars with a small one's samples


def clean_company(seed: int) -> Company:
    """Three weeks of it. Pure: the same seed, the same plan."""
    rng = random.Random(f"clean {seed}")  # noqa: S311 - a plan, not a secret
    start = epoch(FIRST_DAY)
    endpoints = _endpoints(start)
    return Company(
        seed=seed,
        first_day=FIRST_DAY,
        last_day=FIRST_DAY + dt.timedelta(days=DAYS - 1),
        nodes=_nodes(start),
        attempts=(*_runs(rng, start), *endpoints),
        gaps=(),
        strays=(),
        charges=tuple(_charges(rng, start)),
        traffic=tuple(_traffic(rng, start, endpoints)),
        gateways={"chat": "vllm"},
        commitment_per_hour=COMMITMENT_PER_HOUR,
        revenue=(Revenue("chat", 9_000_000),),
        slot_seconds=SLOT_SECONDS,
    )


def _nodes(start: int) -> tuple[Node, ...]:
    """An H100 node that the commitment covers whole; an A100 node on working days; two L4 that serve."""
    always = ((start, start + DAYS * DAY),)
    weekdays = tuple((at(start, week), at(start, week + 5)) for week in range(0, DAYS, 7))

    def aws(
        hostname: str, instance: str, gpu: str, purchase: str, pool: str, price: int, listed: int, lives: tuple[tuple[int, int], ...]
    ) -> Node:
        return Node(
            hostname=hostname, resource_id=f"i-0{hex_id(16, 'clean', hostname)}", source="aws", cluster="eks-train", pool=pool, owner_team="nlp",
            instance_type=instance, gpu_model=gpu, gpu_count=2, vcpu=96, memory_gib=1152, purchase=purchase, price=price, list_price=listed,
            zone="us-east-1a", lives=lives,
        )  # fmt: skip

    return (
        aws(TRAIN, "p5.48xlarge", H100, "savings_plan", "h100-train", 9_600, 16_000, always),
        aws(LAB, "p4d.24xlarge", A100, "spot", "a100-lab", 4_000, 8_000, weekdays),
        Node(
            hostname=SERVE, resource_id=f"//compute.googleapis.com/projects/serving-prod/zones/us-central1-a/instances/{10**18 + 7}", source="gcp",
            cluster="gke-serve", pool="l4-serve", owner_team="vision", instance_type="g2-standard-24", gpu_model=L4, gpu_count=2, vcpu=24,
            memory_gib=96, purchase="committed_use", price=L4_PRICE * 2, list_price=440, zone="us-central1-a", lives=always,
        ),
    )  # fmt: skip


def _runs(rng: random.Random, start: int) -> list[Attempt]:
    """One run after the other on both training nodes, minutes apart; one in twenty fails and is run again."""
    attempts: list[Attempt] = []
    lanes = [(TRAIN, ALL, start, start + DAYS * DAY, (6, 20))]
    lanes += [(LAB, gpus, at(start, w), at(start, w + 5), (4, 14)) for w in range(0, DAYS, 7) for gpus in (ALL[:1], ALL[1:])]
    for node, gpus, clock, end, (least, most) in lanes:
        while end - clock > HOUR:
            stop = min(clock + 300 * rng.randrange(least * 12, most * 12), end)
            state = "failed" if rng.random() < 0.05 else "completed"
            attempts.append(_run(len(attempts) + 1, rng.choice(TEAMS), rng.randrange(700, 930), state, node, gpus, clock, stop))
            clock = stop + 300 * rng.randrange(1, 3)
    return attempts


def _run(number: int, team: str, base: int, state: str, node: str, gpus: tuple[int, ...], begin: int, end: int) -> Attempt:
    run_id = f"{team}-{number:04d}"
    tags = {"team": team, "model": f"{team}-base", "environment": "research", "project": f"{team}-2026", "run_id": run_id}
    hold = Hold(node, gpus, begin, end, f"{run_id}-0", f"{team}-train", pod_uid(run_id))
    return Attempt("run", run_id, 1, state, "labels", base, (hold,), tags, "ana")


def _endpoints(start: int) -> list[Attempt]:
    """Two replicas of one endpoint that are busy day and night."""
    tags = {"team": "vision", "model": "chat-7b", "environment": "production", "project": "chat", "endpoint": "chat"}
    end = start + DAYS * DAY
    return [
        Attempt(
            "endpoint", "chat", gpu + 1, "running", "labels", 640, (Hold(SERVE, (gpu,), start, end, f"chat-{gpu}", "serving", pod_uid(f"chat-{gpu}")),),
            tags, "platform",
        )
        for gpu in (0, 1)
    ]  # fmt: skip


def _traffic(rng: random.Random, start: int, endpoints: list[Attempt]) -> list[Traffic]:
    """A daily wave, a tenth less on weekends, a tenth of noise."""
    rows = []
    for attempt in endpoints:
        pod = attempt.holds[0].pod or ""
        for hour in range(attempt.start, attempt.end, HOUR):
            weekend = (hour - start) // DAY % 7 >= 5
            ok = int(90 * (18 - abs(12 - hour // HOUR % 24)) / 12 * rng.uniform(0.9, 1.1) * (0.9 if weekend else 1))
            prompt, output = sum(prompt_tokens(420, i) for i in range(ok)), sum(output_tokens(160, i) for i in range(ok))
            rows.append(Traffic("chat", pod, hour, ok, ok // 120, prompt, output))
    return rows


def _charges(rng: random.Random, start: int) -> list[Charge]:
    """Tagged storage that grows, transfer that swings, the cluster's fee; tax and support at the month's begin, a credit once."""
    charges = []
    growth = rng.uniform(0, 0.01)
    for day in range(DAYS):
        begin = at(start, day)
        bucket = int(1_500 * (1 + growth) ** day * rng.uniform(0.97, 1.03)) * CENT
        moved = int(700 * rng.uniform(0.8, 1.2)) * CENT
        charges += [
            _daily(begin, "AmazonS3", "TimedStorage-ByteHrs", "StandardStorage", "s3-corpora", bucket, "nlp"),
            _daily(begin, "AWSDataTransfer", "DataTransfer-Out-Bytes", "GetObject", "s3-corpora", moved, "vision"),
            _daily(
                begin,
                "AmazonEKS",
                "USE1-AmazonEKS-Hours:perCluster",
                "CreateOperation",
                "arn:aws:eks:us-east-1:1:cluster/eks-train",
                240 * CENT,
                "nlp",
            ),
        ]
    month = at(start, 3)  # the first of October
    for begin, line, service, usage, cost, bears in (
        (start, "Tax", "AmazonEC2", "Tax", 9_000 * CENT, "tax_and_fees"),
        (month, "Tax", "AmazonEC2", "Tax", 30_000 * CENT, "tax_and_fees"),
        (month, "Fee", "AWSSupportBusiness", "Dollar", 10_000 * CENT, "tax_and_fees"),
        (at(start, 10), "Credit", "AmazonS3", "Credit", -rng.randrange(2_000, 9_000) * CENT, "credit"),
    ):
        charges.append(Charge("aws", begin, 24, line, service, usage, "", usage, "", 1.0, "", cost, bears))
    return charges


def _daily(begin: int, service: str, usage_type: str, operation: str, resource: str, cost: int, team: str) -> Charge:
    tags = (("user_team", team), ("user_environment", "research"), ("user_project", f"{team}-2026"))
    return Charge("aws", begin, 24, "Usage", service, usage_type, operation, usage_type, resource, 1.0, "GB", cost, tags=tags, team=team)
