"""Writes the AWS bill: a CUR 2.0 data export in overwrite mode (one manifest and one Parquet file per billing period).

Belongs here: line types, column names and the manifest of CUR 2.0. Does not: what was spent (company.py, spend.py).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.demo.model import HOUR, Charge, Company, Node, hex_id, utc
from pipelines.demo.usage import billed_seconds, unused_commitment

EXPORT = "company-cur2"
BUCKET = "demo-billing"
PAYER = "111122223333"
ACCOUNTS = {"eks-train": ("444455556666", "ml-training"), "slurm-hpc": ("777788889999", "ml-hpc")}
PLAN_ARN = f"arn:aws:savingsplans::{PAYER}:savingsplan/3f0c2a9e-5b1d-4c57-9a61-0d5f0e7b1c22"
SPARE_PLAN_ARN = f"arn:aws:savingsplans::{PAYER}:savingsplan/9d1e7b52-0c44-4e0e-8f6a-5a3c61c0de11"
_TEXT, _NUMBER, _TIME, _MAP = pa.string(), pa.float64(), pa.timestamp("ms"), pa.map_(pa.string(), pa.string())
SCHEMA = pa.schema(
    [
        *((name, _TEXT) for name in (
            "bill_bill_type", "bill_billing_entity", "bill_invoice_id", "bill_invoicing_entity", "bill_payer_account_id",
            "bill_payer_account_name",
        )),
        ("bill_billing_period_start_date", _TIME),
        ("bill_billing_period_end_date", _TIME),
        *((name, _TEXT) for name in (
            "identity_line_item_id", "identity_time_interval", "line_item_availability_zone", "line_item_currency_code",
            "line_item_legal_entity", "line_item_line_item_description", "line_item_line_item_type", "line_item_operation",
            "line_item_product_code", "line_item_resource_id", "line_item_tax_type", "line_item_usage_account_id",
            "line_item_usage_account_name", "line_item_usage_type",
        )),
        ("line_item_usage_start_date", _TIME),
        ("line_item_usage_end_date", _TIME),
        ("line_item_usage_amount", _NUMBER),
        ("line_item_unblended_cost", _NUMBER),
        ("pricing_public_on_demand_cost", _NUMBER),
        ("pricing_term", _TEXT),
        ("pricing_unit", _TEXT),
        ("product", _MAP),
        ("product_instance_type", _TEXT),
        ("product_product_family", _TEXT),
        ("product_region_code", _TEXT),
        ("product_servicecode", _TEXT),
        ("reservation_reservation_a_r_n", _TEXT),
        ("resource_tags", _MAP),
        ("savings_plan_amortized_upfront_commitment_for_billing_period", _NUMBER),
        ("savings_plan_recurring_commitment_for_billing_period", _NUMBER),
        ("savings_plan_savings_plan_a_r_n", _TEXT),
        ("savings_plan_savings_plan_effective_cost", _NUMBER),
        ("savings_plan_total_commitment_to_date", _NUMBER),
        ("savings_plan_used_commitment", _NUMBER),
    ]
)  # fmt: skip


def usd_float(nano: int) -> float:
    """The double nearest to an amount in nano-dollars; its shortest decimal is the amount again."""
    return nano / 1e9


def write_aws_bill(company: Company, folder: Path) -> list[Path]:
    """Write every billing period that the written days touch; return the files."""
    periods: dict[dt.date, list[dict[str, Any]]] = {}
    for row in _rows(company):
        begin = row["line_item_usage_start_date"]
        periods.setdefault(begin.date().replace(day=1), []).append(row)
    written = []
    for period, rows in sorted(periods.items()):
        written += _write_period(period, rows, folder / EXPORT)
    return written


def _write_period(period: dt.date, rows: list[dict[str, Any]], root: Path) -> list[Path]:
    following = (period + dt.timedelta(days=32)).replace(day=1)
    for row in rows:
        row["bill_billing_period_start_date"] = dt.datetime(period.year, period.month, 1)
        row["bill_billing_period_end_date"] = dt.datetime(following.year, following.month, 1)
    partition = f"BILLING_PERIOD={period:%Y-%m}"
    name = f"{EXPORT}-00001.snappy.parquet"
    data, manifest = root / "data" / partition / name, root / "metadata" / partition / f"{EXPORT}-Manifest.json"
    for path in (data, manifest):
        path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist([{k: row.get(k) for k in SCHEMA.names} for row in rows], schema=SCHEMA)
    pq.write_table(table, data, compression="snappy")
    content = {
        "exportArn": f"arn:aws:bcm-data-exports:us-east-1:{PAYER}:export/{EXPORT}-7a1e",
        "exportName": EXPORT,
        "executionId": hex_id(32, "execution", len(rows), rows[-1]["identity_line_item_id"]),
        "billingPeriod": {"start": f"{period:%Y%m%d}T000000.000Z", "end": f"{following:%Y%m%d}T000000.000Z"},
        "bucket": BUCKET,
        "contentType": "Parquet",
        "compression": "Parquet",
        "columns": [{"name": f.name, "type": _glue(f.type)} for f in SCHEMA],
        "dataFiles": [f"s3://{BUCKET}/{EXPORT}/data/{partition}/{name}"],
    }
    manifest.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return [data, manifest]


def _glue(kind: pa.DataType) -> str:
    return {_TEXT: "string", _NUMBER: "double", _TIME: "timestamp", _MAP: "map<string,string>"}[kind]


def _rows(company: Company) -> Iterator[dict[str, Any]]:
    for node in company.nodes:
        if node.source == "aws":
            for hour, seconds in sorted(billed_seconds(node, company.start, company.cut).items()):
                yield from _node_hour(node, hour, seconds)
    for hour, unused in unused_commitment(company, company.start, company.cut).items():
        yield _recurring_fee(PLAN_ARN, company.commitment_per_hour, hour, unused)
        if company.spare_commitment_per_hour:
            yield _recurring_fee(SPARE_PLAN_ARN, company.spare_commitment_per_hour, hour, company.spare_commitment_per_hour)
    for charge in company.charges:
        if charge.source == "aws" and charge.start < company.cut:
            yield _charge(charge)


def _base(start: int, end: int, account: tuple[str, str], *identity: object) -> dict[str, Any]:
    begin, stop = utc(start).replace(tzinfo=None), utc(end).replace(tzinfo=None)
    return {
        "bill_bill_type": "Anniversary", "bill_billing_entity": "AWS", "bill_invoice_id": "",
        "bill_invoicing_entity": "Amazon Web Services, Inc.", "bill_payer_account_id": PAYER, "bill_payer_account_name": "demo-payer",
        "identity_line_item_id": hex_id(52, *identity, start),
        "identity_time_interval": f"{begin:%Y-%m-%dT%H:%M:%SZ}/{stop:%Y-%m-%dT%H:%M:%SZ}",
        "line_item_currency_code": "USD", "line_item_legal_entity": "Amazon Web Services, Inc.",
        "line_item_usage_account_id": account[0], "line_item_usage_account_name": account[1],
        "line_item_usage_start_date": begin, "line_item_usage_end_date": stop, "product_region_code": "us-east-1", "resource_tags": {},
        "product": {},
    }  # fmt: skip


def _node_hour(node: Node, hour: int, seconds: int) -> Iterator[dict[str, Any]]:
    """An instance-hour: one Usage row, or covered usage with its negation. The dates span the hour, the amount says how much of it."""
    listed = usd_float(seconds * node.list_price * 1_000)
    row = _base(hour, hour + HOUR, ACCOUNTS[node.cluster], node.resource_id, node.purchase) | {
        "line_item_availability_zone": node.zone, "line_item_line_item_type": "Usage", "line_item_operation": "RunInstances",
        "line_item_product_code": "AmazonEC2", "line_item_resource_id": node.resource_id,
        "line_item_usage_type": f"{'SpotUsage' if node.purchase == 'spot' else 'BoxUsage'}:{node.instance_type}",
        "line_item_line_item_description": f"{node.instance_type} Linux/UNIX {node.purchase.replace('_', ' ')} instance-hour",
        "line_item_usage_amount": round(seconds / HOUR, 10), "pricing_unit": "Hrs",
        "pricing_term": "Spot" if node.purchase == "spot" else "OnDemand",
        "pricing_public_on_demand_cost": listed, "product_instance_type": node.instance_type, "product_servicecode": "AmazonEC2",
        "product_product_family": "Compute Instance", "product": {"product_name": "Amazon Elastic Compute Cloud"},
        "line_item_unblended_cost": usd_float(seconds * node.price * 1_000),
        "resource_tags": {"user_team": node.owner_team, "user_environment": "research", "user_pool": node.pool},
    }  # fmt: skip
    if node.purchase != "savings_plan":
        yield row
        return
    yield row | {
        "line_item_line_item_type": "SavingsPlanCoveredUsage", "line_item_unblended_cost": listed,
        "savings_plan_savings_plan_a_r_n": PLAN_ARN,
        "savings_plan_savings_plan_effective_cost": usd_float(seconds * node.price * 1_000),
    }  # fmt: skip
    yield _base(hour, hour + HOUR, ACCOUNTS[node.cluster], node.resource_id, "negation") | {
        "line_item_line_item_type": "SavingsPlanNegation", "line_item_operation": "RunInstances", "line_item_product_code": "AmazonEC2",
        "line_item_usage_type": row["line_item_usage_type"], "line_item_usage_amount": row["line_item_usage_amount"],
        "line_item_line_item_description": "SavingsPlanNegation used by AccountId and UsageSku", "line_item_unblended_cost": -listed,
        "product_servicecode": "AmazonEC2", "savings_plan_savings_plan_a_r_n": PLAN_ARN,
    }  # fmt: skip


def _recurring_fee(plan: str, commitment: int, hour: int, unused: int) -> dict[str, Any]:
    return _base(hour, hour + HOUR, (PAYER, "demo-payer"), plan) | {
        "line_item_line_item_type": "SavingsPlanRecurringFee", "line_item_product_code": "ComputeSavingsPlans",
        "line_item_usage_type": "USE1-ComputeSP:1yrNoUpfront", "line_item_usage_amount": 1.0, "line_item_resource_id": plan,
        "line_item_line_item_description": "1 year No Upfront Compute Savings Plan", "line_item_unblended_cost": usd_float(commitment),
        "product_servicecode": "ComputeSavingsPlans", "savings_plan_savings_plan_a_r_n": plan,
        "savings_plan_amortized_upfront_commitment_for_billing_period": 0.0,
        "savings_plan_recurring_commitment_for_billing_period": usd_float(commitment),
        "savings_plan_total_commitment_to_date": usd_float(commitment), "savings_plan_used_commitment": usd_float(commitment - unused),
    }  # fmt: skip


def _charge(charge: Charge) -> dict[str, Any]:
    account = (PAYER, "demo-payer") if charge.bears != "usage" else ACCOUNTS["eks-train"]
    return _base(charge.start, charge.start + charge.hours * HOUR, account, charge.line_type, charge.usage_type, charge.resource_id) | {
        "line_item_line_item_type": charge.line_type, "line_item_operation": charge.operation, "line_item_product_code": charge.service,
        "line_item_usage_type": charge.usage_type, "line_item_usage_amount": charge.quantity, "line_item_resource_id": charge.resource_id,
        "line_item_line_item_description": charge.description, "line_item_unblended_cost": usd_float(charge.cost),
        "line_item_tax_type": "VAT" if charge.line_type == "Tax" else "", "pricing_unit": charge.unit,
        "pricing_public_on_demand_cost": usd_float(charge.cost) if charge.bears == "usage" else 0.0,
        "product_servicecode": charge.service, "resource_tags": dict(charge.tags),
    }  # fmt: skip
