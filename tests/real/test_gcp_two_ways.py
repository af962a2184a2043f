"""The same export rows from a BigQuery table, over HTTP, and from files: every published figure is the same.

Only what names a delivery or a file may differ: from the table a delivery is a day of export, from files it is a file.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from tests.bigquery_emulator import running_emulator
from tests.sources.fixtures import gcp_billing

pytestmark = pytest.mark.real
FIRST, LAST = dt.date(2026, 9, 28), dt.date(2026, 10, 5)  # every day of usage that the rows have
TABLE = "gcp_billing_export_resource_v1_01AB23_CD45EF_678901"
ABOUT_DELIVERIES = {
    ("meta_publication", "release_id"), ("meta_publication", "deliveries"), ("fct_delivery_control", "period"),
    ("fct_delivery_control", "delivery_id"),
}  # fmt: skip

INVENTORY = """hostname,provider,resource_id,gpu_count,gpu_model,vcpus,memory_gib
a2-train-0,gcp,4711000000000000001,8,NVIDIA A100,96,680
a3-serve-0,gcp,4711000000000000002,8,NVIDIA H100,208,1872
"""
INTERVALS = """workload_type,workload_id,attempt_id,started_at,ended_at,state,hostname,gpu_ids,label_team
training_run,run-7,1,2026-10-05T10:10:00Z,2026-10-05T11:30:00Z,finished,a2-train-0,0;1;2,nlp
"""


def telemetry() -> str:
    """a2-train-0, every 30 s of 10:00-12:00: GPUs 0 to 2 read 75 %, the others 0."""
    lines = ["timestamp,hostname,gpu,DCGM_FI_DEV_GPU_UTIL"]
    for tick in range(240):
        at = dt.datetime(2026, 10, 5, 10) + dt.timedelta(seconds=30 * tick)
        lines += [f"{at.isoformat()}Z,a2-train-0,{gpu},{75 if gpu < 3 else 0}" for gpu in range(8)]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def two_ways(run_night, tmp_path_factory):
    """A night over the table and a night over the files, the rest alike."""

    def night(way: str, location: dict[str, Any]) -> Any:
        folder = tmp_path_factory.mktemp(way)
        (folder / "hosts.csv").write_text(INVENTORY)
        (folder / "runs.csv").write_text(INTERVALS)
        (folder / "gpus.csv").write_text(telemetry())
        sources = [
            {"name": "bill", "kind": "gcp_billing", **location},
            {"name": "hosts", "kind": "nodes", "location": "hosts.csv"},
            {"name": "runs", "kind": "workloads", "location": "runs.csv"},
            {"name": "gpus", "kind": "dcgm", "location": "gpus.csv"},
        ]
        return run_night(folder, sources, FIRST, LAST)

    with running_emulator() as emulator:
        emulator.create(TABLE, gcp_billing.bigquery_schema(), "export_time")
        emulator.insert(TABLE, gcp_billing.as_inserted(gcp_billing.ROWS))
        location = {"location": emulator.location(TABLE), "endpoint_url": emulator.url, "partition_column": "export_time"}
        by_table = night("table", location)
    files = tmp_path_factory.mktemp("export")
    return by_table, night("files", gcp_billing.write(files))


def content(published: Any, table: str) -> list[tuple[Any, ...]]:
    """Every row of a table without what names deliveries, in an order of its own."""
    rows = published.rows(f'select * from "{table}"')  # noqa: S608 - a table name from the catalog
    return sorted((tuple(value for name, value in row.items() if (table, name) not in ABOUT_DELIVERIES) for row in rows), key=repr)


def test_the_bill_came_whole(two_ways):
    """64.114517333333332 of cost and -13.6 of credits, to twelve places."""
    for published in two_ways:
        months = published.rows("select * from fct_reconciliation")
        assert sum(m["delivered_rows"] for m in months) >= len(gcp_billing.ROWS)
        assert sum(m["published_source_cost"] for m in months) == Decimal("50.514517333333")
        assert all(m["delivery_residual"] == m["allocation_residual_usd"] == m["unpublished_cost"] == 0 for m in months)


def test_every_published_table_is_the_same(two_ways):
    by_table, by_files = two_ways
    names = [row["table_name"] for row in by_table.rows("select table_name from duckdb_tables() order by table_name")]
    assert {"fct_cost_allocation", "fct_charge_bucket", "fct_run_cost", "fct_gpu_utilization", "fct_reconciliation"} <= set(names)
    for name in names:
        assert content(by_table, name) == content(by_files, name), name
    filled = {name for name in names if content(by_table, name)}
    assert filled >= {"fct_cost_allocation", "fct_charge_bucket", "fct_run_cost", "fct_gpu_utilization", "fct_tag_coverage", "dim_node"}


def test_the_two_ways_were_two(two_ways):
    by_table, by_files = ({d.period for d in published.night.deliveries if d.kind == "gcp_billing"} for published in two_ways)
    assert by_table == {"export-2026-10-05", "export-2026-10-06"}
    assert by_files == {"export-2026-10-05-000000000000.parquet", "export-2026-10-06-000000000000.json.gz"}
