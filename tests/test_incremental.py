"""A day's figures do not depend on how one came to them: order of days, late files, restatements, kills, threads and memory.

Four small days with a run across midnights, an endpoint, an idle GPU, a bill with tags. Compared are every published table's ordered
rows and every byte of the Parquet release.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines import dbt, nightly
from tests.oracle import files
from tests.oracle.night import RELEASE_STAGES, Bench, content_hash
from tests.oracle.plan import Charge, Cluster, Gpu, Interval, Node, Sample

pytestmark = pytest.mark.slow

DAYS = [dt.date(2026, 10, 5) + dt.timedelta(days=n) for n in range(4)]
FIRST = int(dt.datetime(2026, 10, 5, tzinfo=dt.UTC).timestamp())
SLOT, STEP = 60, 180
NODE = Node("inc-n", "i-inc", (Gpu("GPU-inc-0", 0, ""), Gpu("GPU-inc-1", 1, "")), 2, ((FIRST, FIRST + 4 * 86400),))
# One commitment, thresholds that four days of a two-GPU company pass, and a lever that was pulled: so that every table of governance has rows.
GOVERNANCE = {
    "levers": {
        "minimum_observed_days": 1,
        "minimum_saving_usd_per_month": 0,
        "adopted": [{"lever_kind": "raise_utilization", "scope_type": "team", "scope": "vision", "adopted_on": "2026-10-07"}],
    },
    "budgets": [{"id": "vision", "owner": "vision", "amount_usd": 10, "scope": {"team": "vision"}}],
    "guardrails": [{"id": "dear_runs", "kind": "max_run_cost", "limit": 1}],
}
# a spend anomaly needs eight days to compare with: tests/governance/test_anomalies.py shuffles its rows
NOT_IN_FOUR_DAYS = {"meta_publication", "fct_spend_anomaly"}
LATE = (FIRST + 2 * 86400 - 7200, FIRST + 2 * 86400)  # the last two hours of the second day


def _samples(index: int) -> list[Sample]:
    found = []
    for second in range(FIRST + 30, FIRST + 4 * 86400, STEP):
        body = {"namespace": "ml", "pod": "inc-p"} if index == 0 and FIRST + 21600 <= second < FIRST + 3 * 86400 - 21600 else {}
        activity = f"0.{(second // STEP) % 1000:03d}" if body else "0"
        found.append(Sample(second * 1_000_000, NODE.hostname, NODE.gpus[index].uuid, str(index), "", "a", sm_active=activity, **body))
    return found


def _is_late(sample: Sample) -> bool:
    return sample.index == "1" and LATE[0] <= sample.micros // 1_000_000 < LATE[1]


def _bill(*, reordered: bool = False, restated: bool = False, retagged: bool = False) -> list[dict[str, Any]]:
    charges = [Charge(NODE.resource_id, hour, unblended=f"3.{hour % 997:03d}000000001") for hour in range(FIRST, FIRST + 4 * 86400, 3600)]
    rows = files.bill_rows(Cluster("inc", charges=charges))
    for number, day in enumerate(DAYS):
        rows += files.bill_rows(
            Cluster(
                f"bucket{number}",
                charges=[Charge("vol-1", FIRST + number * 86400, usage_type="EBS:VolumeUsage", operation="CreateVolume", unblended="1.5")],
            )
        )
        rows += files.bill_rows(
            Cluster(
                f"plan{number}",
                charges=[
                    Charge("", FIRST + number * 86400, line_type="SavingsPlanRecurringFee", usage_type="ComputeSP:1yrNoUpfront", unblended="2"),
                    Charge(
                        "i-covered", FIRST + number * 86400, line_type="SavingsPlanCoveredUsage", usage_type="BoxUsage:g5.xlarge",
                        unblended="1.5", plan_effective="1.25", list_cost="1.5",
                    ),
                    Charge("", FIRST + number * 86400, line_type="SavingsPlanNegation", usage_type="BoxUsage:g5.xlarge", unblended="-1.5"),
                ],
            )
        )  # fmt: skip
        rows[-4]["resource_tags"] = {"user_team": "late-team" if retagged and day == DAYS[1] else "vision", "user_run_id": "inc-r"}
    if restated:
        rows[50]["line_item_unblended_cost"] = "9.5"  # the third day, 02:00
    return rows[::-1] if reordered else rows


def write(folder: Path, *, late: bool = True, engine: str = "", **bill: bool) -> Path:
    """The four days as input files; ``late``: the file that came late is there."""
    cluster = Cluster("inc", SLOT, nodes=[NODE])
    ranker = '{"model": "ranker"}'  # whose it is, the bill's tags say
    ended = {"state": "Completed", "gpu_count": 1, "labels": ranker}
    cluster.intervals = [
        Interval("inc-r", "1", FIRST + 21600, FIRST + 3 * 86400 - 21600, NODE.hostname, namespace="ml", pod="inc-p", **ended),
        Interval("inc-v1", "1", FIRST + 3600, FIRST + 10800, NODE.hostname, **ended),
        Interval("inc-v2", "1", FIRST + 3 * 86400, FIRST + 3 * 86400 + 14400, NODE.hostname, **ended),
        Interval("chat", "a", FIRST + 40000, None, NODE.hostname, gpu_ids=(NODE.gpus[1].uuid,), workload_type="endpoint"),
    ]
    files.write_bill(folder / "bill", _bill(**bill))
    files.write_nodes(folder / "nodes" / "nodes.csv", [cluster])
    files.write_intervals(folder / "workloads" / "intervals.csv", [cluster])
    samples = [*_samples(0), *_samples(1)]
    for number, day in enumerate(DAYS):
        own = [s for s in samples if (s.micros // 1_000_000 - FIRST) // 86400 == number and not _is_late(s)]
        files.write_samples(folder / "telemetry", f"dcgm-{day}", "wide_csv", own)
    if late:
        files.write_samples(folder / "telemetry", "late", "wide_csv", [s for s in samples if _is_late(s)])
    requests = [
        [files.utc(FIRST + n * 7200), *(("rented", "bedrock", "0.25") if n % 4 == 3 else ("chat", "", "")), "200", 100 + n, 10 + n, "0.5"]
        for n in range(48)
    ]
    for number, day in enumerate(DAYS):
        columns = ["timestamp", "endpoint", "provider", "spend", "status", "prompt_tokens", "output_tokens", "latency_seconds"]
        files.write_csv(folder / "requests" / f"{day}.csv", columns, requests[number * 12 : number * 12 + 12])
    files.write_csv(folder / "card" / "card.csv", ["gpu_model", "rate_unit", "hourly_rate"], [["A100", "gpu_hour", "1.700000000001"]])
    evaluations = [
        ["ranker", run_id, run_id, "accuracy", "golden", quality, "true", f"2026-10-{day:02d}T12:00:00Z"]
        for run_id, quality, day in (("inc-v1", "0.900", 5), ("inc-r", "0.905", 7), ("inc-v2", "0.906", 8))
    ]
    columns = ["model", "model_version", "run_id", "metric", "evaluation_set", "quality", "is_higher_better", "measured_at"]
    files.write_csv(folder / "quality" / "evaluations.csv", columns, evaluations)
    files.write_settings(
        folder, [], engine=engine, policy={"governance": GOVERNANCE},
        extra=[
            "{name: evaluations, kind: model_quality, location: ./quality}",
            "{name: card, kind: rate_card, location: ./card}",
            f"{{name: dcgm, kind: dcgm, location: ./telemetry, slot_seconds: {SLOT}}}",
            "{name: log, kind: inference_requests, location: ./requests}",
        ],
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


def parquet_bytes(bench: Bench, name: str) -> dict[str, str]:
    """Digest of every Parquet file of the current release."""
    root = (bench.home(name) / "published" / "current").resolve() / "parquet"
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(root.rglob("*.parquet"))}


def run(bench: Bench, folder: Path, name: str, first: dt.date, last: dt.date | None = None) -> nightly.Night:
    return bench.night(folder, name, first, last, stages=RELEASE_STAGES)


@pytest.fixture(scope="module")
def whole(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], dict[str, str]]:
    """The four days computed at once from everything: (content by table, bytes by file) that every other way must reach."""
    folder = write(tmp_path_factory.mktemp("whole"), restated=True, retagged=True)
    night = run(bench, folder, "whole", DAYS[0], DAYS[-1])
    assert night.planned.dirty_days == set(DAYS)
    tables = bench.published("whole")
    assert {name for name, rows in tables.items() if len(rows) < 2} <= NOT_IN_FOUR_DAYS, "a table is empty: nothing would be compared"
    return content_hash(tables), parquet_bytes(bench, "whole")


def assert_same(bench: Bench, name: str, whole: tuple[dict[str, str], dict[str, str]]) -> None:
    content = content_hash(bench.published(name))
    assert [t for t in sorted(content | whole[0]) if content.get(t) != whole[0].get(t)] == []
    written = parquet_bytes(bench, name)
    assert [f for f in sorted(written | whole[1]) if written.get(f) != whole[1].get(f)] == []


def test_days_out_of_order_then_again(bench: Bench, tmp_path: Path, whole: tuple[dict[str, str], dict[str, str]]) -> None:
    folder = write(tmp_path, restated=True, retagged=True)
    for first, last in ((2, 2), (0, 1), (3, 3)):
        assert run(bench, folder, "mixed", DAYS[first], DAYS[last]).planned.dirty_days == set(DAYS[first : last + 1])
    assert_same(bench, "mixed", whole)
    again = run(bench, folder, "mixed", DAYS[0], DAYS[-1])
    assert again.planned.dirty_days == set() and again.planned.dirty_telemetry_days == set()
    assert not again.release.is_new
    assert_same(bench, "mixed", whole)


@pytest.mark.slow
@pytest.mark.parametrize("days", [DAYS, DAYS[::-1]], ids=["forward", "backward"])
def test_days_one_by_one(bench: Bench, tmp_path: Path, whole: tuple[dict[str, str], dict[str, str]], days: list[dt.date]) -> None:
    name = f"single-{days[0]}"
    folder = write(tmp_path, restated=True, retagged=True)
    for day in days:
        assert run(bench, folder, name, day).planned.dirty_days == {day}
    assert_same(bench, name, whole)


def test_what_arrives_between_nights(bench: Bench, tmp_path: Path, whole: tuple[dict[str, str], dict[str, str]]) -> None:
    """A reordered restatement, a late telemetry file in a night that is killed, a restated bill, a changed tag: each dirties its own days."""
    folder = write(tmp_path, late=False)
    run(bench, folder, "grown", DAYS[0], DAYS[-1])

    write(folder, late=False, reordered=True)
    unchanged = bench.night(folder, "grown", DAYS[-1], stages=(nightly.ingest, nightly.plan))
    assert unchanged.planned.dirty_days == set() and unchanged.planned.dirty_telemetry_days == set()

    write(folder)
    killed = bench.night(folder, "grown", DAYS[-1], stages=(nightly.ingest, nightly.plan, _half_of_dbt))
    assert killed.planned.dirty_days == killed.planned.dirty_telemetry_days == {DAYS[1], DAYS[2]}
    resumed = run(bench, folder, "grown", DAYS[-1])
    assert resumed.planned.dirty_days == {DAYS[1], DAYS[2]}

    write(folder, restated=True)
    assert run(bench, folder, "grown", DAYS[-1]).planned.dirty_days == {DAYS[2]}

    write(folder, restated=True, retagged=True)
    tagged = run(bench, folder, "grown", DAYS[-1])
    assert tagged.planned.dirty_days == {DAYS[1]} and tagged.planned.dirty_telemetry_days == set()
    assert_same(bench, "grown", whole)


def _half_of_dbt(night: nightly.Night, progress: Callable[[str], None]) -> None:
    """A night that dies after some of its models."""
    dbt.invoke(night.settings, ["run", "--select", "int_days int_charges int_charge_buckets fct_charge_bucket int_gpu_blocks"])


@pytest.mark.parametrize("engine", ["{threads: 1, memory_limit: 256MB}"])
def test_one_thread_and_little_memory_give_the_same_bytes(
    bench: Bench, tmp_path: Path, whole: tuple[dict[str, str], dict[str, str]], engine: str
) -> None:
    folder = write(tmp_path, restated=True, retagged=True, engine=engine)
    run(bench, folder, "narrow", DAYS[0], DAYS[-1])
    assert_same(bench, "narrow", whole)


def test_a_new_policy_or_code_makes_every_day_dirty(bench: Bench, tmp_path: Path, whole: tuple[dict[str, str], dict[str, str]]) -> None:
    folder = write(tmp_path, restated=True, retagged=True)
    policy = (folder / "policy.yml").read_text(encoding="utf-8")
    assert policy.count("idle_threshold_ratio: 0.01") == 1
    (folder / "policy.yml").write_text(policy.replace("idle_threshold_ratio: 0.01", "idle_threshold_ratio: 0.02"), encoding="utf-8")
    night = bench.night(folder, "whole", DAYS[0], stages=(nightly.ingest, nightly.plan))
    assert night.planned.full_refresh and night.planned.dirty_days == set(DAYS)
