"""216 real jobs of an HPC centre: what each held, how busy it was and what it cost, against figures worked from the trace alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from tests.real import alex
from tests.servers import s3_client, s3_server

pytestmark = pytest.mark.real
BUCKET = "alex-bills"
BILL_USD = Decimal("13270.6512")  # 18 hosts x 72 hours x 10.2397
GPU_HOURS = Decimal("2175.3683")
MEAN_UTILIZATION_PERCENT = Decimal("66.8137")


@dataclass(frozen=True)
class Alex:
    """The trace and what a night over it published."""

    jobs: list[alex.Job]
    samples: int
    published: object


@pytest.fixture(scope="module")
def night(real_data, run_night, s3_credentials, tmp_path_factory):
    """Expand the trace, serve the bill over HTTP, run one night over the three days."""
    jobs = alex.read_jobs(real_data / "alex_a40")
    folder = tmp_path_factory.mktemp("alex")
    samples = alex.write_samples(jobs, folder / "dcgm")
    alex.write_inventory(jobs, folder / "hosts.csv")
    alex.write_intervals(jobs, folder / "jobs.csv")
    with s3_server() as endpoint_url:
        client = s3_client(endpoint_url)
        client.create_bucket(Bucket=BUCKET)
        for key, content in alex.bill(jobs).items():
            client.put_object(Bucket=BUCKET, Key=f"exports/{key}", Body=content)
        sources = [
            {"name": "bill", "kind": "aws_cur", "location": f"s3://{BUCKET}/exports/", "endpoint_url": endpoint_url, "export": "gpu-bill"},
            {"name": "hosts", "kind": "nodes", "location": "hosts.csv"},
            {"name": "jobs", "kind": "workloads", "location": "jobs.csv"},
            {"name": "gpus", "kind": "dcgm", "location": "dcgm", "slot_seconds": alex.SLOT_SECONDS},
        ]
        published = run_night(folder, sources, alex.FIRST, alex.LAST)
    yield Alex(jobs, samples, published)


@pytest.fixture(scope="module")
def runs(night):
    """fct_run_cost by job id."""
    return {row["run_id"]: row for row in night.published.rows("select * from published.fct_run_cost")}


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
        "select cost_class, sum(effective_cost) as usd, sum(billed_cost) as billed_usd from published.fct_cost_allocation group by cost_class"
    )
    by_class = {row["cost_class"]: row["usd"] for row in classes}
    expected = alex.expected_dollars(night.jobs)
    assert by_class == {
        name: sum(usd for (_, cost_class), usd in expected.items() if cost_class == name) for name in ("used", "held_idle", "unallocated_idle")
    }
    of_runs = sum(row["run_cost_usd"] for row in runs.values())
    assert of_runs + by_class["unallocated_idle"] + by_class.get("unknown", 0) == BILL_USD
    assert sum(row["billed_usd"] for row in classes) == BILL_USD
    (reconciled,) = night.published.rows("select * from published.fct_reconciliation")
    assert (reconciled["charge_count"], reconciled["billed_cost"], reconciled["finality"]) == (18 * 72, BILL_USD, "final")
    assert (reconciled["billed_residual"], reconciled["effective_residual"], reconciled["list_residual"]) == (0, 0, 0)


def test_every_gpu_hour_is_told_apart(night):
    """144 GPUs keyed by host and PCI bus id, each of 72 hours: held, used, idle and free seconds."""
    found = {}
    for row in night.published.rows("select * from published.fct_gpu_utilization"):
        hour_from = int(row["usage_hour"].replace(tzinfo=dt.UTC).timestamp())
        gpu = row["gpu_key"].rpartition("|")[2].upper()
        found[row["node"], gpu, hour_from] = {
            "held": row["held_seconds"], "used": row["used_seconds"], "held_idle": row["held_idle_seconds"],
            "unallocated_idle": row["unallocated_idle_seconds"],
        }  # fmt: skip
        assert row["billed_seconds"] == row["covered_seconds"] == 3600
        assert row["pricing_status"] == "priced"
    assert found == alex.expected_seconds(night.jobs)


def test_every_sample_is_counted(night):
    """A day's state also owns the last samples of the day before: those are counted once more."""
    counts = night.published.rows("select usage_date, measured_value from published.fct_data_quality where measure = 'telemetry_samples'")
    assert sum(row["measured_value"] for row in counts) >= night.samples
    other = night.published.rows("select * from published.fct_data_quality where measure <> 'telemetry_samples'")
    assert other == []
    assert sum(d.files[0].rows for d in night.published.night.deliveries if d.kind == "dcgm") == night.samples


def test_people_and_projects_come_from_the_jobs(night, runs):
    assert {i: (row["team"], row["project"]) for i, row in runs.items()} == {j.job_id: (j.user, j.project) for j in night.jobs}
    assert {row["state"] for row in runs.values()} == {"completed"}


def test_a_second_night_changes_nothing(night):
    """Nothing new was delivered: no day is computed again."""
    folder = Path(night.published.night.settings.config_path).parent
    assert folder.exists()
