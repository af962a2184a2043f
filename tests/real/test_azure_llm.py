"""8,819 real requests to one model: every request and token counted once, and the dollars per thousand by hand.

The endpoint is carried by 2 of the 4 GPUs of one node, billed 18:00-20:00 on 2023-11-16 at 12.00 USD/h: it holds 6.00 USD in each
hour, 12.00 USD in all. Its GPUs read 40 % throughout: 4.80 USD of it were used. The other two GPUs hold nothing and read 0.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.sources.fixtures import aws_cur

pytestmark = pytest.mark.real
DAY = dt.date(2023, 11, 16)
REQUESTS, PROMPT_TOKENS, OUTPUT_TOKENS = 8819, 18_059_974, 245_896
# counted in the file by hour: requests, prompt tokens, output tokens
BY_HOUR = {18: (7717, 15_710_990), 19: (1102, 2_348_984)}
ENDPOINT = "code-completion"


def write_bill(folder: Path) -> dict[str, Any]:
    """Two hours of one node at 12.00 USD."""
    lines = [
        aws_cur.line(
            hour,
            bill_billing_period_start_date="2023-11-01T00:00:00.000Z",
            line_item_usage_start_date=f"2023-11-16T{hour}:00:00.000Z",
            line_item_usage_end_date=f"2023-11-16T{hour + 1}:00:00.000Z",
            line_item_operation="RunInstances",
            line_item_currency_code="USD",
            line_item_unblended_cost="12.00",
            pricing_public_on_demand_cost="12.00",
            resource_tags={},
        )
        for hour in BY_HOUR
    ]
    columns = (*aws_cur.CSV_COLUMNS, "line_item_operation", "line_item_currency_code")
    aws_cur.put_folder(folder, aws_cur.export_objects([aws_cur.csv_gz(lines, columns)], period="2023-11"))
    return {"name": "bill", "kind": "aws_cur", "location": "bill", "export": aws_cur.EXPORT}


def write_telemetry(path: Path) -> None:
    """GPU utilization of four GPUs, every 30 s of the two hours."""
    start = dt.datetime(2023, 11, 16, 18)
    lines = ["timestamp,hostname,gpu,DCGM_FI_DEV_GPU_UTIL"]
    for tick in range(240):
        at = (start + dt.timedelta(seconds=30 * tick)).isoformat()
        lines += [f"{at}Z,serve-0,{gpu},{40 if gpu < 2 else 0}" for gpu in range(4)]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def published(real_data, run_night, tmp_path_factory):
    """One night over the day of the trace; the log is read where it lies."""
    folder = tmp_path_factory.mktemp("azure")
    write_telemetry(folder / "gpus.csv")
    (folder / "hosts.csv").write_text("hostname,provider,resource_id,gpu_count\nserve-0,aws,i-030791dc5a37cd257,4\n")
    (folder / "replicas.csv").write_text(
        "workload_type,workload_id,attempt_id,started_at,ended_at,hostname,gpu_ids,label_team\n"
        f"endpoint,{ENDPOINT},replica-0,2023-11-16T18:00:00Z,2023-11-16T20:00:00Z,serve-0,0;1,assist\n"
    )
    sources = [
        write_bill(folder / "bill"),
        {"name": "hosts", "kind": "nodes", "location": "hosts.csv"},
        {"name": "replicas", "kind": "workloads", "location": "replicas.csv"},
        {"name": "gpus", "kind": "dcgm", "location": "gpus.csv"},
        {
            "name": "requests",
            "kind": "inference_requests",
            "location": str(real_data / "azure_llm_2023"),
            "endpoint": ENDPOINT,
            "columns": {"request_at": "TIMESTAMP", "prompt_tokens": "ContextTokens", "output_tokens": "GeneratedTokens"},
        },
    ]
    return run_night(folder, sources, DAY, DAY)


def per(dollars: int, count: int, scale: int) -> Any:
    """Dollars for ``scale`` of ``count`` things; a quotient is the one figure that is not exact."""
    return pytest.approx(float(Fraction(dollars * scale, count)), rel=1e-14)


def test_requests_and_tokens_are_exact(published):
    (row,) = published.rows("select * from fct_inference_unit_cost")
    assert (row["usage_date"], row["endpoint"]) == (DAY, ENDPOINT)
    assert (row["requests_ok"], row["requests_failed"]) == (REQUESTS, 0)
    assert (row["prompt_tokens"], row["output_tokens"]) == (PROMPT_TOKENS, OUTPUT_TOKENS)
    # the log has neither: unknown is not 0
    assert (row["cached_tokens"], row["latency_p50_seconds"], row["latency_p99_seconds"]) == (None, None, None)


def test_unit_costs_by_hand(published):
    (row,) = published.rows("select * from fct_inference_unit_cost")
    assert (row["allocated_cost_usd"], row["used_cost_usd"]) == (Decimal("12.00"), Decimal("4.80"))
    assert (row["held_gpu_seconds"], row["used_gpu_seconds"], row["pricing_status"]) == (2 * 7200, Decimal("5760"), "priced")
    assert row["cost_per_1k_requests_usd"] == per(12, REQUESTS, 1000) == pytest.approx(1.3606984, abs=1e-7)
    assert row["used_cost_per_1k_requests_usd"] == pytest.approx(4800 / REQUESTS, rel=1e-14)
    assert row["cost_per_1m_prompt_tokens_usd"] == per(12, PROMPT_TOKENS, 1_000_000) == pytest.approx(0.6644528, abs=1e-7)
    assert row["cost_per_1m_output_tokens_usd"] == per(12, OUTPUT_TOKENS, 1_000_000) == pytest.approx(48.8011192, abs=1e-7)
    assert row["unit_cost_reason"] is None


def test_hours_divide_their_own_sums(published):
    rows = published.rows("select * from fct_inference_unit_cost_hourly order by usage_hour")
    assert [(r["usage_hour"], r["requests_ok"], r["prompt_tokens"]) for r in rows] == [
        (dt.datetime(2023, 11, 16, hour), *counts) for hour, counts in BY_HOUR.items()
    ]
    assert [r["allocated_cost_usd"] for r in rows] == [Decimal("6"), Decimal("6")]
    assert [r["cost_per_1k_requests_usd"] for r in rows] == [per(6, requests, 1000) for requests, _ in BY_HOUR.values()]


def test_the_bill_is_whole(published):
    classes = published.rows("select workload_key, cost_class, sum(effective_cost) as usd from fct_cost_allocation group by all")
    assert {(r["workload_key"], r["cost_class"]): r["usd"] for r in classes} == {
        (f"endpoint/{ENDPOINT}", "used"): Decimal("4.8"),
        (f"endpoint/{ENDPOINT}", "held_idle"): Decimal("7.2"),
        (None, "unallocated_idle"): Decimal("12"),
    }
