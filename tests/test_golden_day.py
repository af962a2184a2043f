"""One golden day, end to end: the worked hour of the documentation, from csv.gz and text pages to the published file.

Node p4d (8 GPUs) at $32.77/h is billed 10:00-10:40: one charge of $21.846667 = 2,400 s x 8 GPUs = 19,200 GPU-seconds.
Every expected figure is worked by hand from that: $21.846667 / 19,200 = $0.00113784723958... per GPU-second.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines import nightly
from pipelines.report import open_release
from pipelines.settings import load_settings
from pipelines.source import Window

DAY = dt.date(2026, 10, 5)
CHARGE = Decimal("21.846667")
GPU_SECONDS = 19_200
HOST = "ip-10-0-0-1.ec2.internal"


def share(gpu_seconds: float) -> Decimal:
    """The exact dollars of that many GPU-seconds, to 12 places (compared within one unit of 1e-12 per row)."""
    return (CHARGE * Decimal(str(gpu_seconds)) / GPU_SECONDS).quantize(Decimal("1e-12"))


def page(at: dt.datetime) -> str:
    """The exporter's page at one instant."""
    lines = []

    def gauge(gpu: int, value: float, labels: str = "", metric: str = "DCGM_FI_PROF_GR_ENGINE_ACTIVE") -> None:
        lines.append(f'{metric}{{gpu="{gpu}",UUID="GPU-{gpu}",modelName="NVIDIA A100-SXM4-40GB",Hostname="{HOST}"{labels}}} {value}')

    minute = at.hour * 60 + at.minute
    for gpu in (0, 1, 2):
        gauge(gpu, 0.75 if minute >= 610 else 0.0)
    if not 10 * 60 + 20 <= minute < 10 * 60 + 23:  # pod P misses its scrapes for three minutes
        for gpu in (3, 4):
            gauge(gpu, 0.5, ',namespace="ml",pod="p-0"')
    for instance, pod in (("1", "m-1"), ("2", "m-2")):
        gauge(5, 1.0, f',GPU_I_PROFILE="3g.20gb",GPU_I_ID="{instance}",namespace="ml",pod="{pod}"')
    gauge(6, 0.0)
    gauge(7, 0.4)
    return "\n".join(lines) + "\n"


def write_inputs(folder: Path) -> None:
    """The day's inputs in their real formats."""
    header = [
        "bill_billing_period_start_date", "bill_invoice_id", "bill_payer_account_id", "line_item_usage_account_id", "line_item_usage_start_date",
        "line_item_usage_end_date", "line_item_line_item_type", "line_item_product_code", "line_item_usage_type", "line_item_operation",
        "line_item_resource_id", "line_item_usage_amount", "line_item_currency_code", "line_item_unblended_cost", "pricing_public_on_demand_cost",
        "resource_tags",
    ]  # fmt: skip
    row = [
        "2026-10-01T00:00:00.000Z", "", "111122223333", "111122223333", "2026-10-05T10:00:00.000Z", "2026-10-05T11:00:00.000Z", "Usage",
        "AmazonEC2", "USE1-BoxUsage:p4d.24xlarge", "RunInstances", "i-0golden", "0.6666666667", "USD", "21.846667", "21.846667", "{}",
    ]  # fmt: skip
    data = folder / "aws" / "cur2" / "data" / "BILLING_PERIOD=2026-10"
    meta = folder / "aws" / "cur2" / "metadata" / "BILLING_PERIOD=2026-10"
    data.mkdir(parents=True)
    meta.mkdir(parents=True)
    (data / "cur2-00001.csv.gz").write_bytes(gzip.compress((",".join(header) + "\n" + ",".join(row) + "\n").encode(), mtime=0))
    (meta / "cur2-Manifest.json").write_text(json.dumps({"dataFiles": ["s3://bucket/cur2/data/BILLING_PERIOD=2026-10/cur2-00001.csv.gz"]}))
    (folder / "telemetry").mkdir()
    at = dt.datetime(2026, 10, 5, 10, 0, tzinfo=dt.UTC)
    while at < dt.datetime(2026, 10, 5, 10, 40, tzinfo=dt.UTC):
        (folder / "telemetry" / f"page-{at:%Y%m%dT%H%M%SZ}.prom").write_text(page(at))
        at += dt.timedelta(seconds=30)
    (folder / "nodes.csv").write_text(
        "hostname,provider,resource_id,gpu_count,gpu_model,pool,valid_from,valid_to,labels\n"
        f'{HOST},aws,i-0golden,8,NVIDIA A100-SXM4-40GB,train,2026-10-05T10:00:00Z,2026-10-05T10:40:00Z,"{{""team"": ""platform""}}"\n'
    )
    (folder / "runs.csv").write_text(
        "workload_type,workload_id,attempt_id,started_at,ended_at,state,hostname,gpu_ids,labels\n"
        f'training_run,R,1,2026-10-05T10:10:00Z,2026-10-05T11:30:00Z,completed,{HOST},GPU-0;GPU-1;GPU-2,"{{""team"": ""vision""}}"\n'
    )
    (folder / "apportion.yml").write_text(
        "sources:\n"
        "  - {name: aws, kind: aws_cur, location: ./aws, export: cur2}\n"
        "  - {name: dcgm, kind: dcgm, location: ./telemetry, slot_seconds: 30}\n"
        "  - {name: inventory, kind: nodes, location: ./nodes.csv}\n"
        "  - {name: runs, kind: workloads, location: ./runs.csv}\n"
    )


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("golden")
    write_inputs(folder)
    settings = load_settings(folder / "apportion.yml", folder / "home")
    nightly.run(settings, Window(DAY, DAY))
    with open_release(settings) as connection:
        yield connection


