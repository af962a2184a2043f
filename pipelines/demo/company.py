"""The demo company's plan: its machines, prices and planned accidents, put together from runs, spend and traffic.

Belongs here: nodes, prices, telemetry gaps, unlabelled activity. Does not: what ran (runs.py), the rest of the bill (spend.py), what
was served (traffic.py), any file format.

Prices are chosen so that one GPU-second has a finite price: A100 node $28.80/h = $0.001 per GPU-second, H100 node $57.60/h = $0.002
(Savings Plan $0.0012, spot $0.0008), L4 $0.72/h = $0.0002.
"""

from __future__ import annotations

import datetime as dt
import random

from pipelines.demo import cases, runs, spend, traffic
from pipelines.demo.governance import GOVERNANCE
from pipelines.demo.model import DAY, HOUR, MAX_DAYS, Attempt, Company, Gap, Node, Stray, at, epoch, hex_id

FIRST_DAY = dt.date(2026, 10, 5)
A100, H100, L4 = "NVIDIA A100-SXM4-40GB", "NVIDIA H100 80GB HBM3", "NVIDIA L4"
PRICE = {  # micro-USD per node-second
    ("p4d.24xlarge", "on_demand"): 8_000,
    ("p5.48xlarge", "on_demand"): 16_000,
    ("p5.48xlarge", "savings_plan"): 9_600,
    ("p5.48xlarge", "spot"): 6_400,
}
L4_PRICE = 200  # micro-USD per GPU-second, net of the committed-use credit
COMMITMENT_PER_HOUR = 9_600 * HOUR * 1_000  # nano-USD: one p5.48xlarge at the plan's rate


def plan_company(seed: int = 7, first_day: dt.date = FIRST_DAY, days: int = MAX_DAYS) -> Company:
    """The plan of 14 days from ``first_day``, of which the first ``days`` are to be written. Pure: no file is touched.

    Raises ValueError when ``days`` is not in 1..14.
    """
    if not 1 <= days <= MAX_DAYS:
        raise ValueError(f"the demo company has 1 to {MAX_DAYS} days, not {days}")
    start = epoch(first_day)
    rng = random.Random(seed)  # noqa: S311 - a plan, not a secret
    nodes = _aws_nodes(start) + _gcp_nodes(start)
    attempts = runs.plan_attempts(start, rng)
    retrains = cases.nightly_retrains(start)
    return Company(
        seed=seed,
        first_day=first_day,
        last_day=first_day + dt.timedelta(days=days - 1),
        nodes=nodes,
        attempts=(*attempts, *retrains),
        gaps=_gaps(start, attempts),
        strays=(Stray("ip-10-0-3-10.ec2.internal", (7,), at(start, 8, "10:00:00"), at(start, 8, "13:00:00"), 350),),
        charges=(*spend.plan_charges(start, attempts), *cases.charges(start)),
        traffic=traffic.plan_traffic(seed, start, attempts),
        gateways={"embed": "litellm", "chat": "vllm", "translate": "vllm"},
        commitment_per_hour=COMMITMENT_PER_HOUR,
        revenue=cases.revenue(),
        quality=cases.quality(seed, retrains),
        managed=cases.managed(start),
        governance=GOVERNANCE,
        spare_commitment_per_hour=cases.SPARE_PLAN_PER_HOUR,
    )


def _aws_nodes(start: int) -> tuple[Node, ...]:
    end = start + MAX_DAYS * DAY
    always = ((start, end),)
    maintenance = ((start, at(start, 4, "02:10:30")), (at(start, 4, "05:40:00"), end))
    k8s, slurm = "eks-train", "slurm-hpc"
    p4d, p5 = "p4d.24xlarge", "p5.48xlarge"
    return (
        _aws("ip-10-0-1-11.ec2.internal", p5, "savings_plan", k8s, "h100-train", "platform", maintenance),
        _aws("ip-10-0-1-12.ec2.internal", p5, "on_demand", k8s, "h100-train", "platform", always),
        _aws("ip-10-0-2-21.ec2.internal", p5, "spot", k8s, "h100-spot", "nlp", ((at(start, 2, "06:04:00"), at(start, 4, "13:17:30")),)),
        _aws("ip-10-0-2-22.ec2.internal", p5, "spot", k8s, "h100-spot", "nlp", ((at(start, 4, "13:41:00"), at(start, 6, "19:05:30")),)),
        _aws("ip-10-0-3-10.ec2.internal", p4d, "on_demand", k8s, "a100-dev", "research", always),
        _aws("ip-10-0-4-10.ec2.internal", p4d, "on_demand", k8s, "a100-reserve", "vision", ((at(start, 5, "09:30:00"), end),)),
        _aws("ip-10-0-5-10.ec2.internal", p4d, "on_demand", k8s, "a100-serve", "nlp", always),
        _aws("slurm-a100-1", p4d, "on_demand", slurm, "a100-slurm", "speech", always),
        _aws("slurm-a100-2", p4d, "on_demand", slurm, "a100-slurm", "speech", ((at(start, 1, "07:00:00"), at(start, 11, "19:23:30")),)),
        _aws(
            "ip-10-0-6-66.ec2.internal",
            p4d,
            "on_demand",
            k8s,
            "a100-burst",
            "recsys",
            ((at(start, 3, "08:12:30"), at(start, 6, "07:00:00")),),
            has_telemetry=False,
        ),
    )


