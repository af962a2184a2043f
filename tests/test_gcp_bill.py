"""One Google Cloud bill around a month's end, end to end: both commitment models, corrections, credits, reservations, GKE labels, both exports.

Every expected figure is worked by hand from the rows below. The invoice month ends at midnight US/Pacific, 08:00 UTC: usage of 1 February
05:00 UTC is on January's invoice and on the usage day 1 February.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipelines import nightly
from pipelines.report import open_release
from pipelines.settings import Settings, load_settings
from pipelines.source import Window
from tests.sources.fixtures.gcp_billing import SCHEMA, credit, pairs, row, spelled, usage, write_json

pytestmark = pytest.mark.slow
FIRST, LAST = dt.date(2026, 1, 31), dt.date(2026, 2, 1)
JANUARY, FEBRUARY = dt.date(2026, 1, 1), dt.date(2026, 2, 1)
VM = {"name": "projects/1/instances/a3-0", "global_name": "//compute.googleapis.com/projects/p/zones/us-central1-a/instances/9001"}
OTHER_VM = {"name": "projects/1/instances/n2-0", "global_name": "//compute.googleapis.com/projects/p/zones/us-central1-a/instances/9002"}
RESERVED = {"name": "pool", "global_name": "//compute.googleapis.com/projects/p/zones/us-central1-a/reservations/77"}
GKE = pairs(goog_k8s_cluster_name="train", goog_k8s_node_pool_name="a3", k8s_namespace="research")
FLEXIBLE = {"id": "0A1B-2C3D-4E5F", "description": "Compute Flexible CUDs 1 Year"}


def at(hour: str, month: str, sku: str, cost: float, **values: Any) -> dict[str, Any]:
    """A row of one hour from ``hour`` (ISO, UTC) on the invoice of ``month``."""
    start = dt.datetime.fromisoformat(hour)
    times = {
        "usage_start_time": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "usage_end_time": f"{start + dt.timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
        "export_time": "2026-02-03T04:05:06Z",
    }
    base = {"invoice": {"month": month, "publisher_type": "GOOGLE"}, "sku": {"id": sku, "description": sku}, "cost": cost}
    return row(**{**times, **base, **values})


def cud(amount: float) -> list[dict[str, Any]]:
    return [credit("COMMITTED_USAGE_DISCOUNT", "Committed Usage Discount", amount)]


H100, CORE, RAM = "Nvidia H100 80GB GPU running in Americas", "A3 Instance Core running in Americas", "A3 Instance Ram running in Americas"
TEN = "2026-01-31T10:00"
ROWS = [
    # the older model: all of the GPUs and half of the cores are covered
    at(TEN, "202601", H100, 80.0, cost_at_list=88.0, resource=VM, labels=GKE, usage=usage(28800.0, "seconds", 8.0, "hour"), credits=cud(-80.0)),
    at(TEN, "202601", CORE, 8.0, cost_at_list=8.0, resource=VM, labels=GKE, usage=usage(748800.0, "seconds", 208.0, "hour"), credits=cud(-4.0)),
    at(TEN, "202601", RAM, 4.0, cost_at_list=4.0, resource=VM, labels=GKE, usage=usage(1e15, "byte-seconds", 1.0, "gibibyte hour")),
    # 16 GPU-hours committed, 8 used: half of 60; 104 core-hours committed, 104 used: all of 3
    at(TEN, "202601", "Commitment v1: Nvidia H100 80GB GPU running in Americas for 1 Year", 60.0, usage=usage(57600.0, "seconds", 16.0, "hour")),
    at(TEN, "202601", "Commitment v1: A3 Cpu in Americas for 1 Year", 3.0, usage=usage(374400.0, "seconds", 104.0, "hour")),
    # February corrects the GPUs: half an hour less, with its credit
    at(TEN, "202602", H100, -40.0, cost_at_list=-44.0, resource=VM, labels=GKE, usage=usage(-14400.0, "seconds", -4.0, "hour"), credits=cud(40.0),
       adjustment_info={"id": "a", "description": "metering", "mode": "PARTIAL_CORRECTION", "type": "USAGE_CORRECTION"}),
    at(TEN, "202601", "Network Internet Egress from Americas to APAC", 1.5, credits=[credit("PROMOTION", "Startup programme", -1.5)]),
    at(TEN, "202601", H100, 12.0, cost_at_list=12.0, resource=RESERVED, usage=usage(3600.0, "seconds", 1.0, "hour"),
       labels=[{"key": "compute.googleapis.com/reservation_name", "value": "pool"},
               {"key": "compute.googleapis.com/is_unused_reservation", "value": "true"}]),
    at(TEN, "202601", "N2 Instance Core running in Americas", 2.0, resource=OTHER_VM, usage=usage(3600.0, "seconds", 1.0, "hour"),
       labels=pairs(goog_k8s_cluster_name="train", k8s_namespace="kube:unallocated", k8s_workload_name="kube:unallocated")),
    at("2026-01-31T08:00", "202601", "Tax", 9.33, cost_type="tax", service={"id": "I", "description": "Invoice"}),
    at("2026-01-31T08:00", "202601", "Rounding error", -0.01, cost_type="rounding_error", project=None, service={"id": "I", "description": "Invoice"}),
    at(TEN, "202601", H100, -2.0, cost_type="adjustment",
       adjustment_info={"id": "g", "description": "sorry", "mode": "MANUAL_ADJUSTMENT", "type": "GOODWILL"}),
    # the newer model, in the evening of 31 January in California
    at("2026-02-01T05:00", "202601", H100, 56.0, cost_at_list=88.0, cost_at_effective_price_default=Decimal(80), consumption_model=FLEXIBLE,
       resource=VM, labels=GKE, usage=usage(28800.0, "seconds", 8.0, "hour")),
    at("2026-02-01T05:00", "202601", "Commitment - dollar based v1: GCE for 1 year", 60.0,
       credits=[credit("FEE_UTILIZATION_OFFSET", "Fee utilization offset", -56.0)]),
    at("2026-02-01T09:00", "202602", "Standard Storage US Multi-region", 3.0, service={"id": "S", "description": "Cloud Storage"},
       labels=pairs(team="nlp"), tags=[{"key": "Team", "value": "other", "inherited": True, "namespace": "o"}]),
]  # fmt: skip
STANDARD = [at("2026-01-31T12:00", "202601", H100, 20.0, usage=usage(28800.0, "seconds", 8.0, "hour"), billing_account_id="STANDARD")]


def write_inputs(folder: Path) -> Settings:
    """Both exports as JSON lines, one node, one run on all its GPUs."""
    (folder / "detailed").mkdir()
    (folder / "standard").mkdir()
    write_json(folder / "detailed" / "rows.jsonl", ROWS)
    lacking = {name: kind for name, kind in SCHEMA.items() if name not in ("resource", "subscription", "price", "consumption_model")}
    (folder / "standard" / "rows.jsonl").write_bytes(b"".join(orjson.dumps(spelled(r, lacking, False)) + b"\n" for r in STANDARD))
    (folder / "nodes.csv").write_text(
        "hostname,provider,resource_id,gpu_count,gpu_model,vcpus,memory_gib\na3-0,gcp,9001,8,NVIDIA H100,208,1872\n"
    )
    (folder / "runs.csv").write_text(
        "workload_type,workload_id,attempt_id,started_at,ended_at,state,hostname,gpu_count\n"
        "training_run,R,1,2026-01-31T10:00:00Z,2026-01-31T11:00:00Z,completed,a3-0,8\n"
    )
    (folder / "apportion.yml").write_text(
        "sources:\n"
        "  - {name: gcp, kind: gcp_billing, location: ./detailed}\n"
        "  - {name: std, kind: gcp_billing, location: ./standard}\n"
        "  - {name: inventory, kind: nodes, location: ./nodes.csv}\n"
        "  - {name: runs, kind: workloads, location: ./runs.csv}\n"
    )
    return load_settings(folder / "apportion.yml", folder / "home")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = write_inputs(tmp_path_factory.mktemp("gcp"))
    nightly.run(made, Window(FIRST, LAST))
    return made


@pytest.fixture(scope="module")
def release(settings: Settings):
    with open_release(settings) as connection:
        yield connection


def answer(release: Any, query: str) -> list[tuple[Any, ...]]:
    return release.execute(query).fetchall()


def d(text: str) -> Decimal:
    return Decimal(text)


MONTHS = "select billing_period, sum(published_source_cost), sum(billed_cost_usd), sum(effective_cost_usd) from fct_reconciliation where source = 'gcp' group by 1 order by 1"  # noqa: E501
DAYS = "select usage_date, sum(source_cost), sum(effective_cost) from fct_charge_bucket where source = 'gcp' group by 1 order by 1"
# January: 0 + 4 + 4 + 60 + 3 + 0 + 12 + 2 + 9.33 - 0.01 - 2 + 56 + 4; February: -40 + 40 and 3
EXPECTED_MONTHS = [(JANUARY, *[d("152.32")] * 3), (FEBRUARY, *[d("3")] * 3)]
# by usage day the new model's 56 + 4 and the storage are on 1 February
EXPECTED_DAYS = [(FIRST, d("92.32"), d("92.32")), (LAST, d("63"), d("63"))]


def test_invoice_months_and_usage_days_both_tie_b16(release: Any) -> None:
    """Amortised, every month still sums to its invoice, in every basis; the days hold the same dollars on their own axis."""
    assert answer(release, MONTHS) == EXPECTED_MONTHS
    assert answer(release, DAYS) == EXPECTED_DAYS
    residuals = "select sum(abs(delivery_residual)), sum(abs(allocation_residual_usd)), sum(unpublished_cost) from fct_reconciliation"
    assert answer(release, residuals) == [(0, 0, 0)]


def test_the_run_pays_the_commitments_that_it_used(release: Any) -> None:
    """Effective: half of the GPU fee (30), the other half of the cores (4) and their fee (3), the memory (4). Billed: 4 + 4. List: 88 + 8 + 4 - 44.
    Contracted, without commitments: 80 + 8 + 4 - 40."""
    query = "select sum(effective_cost), sum(billed_cost), sum(list_cost), sum(contracted_cost) from fct_cost_allocation where workload_key = 'training_run/R'"
    assert answer(release, query) == [(d("41"), d("8"), d("56"), d("52"))]
    query = "select sku, sum(effective_cost), sum(billed_cost) from fct_charge_bucket where line_item_type = 'CommitmentAmortisation' group by 1 order by 1"
    assert answer(release, query) == [(CORE, d("3"), d("0")), (H100, d("30"), d("0"))]


def test_corrected_usage_wins(release: Any) -> None:
    """28,800 - 14,400 GPU-seconds were billed for the hour: half an hour of eight GPUs."""
    query = "select sum(billed_seconds) from fct_gpu_utilization where usage_hour = timestamp '2026-01-31 10:00:00'"
    assert answer(release, query) == [(d("14400"),)]


def test_what_nobody_used_of_commitments_is_shown(release: Any) -> None:
    """30 of the GPU fee, nothing of the cores', 4 of the flexible commitment, 12 of reserved capacity; billed 60, 3, 4, 12; list on capacity only."""
    query = """select sku, commitment_id, sum(effective_cost), sum(billed_cost), sum(list_cost) from fct_charge_bucket
        inner join (select distinct bucket_key from fct_cost_allocation where cost_class = 'unused_commitment') using (bucket_key) group by 1, 2 order by 4"""
    assert answer(release, query) == [
        ("Commitment v1: A3 Cpu in Americas for 1 Year", None, d("0"), d("3"), d("0")),
        ("Commitment - dollar based v1: GCE for 1 year", None, d("4"), d("4"), d("0")),
        (H100, "pool", d("12"), d("12"), d("12")),
        ("Commitment v1: Nvidia H100 80GB GPU running in Americas for 1 Year", None, d("30"), d("60"), d("0")),
    ]


