"""The real jobs of one cluster, expanded to what a company would hand over: samples, intervals, an inventory, a bill.

Belongs here: reading the trace, the expansion, and the figures that must come out, worked in plain Python from the trace alone.
Does not: assertions; anything of the pipeline.

The trace has 216 jobs on 18 hosts of 8 A40 each, named by host and PCI bus id, with each job's mean utilization. The expansion:

- every GPU of the 18 hosts, held or idle, is sampled every 5 s over three whole UTC days, and once more at each job's first second;
  a held GPU reads its job's mean, an idle one 0. All time is observed; only where the free seconds of a GPU's hour are so few, between
  two jobs, that no sample fell into them, nobody knows what the GPU did: they are unknown, not idle.
- every host is billed for each of the 72 hours at RATE_USD, a rate chosen so that no share of it is a round number.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from tests.sources.fixtures import aws_cur

RATE_USD = Decimal("10.2397")  # one host for one hour
FIRST, LAST = dt.date(2023, 2, 7), dt.date(2023, 2, 9)
FROM_SECOND = int(dt.datetime(2023, 2, 7, tzinfo=dt.UTC).timestamp())
HOURS = 72
SLOT_SECONDS = 5
GPUS_PER_HOST = 8
UNIT = Decimal("1e-12")
PPM = 1_000_000

Holding = tuple[str, str]  # (workload_key or '', cost_class)


@dataclass(frozen=True)
class Job:
    """One job: when (epoch seconds, half open), where, on which GPUs, and its mean utilization in millionths."""

    job_id: str
    started: int
    ended: int
    hostname: str
    gpus: tuple[str, ...]
    activity_ppm: int
    user: str
    project: str
    state: str

    @property
    def key(self) -> str:
        """Its workload key in the published tables."""
        return f"training_run/{self.job_id}"

    @property
    def gpu_seconds(self) -> int:
        """Seconds held, over its GPUs."""
        return (self.ended - self.started) * len(self.gpus)


def read_jobs(folder: Path) -> list[Job]:
    """The trace."""
    held = defaultdict(list)
    for row in _read(folder / "gpu_allocations.csv"):
        held[row["job_id"]].append((row["hostname"], row["pci_bus_id"]))
    jobs = []
    for row in _read(folder / "gpu_jobs.csv"):
        gpus = held[row["job_id"]]
        (hostname,) = {host for host, _ in gpus}
        assert len(set(gpus)) == len(gpus) == int(row["num_gpus"])
        started, ppm = int(row["start_time_unix"]), Decimal(row["acc_utilization_avg_pct"]) * PPM / 100
        assert ppm == int(ppm)
        jobs.append(
            Job(
                row["job_id"], started, started + int(row["duration_s"]), hostname, tuple(gpu for _, gpu in gpus), int(ppm),
                row["user_hash"], row["project_hash"], row["state"],
            )
        )  # fmt: skip
    return jobs


def gpus_of(jobs: list[Job]) -> list[tuple[str, str]]:
    """Every (host, PCI bus id) of the cluster: each was held at least once."""
    return sorted({(job.hostname, gpu) for job in jobs for gpu in job.gpus})


def resource_id(hostname: str) -> str:
    """The billed resource of a host."""
    return f"i-{hostname.removeprefix('a'):0>17}"


def write_samples(jobs: list[Job], folder: Path) -> dict[dt.date, int]:
    """A wide Parquet file of samples per day, in order of arrival; returns each day's number of samples."""
    folder.mkdir(parents=True)
    with duckdb.connect() as con:
        con.execute("set memory_limit = '1GB'")
        con.execute("set threads = 2")
        con.execute("create table held (hostname varchar, pci_bus_id varchar, started bigint, ended bigint, util double)")
        rows = [(j.hostname, gpu, j.started, j.ended, j.activity_ppm / 10_000) for j in jobs for gpu in j.gpus]
        con.executemany("insert into held values (?, ?, ?, ?, ?)", rows)
        con.execute("create table gpus as select distinct hostname, pci_bus_id from held")
        counts = {}
        for day in range((LAST - FIRST).days + 1):
            day_from = FROM_SECOND + day * 86400
            con.execute(
                """
                create or replace table sampled as
                with ticks as (
                    select gpus.hostname, gpus.pci_bus_id, tick.second
                    from gpus cross join (select unnest(range($day_from::bigint, $day_from::bigint + 86400, $slot::bigint)) as second) as tick
                ), starts as (
                    select hostname, pci_bus_id, started as second from held
                    where started % $slot <> 0 and started >= $day_from and started < $day_from + 86400
                )
                select make_timestamp(moments.second * 1000000) as timestamp, moments.hostname, moments.pci_bus_id,
                       coalesce(held.util, 0) as DCGM_FI_DEV_GPU_UTIL
                from (select * from ticks union all select * from starts) as moments
                left join held on moments.hostname = held.hostname and moments.pci_bus_id = held.pci_bus_id
                    and moments.second >= held.started and moments.second < held.ended
                order by moments.second, moments.hostname, moments.pci_bus_id
                """,
                {"day_from": day_from, "slot": SLOT_SECONDS},
            )
            date = FIRST + dt.timedelta(days=day)
            (counts[date],) = con.table("sampled").count("*").fetchall()[0]
            con.table("sampled").write_parquet(str(folder / f"{date}.parquet"), compression="snappy")
    return counts


