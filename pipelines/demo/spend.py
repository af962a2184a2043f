"""The rest of the demo company's bill: storage, network, monitoring, support, tax, credits, a late correction.

Belongs here: charges that are no node-hour, with the tags the bill shows and what they mean. Does not: node-hours and the Savings
Plan (they follow from the nodes) and any file format.
"""

from __future__ import annotations

from pipelines.demo.model import DAY, HOUR, MAX_DAYS, Attempt, Charge, at, hex_id

CENT = 10_000_000  # nano-USD
# The same team, as people really write it: (key on the bill, value on the bill).
NLP_SPELLINGS = (("user_team", "nlp"), ("user_Team", "NLP"), ("user_team", "nlp "))
CORRECTED_DAY, CORRECTION_EXPORTED_DAY = 3, 8


def plan_charges(start: int, attempts: tuple[Attempt, ...]) -> tuple[Charge, ...]:
    """Every charge of both clouds that is no node-hour, over the whole plan."""
    charges = _aws_volumes(attempts)
    for day in range(MAX_DAYS):
        charges += _aws_daily(start, day) + _gcp_daily(start, day)
    for hour in range(MAX_DAYS * 24):
        charges += _hourly(start + hour * HOUR)
    return tuple(charges + _once(start))


def _aws_volumes(attempts: tuple[Attempt, ...]) -> list[Charge]:
    """Every second run has a scratch volume of its own, tagged with its run id, from its first hour to its last."""
    runs: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        if attempt.kind == "run" and int(attempt.workload_id[-4:]) % 2 == 0:
            runs.setdefault(attempt.workload_id, []).append(attempt)
    charges = []
    for run_id, tries in sorted(runs.items()):
        first, last = min(t.start for t in tries) // HOUR * HOUR, max(t.end for t in tries) - 1
        cost = 180_000_000 + int(run_id[-4:]) * 1_250_000
        team = tries[0].tags["team"]
        charges += [
            Charge(
                "aws", hour, 1, "Usage", "AmazonEC2", "EBS:VolumeUsage.gp3", "CreateVolume-Gp3", "$0.08 per GB-month of gp3 storage",
                f"vol-0{hex_id(16, 'volume', run_id)}", 2.5, "GB-Mo", cost,
                tags=(("user_run_id", run_id), ("user_team", team)), run_id=run_id, team=team,
            )
            for hour in range(first, last + 1, HOUR)
        ]  # fmt: skip
    return charges


def _aws_daily(start: int, day: int) -> list[Charge]:
    begin = start + day * DAY
    key, value = NLP_SPELLINGS[day % 3]

    def s3(bucket: str, cost: int, tags: tuple[tuple[str, str], ...] = (), team: str | None = None, endpoint: str | None = None) -> Charge:
        return Charge(
            "aws", begin, 24, "Usage", "AmazonS3", "TimedStorage-ByteHrs", "StandardStorage", "$0.023 per GB - first 50 TB / month",
            bucket, cost / 23_000_000, "GB-Mo", cost, tags=tags, team=team, endpoint=endpoint,
        )  # fmt: skip

    return [
        s3("demo-nlp-corpora", 1_234 * CENT + day * 3 * CENT, ((key, value), ("user_project", "nlp-2026")), "nlp"),
        s3("demo-vision-images", 871 * CENT + day * CENT, (("user_team", "vision"),), "vision"),
        s3("demo-chat-models", 150 * CENT, (("user_endpoint", "chat"), ("user_team", "nlp")), "nlp", "chat"),
        s3("demo-shared-scratch", 402 * CENT + 5_000 * day),
        Charge(
            "aws", begin, 24, "Usage", "AWSDataTransfer", "DataTransfer-Out-Bytes", "GetObject", "$0.09 per GB - data transfer out", "",
            71.0 + day, "GB", 9 * CENT * (71 + day),
        ),
        Charge(
            "aws", begin, 24, "Usage", "AmazonCloudWatch", "CW:MetricMonitorUsage", "MetricStorage", "$0.30 per metric-month", "",
            40.0, "Metrics", 40 * CENT, tags=(("user_environment", "production"), ("user_team", "platform")), team="platform",
        ),
    ]  # fmt: skip


