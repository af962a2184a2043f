"""Each law fails when it is broken: one set of wrong rows per law in a warehouse that holds nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines import dbt, warehouse
from pipelines.settings import Settings, SettingsFile
from tests.dbt.running import run_dbt
from tests.empty_warehouse import OUTCOMES

DAY, DAY_FROM = "2026-10-05", 1791158400
DEFAULTS = {"VARCHAR": "x", "DATE": DAY, "TIMESTAMP": f"{DAY} 10:00:00", "BOOLEAN": False}
SEGMENT = {"usage_date": DAY, "node_key": "n", "unit_key": "u", "unit_share": 7_207_200, "attempt_key": "a", "evidence": "interval"}

# law -> (relation, a wrong row) ...
BROKEN: dict[str, list[tuple[str, dict[str, Any]]]] = {
    # $1 charged and not allocated
    "law_allocations_sum_to_their_bucket": [("published.fct_charge_bucket", {"bucket_key": "lost", "billed_cost": 1})],
    # $1 of a day that the ledger does not have
    "law_the_ledger_by_day_is_the_ledger": [
        ("published.fct_cost_daily", {"usage_date": DAY, "stage": "allocated", "source": "s", "cost_usd": 1})
    ],
    # a euro without a rate
    "law_every_charge_is_in_dollars": [("intermediate.int_charge_buckets", {"usage_date": DAY, "source": "s", "currency": "EUR"})],
    # $2 received, $1 taken away
    "law_distributions_sum_to_zero": [
        ("published.fct_cost_allocation", {"bucket_key": "p", "stage": "distributed", "distribution_key": "p", "effective_cost": 2}),
        ("published.fct_cost_allocation", {"bucket_key": "b", "stage": "distributed", "distribution_key": "p", "effective_cost": -1}),
    ],
    # the double counts of the field, each planted
    "law_double_count__parent_and_split_rows": [
        (
            "published.fct_charge_bucket",
            {
                "usage_date": DAY,
                "bucket_key": "pod",
                "line_item_type": "SplitLineItem",
                "source_cost": 0,
                "net_cost": 0,
                "billed_cost": 0,
                "effective_cost": "0.01",
            },
        )
    ],
    "law_double_count__unused_and_unused_cost": [
        ("intermediate.int_split_weights", {"usage_date": DAY, "parent_resource_id": "i-1", "weight": 1})
    ],
    # $10 of covered usage that nothing negates
    "law_double_count__covered_and_negation": [
        (
            "intermediate.int_charge_buckets",
            {
                "usage_date": DAY,
                "bucket_key": "sp",
                "source": "aws",
                "line_item_type": "SavingsPlanCoveredUsage",
                "charge_count": 1,
                "source_cost": 10,
                "billed_cost": 0,
                "effective_cost": 6,
                "net_cost": 10,
                "exchange_rate": 1,
            },
        )
    ],
    # one payer's month by two sources
    "law_double_count__concurrent_versions": [
        (
            "intermediate.int_control_totals",
            {"delivery_id": "d1", "source": "cur", "provider": "aws", "billing_account_id": "1", "billing_period": DAY},
        ),
        (
            "intermediate.int_control_totals",
            {"delivery_id": "d2", "source": "focus", "provider": "aws", "billing_account_id": "1", "billing_period": DAY},
        ),
        ("ops.deliveries", {"source": "cur", "kind": "aws_cur", "delivery_id": "d1"}),
        ("ops.deliveries", {"source": "focus", "kind": "focus", "delivery_id": "d2"}),
    ],
    # a node paid as EC2 and as SageMaker
    "law_double_count__sagemaker_and_ec2": [
        (
            "intermediate.int_bucket_nodes",
            {"usage_date": DAY, "bucket_key": "ec2", "node_key": "n", "compute_kind": "instance", "window_from": 0},
        ),
        (
            "intermediate.int_bucket_nodes",
            {"usage_date": DAY, "bucket_key": "ml", "node_key": "n", "compute_kind": "instance", "window_from": 0},
        ),
        (
            "intermediate.int_charge_buckets",
            {"usage_date": DAY, "bucket_key": "ec2", "source": "aws", "service": "AmazonEC2", "compute_seconds": 3600},
        ),
        (
            "intermediate.int_charge_buckets",
            {"usage_date": DAY, "bucket_key": "ml", "source": "aws", "service": "AmazonSageMaker", "compute_seconds": 3600},
        ),
    ],
    # a row with two credits that came out twice
    "law_double_count__joined_credits": [
        ("published.fct_delivery_control", {"delivered_cost": 8, "staged_cost": 18, "staging_residual": -10}),
    ],
    # a bucket that no charge made
    "law_every_charge_is_in_one_bucket": [
        ("published.fct_charge_bucket", {"usage_date": DAY, "source": "s", "billing_period": DAY, "charge_count": 1, "effective_cost": 1})
    ],
    # 8 GPUs billed an hour, no second classed
    "law_billed_gpu_seconds_are_classed_once": [
        ("intermediate.int_node_windows", {"window_key": "w", "gpu_count": 8, "billed_seconds": 3600})
    ],
    # the day ends after its first hour
    "law_segments_tile_the_day": [
        ("intermediate.int_gpu_segments", SEGMENT | {"unit_key": "v", "from_second": DAY_FROM, "to_second": DAY_FROM + 3600})
    ],
    # 6/7 of a GPU, all day
    "law_a_gpu_is_one_gpu": [
        (
            "intermediate.int_gpu_fleet",
            {
                "usage_date": DAY,
                "gpu_key": "g",
                "unit_key": "g",
                "unit_share": 6_177_600,
                "from_second": DAY_FROM,
                "to_second": DAY_FROM + 86400,
            },
        )
    ],
    # a holds the second minute twice
    "law_no_attempt_second_is_held_twice": [
        ("intermediate.int_gpu_segments", SEGMENT | {"from_second": DAY_FROM, "to_second": DAY_FROM + 120}),
        ("intermediate.int_gpu_segments", SEGMENT | {"from_second": DAY_FROM + 60, "to_second": DAY_FROM + 180}),
    ],
    # one machine under two names, an hour each
    "law_a_rated_hour_is_an_hour": [
        ("intermediate.int_rated_charges", {"resource_id": "rack", "usage_start": f"{DAY} 10:00:00", "compute_seconds": 7200})
    ],
    "law_reconciliation_is_zero": [("published.fct_reconciliation", {"allocation_residual_usd": "0.000000000001"})],
    # $5 in no class
    "law_gpu_hours_cost_what_the_nodes_cost": [
        (
            "published.fct_gpu_utilization",
            {
                "gpu_key": "h",
                "cost_usd": 5,
                "used_cost_usd": 4,
                "held_idle_cost_usd": 0,
                "unallocated_idle_cost_usd": 0,
                "stranded_cost_usd": 0,
                "unattributed_cost_usd": 0,
                "unknown_cost_usd": 0,
                "pricing_status": "priced",
            },
        ),
    ],  # fmt: skip
    # a run's day that the ledger does not know
    "law_runs_and_endpoints_sum_to_the_ledger": [
        ("intermediate.int_attempt_days", {"usage_date": DAY, "workload_key": "job/j", "attempt_key": "job/j/1", "effective_cost": 1}),
    ],
    # $3 idle that the ledger does not have
    "law_idle_is_part_of_the_bill": [
        ("published.fct_idle_cost", {"cost_class": "stranded", "idle_kind": "stranded", "owner_basis": "none", "cost_usd": 3})
    ],
    "law_tag_coverage_sums_to_the_ledger": [("published.fct_tag_coverage", {"source": "elsewhere", "tag_key": "team", "cost_usd": 1})],
    "law_published_grains_are_unique": [("published.dim_tag_policy", {"alias": "twice"}), ("published.dim_tag_policy", {"alias": "twice"})],
    "law_fct_cost_allocation__cost_class_is_known": [("published.fct_cost_allocation", {"cost_class": "misc"})],
    "law_fct_cost_allocation__route_is_known": [("published.fct_cost_allocation", {"route": "guess"})],
    "law_fct_cost_allocation__component_is_known": [("published.fct_cost_allocation", {"component": "fan"})],
    "law_fct_cost_estimate__pricing_status_is_known": [("published.fct_cost_estimate", {"pricing_status": "free"})],
    "law_fct_gpu_utilization__pricing_status_is_known": [("published.fct_gpu_utilization", {"pricing_status": "free"})],
    "law_fct_inference_unit_cost__pricing_status_is_known": [("published.fct_inference_unit_cost", {"pricing_status": "free"})],
    "law_fct_inference_unit_cost_hourly__pricing_status_is_known": [
        ("published.fct_inference_unit_cost_hourly", {"pricing_status": "free"})
    ],
    "law_fct_run_cost__pricing_status_is_known": [("published.fct_run_cost", {"pricing_status": "free"})],
    "law_fct_run_attempt_cost__pricing_status_is_known": [("published.fct_run_attempt_cost", {"pricing_status": "free"})],
}


def insert(connection: duckdb.DuckDBPyConnection, relation: str, row: dict[str, Any]) -> None:
    """One row; what it leaves out is a plain value where NULL is not allowed."""
    columns = connection.execute(f"describe {relation}").fetchall()
    full = {name: DEFAULTS.get(kind, 0) for name, kind, is_nullable, *_ in columns if is_nullable == "NO"} | row
    names = ", ".join(warehouse.quote_name(name) for name in full)
    connection.execute(f"insert into {relation} ({names}) values ({', '.join('?' * len(full))})", list(full.values()))  # noqa: S608


@pytest.fixture(scope="module")
def outcomes(empty_warehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The status of every law in a warehouse where each is broken, by name."""
    settings = Settings(SettingsFile(), tmp_path_factory.mktemp("broken"), None)
    settings.warehouse.parent.mkdir(parents=True)
    shutil.copy(empty_warehouse.warehouse, settings.warehouse)
    shutil.copytree(empty_warehouse.home / "dbt" / "target", settings.home / "dbt" / "target")
    with warehouse.connect(settings) as connection:
        connection.execute("insert into ops.dirty_days values (?)", [DAY])
        insert(connection, "intermediate.int_days", {"usage_date": DAY, "day_from": DAY_FROM, "day_to": DAY_FROM + 86400})
        for rows in BROKEN.values():
            for relation, row in rows:
                insert(connection, relation, row)
    return {_name(result): result.status for result in run_dbt(settings, ["test", "--exclude", "test_type:unit"])}


def _name(result: dbt.NodeResult) -> str:
    return result.unique_id.split(".")[2]


def test_every_law_is_known_here(outcomes: dict[str, str]) -> None:
    assert set(outcomes) == set(BROKEN)
    assert {path.stem for path in Path(dbt.PROJECT / "tests").glob("*.sql")} <= set(BROKEN)


@pytest.mark.parametrize("law", sorted(BROKEN))
def test_a_broken_law_is_told(law: str, outcomes: dict[str, str]) -> None:
    assert outcomes[law] == "fail"


def test_nothing_at_all_breaks_no_law(empty_warehouse: Settings) -> None:
    outcomes = json.loads((empty_warehouse.home / OUTCOMES).read_text(encoding="utf-8"))  # of the build, which tries every law
    tried = {node.split(".")[2]: status for node, status in outcomes.items() if node.startswith("test.")}
    assert tried == dict.fromkeys(BROKEN, "pass")