def test_the_newer_model_is_priced_with_the_commitment(release: Any) -> None:
    query = "select sum(effective_cost), sum(billed_cost), sum(contracted_cost), sum(list_cost) from fct_charge_bucket where usage_date = date '2026-02-01' and sku like '%H100%' and charge_category = 'Usage'"  # noqa: E501
    assert answer(release, query) == [(d("56"), d("56"), d("80"), d("88"))]


def test_what_is_no_usage_has_its_class(release: Any) -> None:
    query = "select cost_class, sum(effective_cost) from fct_cost_allocation where source = 'gcp' and stage = 'allocated' and cost_class in ('credit', 'tax_and_fees', 'rounding') group by 1 order by 1"  # noqa: E501
    assert answer(release, query) == [("credit", d("-3.5")), ("rounding", d("-0.01")), ("tax_and_fees", d("9.33"))]


def test_a_pseudo_namespace_is_nobodys(release: Any) -> None:
    query = "select workload_key, team, cluster, namespace, sum(effective_cost) from fct_cost_allocation where namespace like 'kube:%' group by all"
    assert answer(release, query) == [(None, None, "train", "kube:unallocated", d("2"))]


def test_labels_go_before_resource_tags(release: Any) -> None:
    query = "select team, sum(effective_cost) from fct_cost_allocation where sku like 'Standard Storage%' group by 1"
    assert answer(release, query) == [("nlp", d("3"))]


def test_the_standard_export_knows_no_node(release: Any) -> None:
    query = "select cost_class, reason, sum(effective_cost) from fct_cost_allocation where source = 'std' group by all"
    assert answer(release, query) == [("unknown", "node_not_in_inventory", d("20"))]


def test_overlapping_windows_count_nothing_twice_b03(settings: Settings) -> None:
    """A second night over the second day alone: neither month nor day changes."""
    nightly.run(settings, Window(LAST, LAST))
    with open_release(settings) as connection:
        assert answer(connection, MONTHS) == EXPECTED_MONTHS
        assert answer(connection, DAYS) == EXPECTED_DAYS