def write_inventory(jobs: list[Job], path: Path) -> None:
    """The hosts, valid over the three days."""
    hosts = sorted({job.hostname for job in jobs})
    ends = [dt.datetime.combine(day, dt.time(), dt.UTC).isoformat() for day in (FIRST, LAST + dt.timedelta(days=1))]
    rows = [[host, "aws", resource_id(host), GPUS_PER_HOST, "NVIDIA A40", *ends] for host in hosts]
    _write(path, ["hostname", "provider", "resource_id", "gpu_count", "gpu_model", "valid_from", "valid_to"], rows)


def write_intervals(jobs: list[Job], path: Path) -> None:
    """The jobs, naming their GPUs by PCI bus id."""
    names = "workload_type workload_id attempt_id started_at ended_at state hostname gpu_ids label_user label_project".split()
    rows = [
        ["training_run", j.job_id, j.job_id, j.started, j.ended, j.state, j.hostname, ";".join(j.gpus), j.user, j.project] for j in jobs
    ]
    _write(path, names, rows)


def bill(jobs: list[Job]) -> dict[str, bytes]:
    """A CUR 2.0 delivery of February 2023 as {key: content}: each host, each hour, one line."""
    lines = []
    for host in sorted({job.hostname for job in jobs}):
        for hour in range(HOURS):
            start = dt.datetime.fromtimestamp(FROM_SECOND + hour * 3600, dt.UTC)
            lines.append(_line(len(lines), host, start))
    columns = (*aws_cur.CSV_COLUMNS, "line_item_operation", "line_item_currency_code")
    half = len(lines) // 2
    chunks = [aws_cur.parquet(part, columns) for part in (lines[:half], lines[half:])]
    return aws_cur.export_objects(chunks, period="2023-02", suffix="snappy.parquet", uri="s3://alex-bills/exports/")


def _line(number: int, host: str, start: dt.datetime) -> dict[str, Any]:
    return aws_cur.line(
        number,
        bill_invoice_id="2023020001",
        bill_billing_period_start_date="2023-02-01T00:00:00.000Z",
        line_item_usage_start_date=start.isoformat(),
        line_item_usage_end_date=(start + dt.timedelta(hours=1)).isoformat(),
        line_item_resource_id=resource_id(host),
        line_item_usage_type="BoxUsage:a40.8x",
        line_item_operation="RunInstances",
        line_item_currency_code="USD",
        line_item_unblended_cost=str(RATE_USD),
        pricing_public_on_demand_cost=str(RATE_USD),
        resource_tags={},
    )


def expected_seconds(jobs: list[Job]) -> dict[tuple[str, str, int], dict[str, Decimal]]:
    """(host, GPU, hour from) -> seconds held, used, held_idle, unallocated_idle and unknown of the hour's 3600."""
    held, used = defaultdict(int), defaultdict(int)
    ticks = defaultdict(lambda: 3600 // SLOT_SECONDS)
    for job in jobs:
        for hour_from in _hours(job):
            first, end = max(job.started, hour_from), min(job.ended, hour_from + 3600)
            for gpu in job.gpus:
                held[job.hostname, gpu, hour_from] += end - first
                used[job.hostname, gpu, hour_from] += (end - first) * job.activity_ppm
                ticks[job.hostname, gpu, hour_from] -= -(-end // SLOT_SECONDS) - -(-first // SLOT_SECONDS)
    expected = {}
    for gpu in gpus_of(jobs):
        for hour in range(HOURS):
            key = (*gpu, FROM_SECOND + hour * 3600)
            free, used_seconds = 3600 - held[key], Decimal(used[key]) / PPM
            expected[key] = {
                "held": held[key],
                "used": used_seconds,
                "held_idle": held[key] - used_seconds,
                "unallocated_idle": free if ticks[key] else 0,
                "unknown": 0 if ticks[key] else free,
            }
    return expected


def expected_dollars(jobs: list[Job]) -> dict[Holding, Decimal]:
    """(workload or '', cost class) -> dollars, to the last digit.

    Each host-hour's charge is split over its 8 x 3600 GPU-seconds by the published rule: floor to 1e-12 USD, the rest one unit each to the
    largest remainders, ties by workload (nobody first), then class.
    """
    weights: dict[tuple[str, int], dict[Holding, int]] = defaultdict(lambda: defaultdict(int))
    for (host, _, hour_from), seconds in expected_seconds(jobs).items():
        for free in ("unallocated_idle", "unknown"):
            weights[host, hour_from]["", free] += int(seconds[free]) * PPM
    for job in jobs:
        for hour_from in _hours(job):
            seconds = (min(job.ended, hour_from + 3600) - max(job.started, hour_from)) * len(job.gpus)
            weights[job.hostname, hour_from][job.key, "used"] += seconds * job.activity_ppm
            weights[job.hostname, hour_from][job.key, "held_idle"] += seconds * (PPM - job.activity_ppm)
    dollars: dict[Holding, Decimal] = defaultdict(Decimal)
    units, total = int(RATE_USD / UNIT), GPUS_PER_HOST * 3600 * PPM
    for of_hour in weights.values():
        assert sum(of_hour.values()) == total
        shares = {holding: divmod(units * weight, total) for holding, weight in of_hour.items() if weight}
        left = units - sum(floor for floor, _ in shares.values())
        for rank, holding in enumerate(sorted(shares, key=lambda h: (-shares[h][1], h))):
            dollars[holding] += (shares[holding][0] + (rank < left)) * UNIT
    return dict(dollars)


def _hours(job: Job) -> range:
    return range(job.started - job.started % 3600, job.ended, 3600)


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def _write(path: Path, names: list[str], rows: list[list[Any]]) -> None:
    with path.open("w", newline="") as handle:
        csv.writer(handle).writerows([names, *rows])