def cost(release, where: str) -> Decimal:
    return release.execute(f"select coalesce(sum(effective_cost), 0) from fct_cost_allocation where {where}").fetchone()[0]  # noqa: S608


def near(value: Decimal, expected: Decimal, rows: int = 8) -> None:
    assert abs(value - expected) <= rows * Decimal("1e-12"), (value, expected)


def test_every_class_sums_to_the_charge_exactly(release):
    assert cost(release, "true") == CHARGE
    assert release.execute("select sum(list_cost), sum(billed_cost) from fct_cost_allocation").fetchone() == (CHARGE, CHARGE)


def test_run_pays_for_its_held_time_split_by_activity(release):
    # GPUs 0-2, 10:10-10:40: 3 x 1,800 s = 5,400 GPU-seconds -> $6.144375, three quarters of it used
    near(cost(release, "workload_key = 'training_run/R'"), Decimal("6.144375093750"))
    near(cost(release, "workload_key = 'training_run/R' and cost_class = 'used'"), share(4_050))
    near(cost(release, "workload_key = 'training_run/R' and cost_class = 'held_idle'"), share(1_350))
    row = release.execute(
        "select team, held_gpu_seconds, used_gpu_seconds, held_unbilled_seconds, awaiting_bill_gpu_seconds, activity_ratio from fct_run_cost where run_id = 'R'"
    ).fetchone()
    # held 10:10-11:30 = 3 x 4,800; the 50 minutes after billing stopped are 3 x 3,000 GPU-seconds without dollars
    assert row == ("vision", Decimal(14_400), Decimal(4_050), Decimal(9_000), Decimal(0), 0.75)


def test_time_before_the_run_is_idle_and_belongs_to_the_pool(release):
    # GPUs 0-2, 10:00-10:10 (1,800) and GPU 6 all of it (2,400)
    near(cost(release, "cost_class = 'unallocated_idle'"), share(4_200))
    assert release.execute("select distinct team, pool from fct_cost_allocation where cost_class = 'unallocated_idle'").fetchall() == [
        ("platform", "train")
    ]


def test_pod_without_interval_loses_what_is_not_filled(release):
    # GPUs 3-4: the last sample before the gap fills its slot, 10:19:30-10:20:00; 120 s are filled, 60 s x 2 are unknown, nobody's
    near(cost(release, "workload_key = 'unregistered/pod/ml/p-0'"), share(2 * (2_400 - 60)))
    near(cost(release, "cost_class = 'unknown' and workload_key is null"), share(120))


def test_mig_instances_leave_a_seventh_stranded(release):
    near(cost(release, "workload_key = 'unregistered/pod/ml/m-1'"), share(2_400 * 3 / 7), rows=16)
    near(cost(release, "cost_class = 'stranded'"), share(2_400 / 7))


def test_busy_silicon_is_never_called_idle(release):
    near(cost(release, "cost_class = 'unattributed' and reason = 'active_unlabelled'"), share(2_400))


def test_gpu_seconds_of_each_gpu_are_whole(release):
    rows = release.execute(
        "select gpu_key, sum(billed_seconds), sum(cost_usd) from fct_gpu_utilization where pricing_status = 'priced' group by 1"
    ).fetchall()
    assert len(rows) == 8
    assert {seconds for _, seconds, _ in rows} == {Decimal(2_400)}
    assert sum(usd for *_, usd in rows) == CHARGE


def test_reconciliation_has_no_residual(release):
    row = release.execute(
        "select delivered_cost, attributed_cost_usd, delivery_residual, allocation_residual_usd from fct_reconciliation"
    ).fetchone()
    assert row == (CHARGE, CHARGE, Decimal(0), Decimal(0))