def _hourly(hour: int) -> list[Charge]:
    return [
        Charge(
            "aws", hour, 1, "Usage", "AmazonEKS", "USE1-AmazonEKS-Hours:perCluster", "CreateOperation", "$0.10 per hour per cluster",
            "arn:aws:eks:us-east-1:111122223333:cluster/eks-train", 1.0, "Hours", 10 * CENT,
        ),
        Charge(
            "gcp", hour, 1, "regular", "Compute Engine", "N1 Predefined Instance Core running in Americas", "", "",
            "//compute.googleapis.com/projects/serving-prod/zones/us-central1-a/instances/7000000000000000001", 4.0, "hour", 19 * CENT,
            tags=(("endpoint", "translate"), ("team", "speech")),
            credits=(("SUSTAINED_USAGE_DISCOUNT", "Sustained use discount", -38_000_000),), endpoint="translate", team="speech",
        ),
    ]  # fmt: skip


def _gcp_daily(start: int, day: int) -> list[Charge]:
    noon = at(start, day, "12:00:00")
    bucket = "//storage.googleapis.com/projects/_/buckets/demo-"
    storage, egress = "Standard Storage US Regional", "Network Internet Data Transfer Out from Americas to Americas"
    promotion = (("PROMOTION", "Startup programme", -2 * CENT * (day + 1)),) if day in (3, 8) else ()
    return [
        Charge(
            "gcp", noon, 1, "regular", "Cloud Storage", storage, "", "", f"{bucket}embeddings", 800.0, "gibibyte month",
            53 * CENT + day * CENT, tags=(("team", ("recsys", "RecSys")[day % 2]),), credits=promotion, team="recsys",
        ),
        Charge(
            "gcp", noon, 1, "regular", "Cloud Storage", storage, "", "", f"{bucket}embed-models", 20.0, "gibibyte month",
            11 * CENT, tags=(("endpoint", "embed"),), endpoint="embed",
        ),
        Charge(
            "gcp", noon, 1, "regular", "Networking", egress, "", "", "", 12.0, "gibibyte",
            144 * CENT + 250_000 * day,
        ),
    ]  # fmt: skip


def _once(start: int) -> list[Charge]:
    last = at(start, MAX_DAYS - 1)
    bill = (  # start, line type, service, usage type, description, nano-USD, bears
        (start, "Tax", "AmazonEC2", "Tax", "Tax for product code AmazonEC2", 31_250 * CENT, "tax_and_fees"),
        (last, "Tax", "AmazonEC2", "Tax", "Tax for product code AmazonEC2", 2_117 * CENT, "tax_and_fees"),
        (start, "Fee", "AWSSupportBusiness", "Dollar", "AWS Business Support", 10_000 * CENT, "tax_and_fees"),
        (at(start, 2), "Credit", "AmazonS3", "Credit", "AWS migration credit", -7_500 * CENT, "credit"),
        (last, "Credit", "AmazonS3", "Credit", "AWS migration credit", -1_100 * CENT, "credit"),
    )
    charges = [
        Charge("aws", begin, 24, line, service, usage, "", text, "", 1.0, "", cost, bears)
        for begin, line, service, usage, text, cost, bears in bill
    ]
    charges.append(Charge("gcp", at(start, 9), 1, "tax", "Invoice", "Tax", "", "", "", 0.0, "", 1_900 * CENT, "tax_and_fees"))
    wrong = next(c for c in _gcp_daily(start, CORRECTED_DAY) if c.resource_id.endswith("embeddings"))
    exported = at(start, CORRECTION_EXPORTED_DAY, "06:00:00")
    for quantity, cost in ((-800.0, -wrong.cost), (500.0, 35 * CENT)):
        charges.append(
            Charge(
                "gcp", wrong.start, 1, "regular", wrong.service, wrong.usage_type, "", "", wrong.resource_id, quantity, wrong.unit, cost,
                tags=wrong.tags, team=wrong.team, exported_at=exported, adjustment="USAGE_CORRECTION",
            )
        )  # fmt: skip
    return charges
