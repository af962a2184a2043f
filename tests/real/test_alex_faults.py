"""The 216 real jobs again, from telemetry with faults: what is told of each is exact, and never more than the surviving samples allow."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

import pytest

from tests.real import alex, alex_faults
from tests.real.conftest import Published
from tests.sources.fixtures import aws_cur

pytestmark = pytest.mark.real
BILL_USD = Decimal("13270.6512")  # 18 hosts x 72 hours x 10.2397


@dataclass(frozen=True)
class Night:
    """The trace, what was delivered of it, what must come out, and what a night published."""

    jobs: list[alex.Job]
    faulty: alex_faults.Faulty
    expected: alex_faults.Expected
    published: Published


@pytest.fixture(scope="module")
def night(real_data, run_night, tmp_path_factory) -> Night:
    """Spoil the trace's samples, run one night over the three days."""
    jobs = alex.read_jobs(real_data / "alex_a40")
    folder = tmp_path_factory.mktemp("alex-faults")
    faulty = alex_faults.write_samples(jobs, folder / "dcgm")
    alex.write_inventory(jobs, folder / "hosts.csv")
    alex.write_intervals(jobs, folder / "jobs.csv")
    aws_cur.put_folder(folder / "bill", alex.bill(jobs))
    sources = [
        {"name": "bill", "kind": "aws_cur", "location": "bill", "export": "gpu-bill"},
        {"name": "hosts", "kind": "nodes", "location": "hosts.csv"},
        {"name": "jobs", "kind": "workloads", "location": "jobs.csv"},
        {"name": alex_faults.SOURCE, "kind": "dcgm", "location": "dcgm", "slot_seconds": alex_faults.SLOT_SECONDS},
    ]
    published = run_night(folder, sources, alex.FIRST, alex.LAST)
    return Night(jobs, faulty, alex_faults.expected(jobs, faulty), published)


@pytest.fixture(scope="module")
def runs(night):
    """fct_run_cost by job id."""
    return {row["run_id"]: row for row in night.published.rows("select * from fct_run_cost")}


def test_the_faults_are_what_they_claim_to_be(night):
    """144 GPUs x 8,640 scrapes x 2 exporters; 5 % dropped (silences may overlap) and 1 % of the rest garbage, within what chance allows."""
    assert night.faulty.made == 144 * 8640 * 2
    left, garbage = sum(night.faulty.samples.values()), sum(night.faulty.garbage.values())
    assert abs(left / night.faulty.made - 0.95) < 0.0025
    assert abs(garbage / left - 0.01) < 0.00025


def test_every_surviving_sample_and_every_garbage_value_is_counted(night):
    counted = night.published.rows(
        "select usage_date, measure, sum(measured_value) as n from fct_data_quality"
        " where measure in ('telemetry_samples', 'discarded_activity_values') group by all"
    )
    found = {(row["measure"], row["usage_date"]): row["n"] for row in counted}
    assert found == {("telemetry_samples", day): n for day, n in night.faulty.samples.items()} | {
        ("discarded_activity_values", day): n for day, n in night.faulty.garbage.items()
    }


def test_coverage_is_reported_truly(night, runs):
    """Observed and filled time of every run and GPU-hour is that of the surviving samples, counted second by second."""
    found, wanted = {}, {}
    for row in night.published.rows("select * from fct_gpu_utilization"):
        hour_from = int(row["usage_hour"].replace(tzinfo=dt.UTC).timestamp())
        found[row["node"], row["gpu_key"].rpartition("|")[2].upper(), hour_from] = (row["held_seconds"], row["covered_seconds"])
    for gpu_hour, known in night.expected.gpu_hours.items():
        wanted[gpu_hour] = (known.held, known.covered)
    assert len(found) == len(wanted) == 144 * alex.HOURS
    assert {key: (found.get(key), seconds) for key, seconds in wanted.items() if found.get(key) != seconds} == {}
    for job in night.jobs:
        known, row = night.expected.runs[job.job_id], runs[job.job_id]
        assert (row["held_gpu_seconds"], row["measured_gpu_seconds"]) == (job.gpu_seconds, known.measured), job
    # not vacuous: there are runs that the faults left partly, and runs that they left wholly in the dark
    shares = [known.measured / known.held for known in night.expected.runs.values()]
    assert min(shares) == 0 and max(shares) == 1 and sum(0 < share < 1 for share in shares) > 50, sorted(shares)


def test_every_run_is_as_active_as_its_coverage_allows(night, runs):
    """A job's samples read its true mean: the mean of those that are left is that mean, to the millionth that the metric is kept in, and
    what is said of all its time differs from the truth by no more than the share of it that nobody saw: |published - true| <= 1 - coverage."""
    for job in night.jobs:
        row, true = runs[job.job_id], Decimal(job.activity_ppm) / alex.PPM
        held, measured, used = row["held_gpu_seconds"], row["measured_gpu_seconds"], row["used_gpu_seconds"]
        assert used == Decimal(night.expected.runs[job.job_id].used_ppm) / alex.PPM, job
        assert used == measured * true, job
        if measured:
            assert row["activity_ratio"] == pytest.approx(float(true), abs=1e-9), job
        else:
            assert row["activity_ratio"] is None, job
        assert abs(used / held - true) <= 1 - measured / held, job


def test_every_run_costs_what_its_seconds_cost(night, runs):
    """Whatever is missing, a run pays for all its time: cost and its split into used, idle and unknown, to the last of twelve digits."""
    for job in night.jobs:
        row = runs[job.job_id]
        by_class = {
            name: sum((usd for (key, found, _), usd in night.expected.dollars.items() if (key, found) == (job.key, name)), Decimal(0))
            for name in ("used", "held_idle", "unknown")
        }
        assert (row["used_cost_usd"], row["held_idle_cost_usd"], row["unknown_cost_usd"]) == tuple(by_class.values()), job
        assert (row["run_cost_usd"], row["billed_cost_usd"], row["list_cost_usd"]) == (sum(by_class.values()),) * 3, job
        assert (row["other_cost_usd"], row["pricing_status"]) == (0, "priced"), job
        # the faults move dollars between classes, not between runs: the same cost as from whole telemetry, but for the last digits of each hour
        whole = Decimal(job.gpu_seconds) * alex.RATE_USD / (alex.GPUS_PER_HOST * 3600)
        assert abs(row["run_cost_usd"] - whole) <= len(range(job.started // 3600, job.ended // 3600 + 1)) * 4 * alex.UNIT, job


def test_the_classes_sum_to_the_bill(night):
    rows = night.published.rows(
        "select coalesce(workload_key, '') as workload_key, cost_class, coalesce(reason, '') as reason, sum(effective_cost) as usd,"
        " sum(billed_cost) as billed_usd from fct_cost_allocation group by all"
    )
    assert {(row["workload_key"], row["cost_class"], row["reason"]): row["usd"] for row in rows} == dict(night.expected.dollars)
    assert sum(row["usd"] for row in rows) == sum(row["billed_usd"] for row in rows) == BILL_USD
    (reconciled,) = night.published.rows(
        "select sum(abs(delivery_residual)) as delivery_residual, sum(abs(allocation_residual_usd)) as allocation_residual_usd,"
        " sum(quarantined_cost_usd) as quarantined_cost_usd, sum(effective_cost_usd) as effective_cost_usd from fct_reconciliation"
    )
    assert reconciled == {
        "delivery_residual": 0, "allocation_residual_usd": 0, "quarantined_cost_usd": 0, "effective_cost_usd": BILL_USD,
    }  # fmt: skip