def _aws(
    hostname: str,
    instance: str,
    purchase: str,
    cluster: str,
    pool: str,
    owner: str,
    lives: tuple[tuple[int, int], ...],
    has_telemetry: bool = True,
) -> Node:
    h100 = instance.startswith("p5")
    return Node(
        hostname=hostname, resource_id=f"i-0{hex_id(16, 'instance', hostname)}", source="aws", cluster=cluster, pool=pool,
        owner_team=owner, instance_type=instance, gpu_model=H100 if h100 else A100, gpu_count=8, vcpu=192 if h100 else 96,
        memory_gib=2048 if h100 else 1152, purchase=purchase, price=PRICE[instance, purchase], list_price=PRICE[instance, "on_demand"],
        zone="us-east-1a", lives=lives, has_telemetry=has_telemetry,
    )  # fmt: skip


def _gcp_nodes(start: int) -> tuple[Node, ...]:
    always = ((start, start + MAX_DAYS * DAY),)
    burst = ((at(start, 7, "11:20:00"), at(start, 10, "16:45:30")),)
    return (
        _gcp("gke-serve-l4x2-7c1f-a0qd", "g2-standard-24", 2, "l4-embed", "recsys", always),
        _gcp("gke-serve-l4x1-51be-p2xk", "g2-standard-4", 1, "l4-translate", "speech", always),
        _gcp("gke-serve-l4x1-51be-w9zt", "g2-standard-4", 1, "l4-embed", "recsys", burst),
    )


def _gcp(hostname: str, machine: str, gpus: int, pool: str, owner: str, lives: tuple[tuple[int, int], ...]) -> Node:
    number = 10**18 + int(hex_id(15, "vm", hostname), 16)
    return Node(
        hostname=hostname,
        resource_id=f"//compute.googleapis.com/projects/serving-prod/zones/us-central1-a/instances/{number}",
        source="gcp", cluster="gke-serve", pool=pool, owner_team=owner, instance_type=machine, gpu_model=L4, gpu_count=gpus,
        vcpu=24 if gpus == 2 else 4, memory_gib=96 if gpus == 2 else 16, purchase="committed_use", price=L4_PRICE * gpus,
        list_price=220 * gpus, zone="us-central1-a", lives=lives,
    )  # fmt: skip


def _gaps(start: int, attempts: tuple[Attempt, ...]) -> tuple[Gap, ...]:
    """An hour on a node that one run holds whole, three minutes on an idle node, three on one GPU of a bare pod."""
    host = "ip-10-0-1-12.ec2.internal"
    whole = next(
        h
        for a in attempts
        for h in a.holds
        if h.node == host and len(h.gpus) == 8 and len(a.holds) == 1 and h.start > at(start, 1) and h.end - h.start > 12 * HOUR
    )
    begin = whole.start // HOUR * HOUR + 5 * HOUR + 1_200
    bare = next(a for a in attempts if a.evidence == "label_only").holds[0]
    pause = bare.start // HOUR * HOUR + 2 * HOUR + 600
    return (
        Gap(host, tuple(range(8)), begin, begin + HOUR),
        Gap("ip-10-0-4-10.ec2.internal", tuple(range(8)), at(start, 7, "12:20:00"), at(start, 7, "12:23:00")),
        Gap(bare.node, bare.gpus, pause, pause + 180),
    )
