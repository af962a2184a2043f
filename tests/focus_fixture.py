"""A day of bills for the FOCUS export: the golden hour, and beside it one charge of every kind that the export treats differently.

Belongs here: the inputs and what they come to by hand. Does not: the golden hour itself (test_golden_day.py).
"""

from __future__ import annotations

import csv
import gzip
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from tests.test_golden_day import DAY, write_inputs

NODE = "21.846667"
DISCOUNT = "-2.184667"
# line item type, product, usage type, resource, quantity, unit, unblended, on demand, savings plan ARN, its effective cost, tags
CHARGES: list[tuple[str, ...]] = [
    ("Usage", "AmazonEC2", "USE1-BoxUsage:p4d.24xlarge", "i-0golden", "0.6666666667", "Hrs", NODE, NODE, "", "", "{}"),
    ("EdpDiscount", "AmazonEC2", "USE1-BoxUsage:p4d.24xlarge", "i-0golden", "0.6666666667", "Hrs", DISCOUNT, "0", "", "", "{}"),
    ("Usage", "AmazonS3", "TimedStorage-ByteHrs", "bucket", "40", "GB-Mo", "3.25", "3.25", "", "", '{"user_run_id": "R2", "user_team": "=1+1"}'),
    ("SavingsPlanCoveredUsage", "AmazonEC2", "BoxUsage:m5.xlarge", "i-0m5", "1", "Hrs", "0.192", "0.192", "arn:sp", "0.12", '{"user_run_id": "R2"}'),
    ("SavingsPlanNegation", "AmazonEC2", "BoxUsage:m5.xlarge", "i-0m5", "1", "Hrs", "-0.192", "0", "arn:sp", "", "{}"),
    ("Usage", "AmazonVPC", "NatGateway-Hours", "nat-0", "24", "Hrs", "1.000000000001", "1.08", "", "", "{}"),
    ("Support", "AWSSupport", "Support", "", "1", "", "9", "9", "", "", "{}"),
    ("Tax", "AmazonEC2", "Tax", "", "1", "", "2", "2", "", "", "{}"),
    ("Credit", "AmazonEC2", "Credit", "", "0", "", "-1.5", "-1.5", "", "", "{}"),
    ("Refund", "AmazonEC2", "USE1-BoxUsage:p4d.24xlarge", "i-0golden", "0", "", "-0.75", "-0.75", "", "", "{}"),
]  # fmt: skip
BILLED = Decimal("32.662000000001")  # 21.846667 - 2.184667 + 3.25 + 0 + 0 + 1.000000000001 + 9 + 2 - 1.5 - 0.75
EFFECTIVE = Decimal("32.782000000001")  # as billed, and 0.12 of the covered machine
RULES: list[dict[str, Any]] = [
    {"id": "network", "match": {"service": ["AmazonVPC"]}, "to": "workload", "by": "even"},
    {"id": "support", "match": {"service": ["AWSSupport"]}, "to": "team", "by": "fixed", "shares": {"vision": 2, "platform": 1}},
]
_HEADER = [
    "line_item_line_item_type", "line_item_product_code", "line_item_usage_type", "line_item_resource_id", "line_item_usage_amount",
    "pricing_unit", "line_item_unblended_cost", "pricing_public_on_demand_cost", "savings_plan_savings_plan_a_r_n",
    "savings_plan_savings_plan_effective_cost", "resource_tags",
]  # fmt: skip
_SAME = {
    "bill_billing_period_start_date": "2026-10-01T00:00:00.000Z", "bill_invoice_id": "", "bill_payer_account_id": "111122223333",
    "line_item_usage_account_id": "111122223333", "line_item_usage_start_date": "2026-10-05T10:00:00.000Z",
    "line_item_usage_end_date": "2026-10-05T11:00:00.000Z", "line_item_operation": "RunInstances", "line_item_currency_code": "USD",
    "product_region_code": "us-east-1",
}  # fmt: skip


def write_focus_inputs(folder: Path) -> Path:
    """Write bill, telemetry, policy and settings of ``DAY`` into ``folder``; returns the settings file."""
    write_inputs(folder)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*_SAME, *_HEADER])
    table.writerows([*_SAME.values(), *charge] for charge in CHARGES)
    bill = folder / "aws" / "cur2" / "data" / f"BILLING_PERIOD={DAY:%Y-%m}" / "cur2-00001.csv.gz"
    bill.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    policy = yaml.safe_load((Path(__file__).resolve().parent.parent / "policy.yml").read_text())
    (folder / "policy.yml").write_text(yaml.safe_dump({**policy, "distribution": RULES}))
    settings = folder / "apportion.yml"
    settings.write_text(settings.read_text() + "policy: ./policy.yml\n")
    return settings
