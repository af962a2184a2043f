"""One month in three formats: the legacy report, CUR 2.0 and AWS's FOCUS export tell the same bill, and the ledgers agree to the last digit.

The month, worked by hand; one account, every charge on the first or the fifth of October 2026. EDP is a negotiated discount of 10 %,
as net columns.

=========================================  ======  ======  =========  =====  ==========================================================
charge                                     source  billed  effective   list  how
=========================================  ======  ======  =========  =====  ==========================================================
p4d.24xlarge on demand, an hour             32.77  29.493     29.493  32.77  EDP: 32.77 x 0.9
gp3 volume of it                             0.80    0.72       0.72   0.80  EDP: 0.80 x 0.9
g5.xlarge under a Savings Plan, an hour        12       0       9.25     12  CUR bills 12 and negates it; FOCUS bills 0
the Savings Plan's hour                         6       6       0.75      0  6 recurring + 4 of what was prepaid = 10, of which 9.25 used
m5.large under a reservation                    0       0          5      7
the reservation's month                         8       8          5      0  8 recurring + 2 of what was prepaid = 10, of which 5 used
the reservation's one-time fee                 24      24          0      0
tax                                          4.10    4.10       4.10   4.10
credit                                         -3      -3         -3     -3
true-up of the Savings Plan                     -       -         -4      -  6 - 9.25 - 0.75: what was prepaid for the hour
true-up of the reservation                      -       -         22      -  24 + 8 - 5 - 5: what was prepaid, minus this month's part
sum                                                69.313     69.313  53.67
=========================================  ======  ======  =========  =====  ==========================================================
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines import nightly
from pipelines.report import open_release
from pipelines.settings import load_settings
from pipelines.source import Window
from tests.sources.fixtures import aws_cur, aws_cur_legacy, focus

pytestmark = pytest.mark.slow

FIRST, FIFTH = dt.date(2026, 10, 1), dt.date(2026, 10, 5)
ACCOUNT = "111122223333"
GPU, COVERED, OFFICE, VOLUME = "i-0gpu", "i-0sp", "i-0ri", "vol-0gpu"
PLAN = f"arn:aws:savingsplans::{ACCOUNT}:savingsplan/1"
RESERVATION = f"arn:aws:ec2:us-east-1:{ACCOUNT}:reserved-instances/1"
TEAM = {"team": "vision"}

Ledger = dict[tuple[Any, ...], tuple[Decimal, Decimal, Decimal]]

# (day, account, resource, cost class, component) -> (billed, effective, list): the table above, without what is 0 throughout
EXPECTED: Ledger = {
    (FIFTH, ACCOUNT, GPU, "unknown", "gpu"): (Decimal("29.493"), Decimal("29.493"), Decimal("32.77")),
    (FIFTH, ACCOUNT, VOLUME, "unattributed", "other"): (Decimal("0.72"), Decimal("0.72"), Decimal("0.8")),
    (FIFTH, ACCOUNT, COVERED, "unknown", "gpu"): (Decimal(0), Decimal("9.25"), Decimal(12)),
    (FIFTH, ACCOUNT, PLAN, "unused_commitment", "other"): (Decimal(6), Decimal("0.75"), Decimal(0)),
    (FIRST, ACCOUNT, OFFICE, "unattributed", "other"): (Decimal(0), Decimal(5), Decimal(7)),
    (FIRST, ACCOUNT, RESERVATION, "unused_commitment", "other"): (Decimal(32), Decimal(5), Decimal(0)),
    (FIRST, ACCOUNT, None, "tax_and_fees", "other"): (Decimal("4.1"), Decimal("4.1"), Decimal("4.1")),
    (FIFTH, ACCOUNT, None, "credit", "other"): (Decimal(-3), Decimal(-3), Decimal(-3)),
    (FIFTH, ACCOUNT, None, "commitment_true_up", "other"): (Decimal(0), Decimal(-4), Decimal(0)),
    (FIRST, ACCOUNT, None, "commitment_true_up", "other"): (Decimal(0), Decimal(22), Decimal(0)),
}


# --- CUR: the same rows under the names of CUR 2.0 and of the legacy report --------------------------------------------------------


def cur_line(kind: str, cost: str, day: dt.date, hours: int = 1, **values: Any) -> dict[str, Any]:
    start = dt.datetime.combine(day, dt.time(10 if hours == 1 else 0))
    return {
        "bill_billing_period_start_date": "2026-10-01T00:00:00.000Z",
        "bill_payer_account_id": ACCOUNT,
        "line_item_usage_account_id": ACCOUNT,
        "line_item_usage_start_date": f"{start:%Y-%m-%dT%H:%M:%S.000Z}",
        "line_item_usage_end_date": f"{start + dt.timedelta(hours=hours):%Y-%m-%dT%H:%M:%S.000Z}",
        "line_item_line_item_type": kind,
        "line_item_product_code": "AmazonEC2",
        "line_item_currency_code": "USD",
        "line_item_unblended_cost": cost,
        **values,
    }


def instance(resource: str, kind: str, **values: Any) -> dict[str, Any]:
    return {"line_item_resource_id": resource, "line_item_usage_type": f"BoxUsage:{kind}", "line_item_operation": "RunInstances",
            "line_item_usage_amount": "1", "pricing_unit": "Hrs", **values}  # fmt: skip


def cur_rows() -> list[dict[str, Any]]:
    month = 31 * 24
    plan = {"savings_plan_savings_plan_a_r_n": PLAN}
    reserved = {"reservation_reservation_a_r_n": RESERVATION}
    hour = {"savings_plan_total_commitment_to_date": "10", "savings_plan_used_commitment": "9.25",
            "savings_plan_amortized_upfront_commitment_for_billing_period": "4", "savings_plan_recurring_commitment_for_billing_period": "6"}  # fmt: skip
    fee = {"reservation_unused_amortized_upfront_fee_for_billing_period": "1", "reservation_unused_recurring_fee": "4",
           "reservation_amortized_upfront_fee_for_billing_period": "2"}  # fmt: skip
    volume = {"line_item_resource_id": VOLUME, "line_item_usage_type": "EBS:VolumeUsage.gp3", "line_item_operation": "CreateVolume-Gp3",
              "line_item_usage_amount": "10", "pricing_unit": "GB-Mo"}  # fmt: skip
    return [
        cur_line("Usage", "32.77", FIFTH, **instance(GPU, "p4d.24xlarge"), line_item_net_unblended_cost="29.493",
                 pricing_public_on_demand_cost="32.77", resource_tags={"user_team": "vision"}),
        cur_line("Usage", "0.80", FIFTH, **volume, line_item_net_unblended_cost="0.72", pricing_public_on_demand_cost="0.80"),
        cur_line("SavingsPlanCoveredUsage", "12", FIFTH, **instance(COVERED, "g5.xlarge"), **plan, pricing_public_on_demand_cost="12",
                 savings_plan_savings_plan_effective_cost="9.25"),
        cur_line("SavingsPlanNegation", "-12", FIFTH, **instance(COVERED, "g5.xlarge"), **plan),
        cur_line("SavingsPlanRecurringFee", "6", FIFTH, **plan, **hour, line_item_resource_id=PLAN, line_item_product_code="ComputeSavingsPlans",
                 line_item_usage_type="ComputeSP:3yrPartialUpfront"),
        cur_line("DiscountedUsage", "0", FIRST, **instance(OFFICE, "m5.large"), **reserved, pricing_public_on_demand_cost="7",
                 reservation_effective_cost="5"),
        cur_line("RIFee", "8", FIRST, month, **reserved, **fee, line_item_resource_id=RESERVATION, line_item_usage_type="HeavyUsage:m5.large"),
        cur_line("Fee", "24", FIRST, **reserved, line_item_resource_id=RESERVATION, line_item_usage_type="HeavyUsage:m5.large"),
        cur_line("Tax", "4.10", FIRST, month, line_item_usage_type=""),
        cur_line("Credit", "-3", FIFTH, line_item_usage_type=""),
    ]  # fmt: skip


CUR_COLUMNS = sorted({name for row in cur_rows() for name in row})


def legacy_name(column: str) -> str:
    """``line_item_usage_type`` -> ``lineItem/UsageType``, as legacy reports spell it."""
    category = next(c for c in ("split_line_item", "line_item", "savings_plan", "reservation", "pricing", "bill") if column.startswith(c))
    words = column.removeprefix(f"{category}_").split("_")
    camel = re.sub(r"_(.)", lambda m: m[1].upper(), category)
    return f"{camel}/{''.join(w.capitalize() for w in words)}"


def write_cur2(folder: Path) -> dict[str, Any]:
    aws_cur.put_folder(folder, aws_cur.export_objects([aws_cur.csv_gz(cur_rows(), CUR_COLUMNS)]))
    return {"kind": "aws_cur", "location": str(folder), "export": aws_cur.EXPORT}


def write_legacy(folder: Path) -> dict[str, Any]:
    plain = [name for name in CUR_COLUMNS if name != "resource_tags"]
    rows = [
        {**{legacy_name(n): row.get(n, "") for n in plain}, "resourceTags/user:team": row.get("resource_tags", {}).get("user_team", "")}
        for row in cur_rows()
    ]
    header = [*(legacy_name(n) for n in plain), "resourceTags/user:team"]
    aws_cur.put_folder(folder, aws_cur_legacy.report_objects([aws_cur_legacy.csv_gz(rows, header)]))
    return {"kind": "aws_cur", "location": str(folder), "export": aws_cur_legacy.REPORT, "report_format": "legacy"}


# --- FOCUS -------------------------------------------------------------------------------------------------------------------------


def focus_row(category: str, billed: str, effective: str, listed: str, day: dt.date, hours: int = 1, **values: Any) -> dict[str, Any]:
    start = dt.datetime.combine(day, dt.time(10 if hours == 1 else 0))
    empty = dict.fromkeys(("ConsumedQuantity", "ConsumedUnit", "ResourceId", "ResourceType", "SkuId", "Tags"), "")
    return focus.row(
        **{
            **empty,
            "BillingAccountId": ACCOUNT,
            "SubAccountId": ACCOUNT,
            "ChargeCategory": category,
            "BilledCost": billed,
            "EffectiveCost": effective,
            "ListCost": listed,
            "ContractedCost": billed,
            "ChargePeriodStart": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            "ChargePeriodEnd": f"{start + dt.timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}",
            "x_ServiceCode": "AmazonEC2",
            **values,
        }
    )


def focus_rows() -> list[dict[str, Any]]:
    def machine(resource: str, kind: str) -> dict[str, Any]:
        return {"ResourceId": resource, "ResourceType": "Instance", "ConsumedQuantity": "1", "ConsumedUnit": "Hours",
                "x_UsageType": f"BoxUsage:{kind}", "x_Operation": "RunInstances"}  # fmt: skip

    month = 31 * 24
    plan = {"CommitmentDiscountId": PLAN, "CommitmentDiscountCategory": "Spend", "CommitmentDiscountType": "Compute Savings Plans"}
    reserved = {"CommitmentDiscountId": RESERVATION, "CommitmentDiscountCategory": "Usage", "CommitmentDiscountType": "Reserved Instances"}
    used, unused = {"CommitmentDiscountStatus": "Used"}, {"CommitmentDiscountStatus": "Unused"}
    volume = {"ResourceId": VOLUME, "ServiceCategory": "Storage", "x_UsageType": "EBS:VolumeUsage.gp3", "x_Operation": "CreateVolume-Gp3",
              "ConsumedQuantity": "10", "ConsumedUnit": "GB-Mo"}  # fmt: skip
    return [
        focus_row("Usage", "29.493", "29.493", "32.77", FIFTH, **machine(GPU, "p4d.24xlarge"), Tags=json.dumps(TEAM)),
        focus_row("Usage", "0.72", "0.72", "0.80", FIFTH, **volume),
        focus_row("Usage", "0", "9.25", "12", FIFTH, **machine(COVERED, "g5.xlarge"), **plan, **used),
        focus_row("Usage", "0", "0.75", "0.75", FIFTH, ResourceId=PLAN, **plan, **unused),
        focus_row("Purchase", "6", "0", "6", FIFTH, ResourceId=PLAN, ChargeFrequency="Recurring", **plan),
        focus_row("Usage", "0", "5", "7", FIRST, **machine(OFFICE, "m5.large"), **reserved, **used),
        focus_row("Usage", "0", "5", "5", FIRST, ResourceId=RESERVATION, **reserved, **unused),
        focus_row("Purchase", "8", "0", "8", FIRST, month, ResourceId=RESERVATION, ChargeFrequency="Recurring", **reserved),
        focus_row("Purchase", "24", "0", "24", FIRST, ResourceId=RESERVATION, ChargeFrequency="One-Time", **reserved),
        focus_row("Tax", "4.10", "4.10", "4.10", FIRST, month),
        focus_row("Credit", "-3", "-3", "-3", FIFTH),
    ]


def write_focus(folder: Path) -> dict[str, Any]:
    aws_cur.put_folder(folder, focus.export_objects(focus_rows(), "focus"))
    return {"kind": "focus", "location": str(folder), "layout": "aws_data_exports", "export": "focus"}


# --- the nights --------------------------------------------------------------------------------------------------------------------

FORMATS: dict[str, Callable[[Path], dict[str, Any]]] = {"legacy": write_legacy, "cur2": write_cur2, "focus": write_focus}


@pytest.fixture(scope="module", params=FORMATS)
def release(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The release of a night over the month in one format, with an inventory of the GPU node and no telemetry."""
    folder = tmp_path_factory.mktemp(request.param)
    entry = {"name": "bill", **FORMATS[request.param](folder / "bill")}
    (folder / "nodes.csv").write_text(
        "hostname,provider,resource_id,gpu_count,gpu_model,pool,valid_from,valid_to,volumes,labels\n"
        f'node-1,aws,{GPU},8,NVIDIA A100-SXM4-40GB,train,2026-10-01T00:00:00Z,,{VOLUME},"{{""team"": ""platform""}}"\n'
    )
    inventory = {"name": "inventory", "kind": "nodes", "location": str(folder / "nodes.csv")}
    (folder / "apportion.yml").write_text(json.dumps({"sources": [entry, inventory]}))
    settings = load_settings(folder / "apportion.yml", folder / "home")
    nightly.run(settings, Window(FIRST, FIFTH))
    with open_release(settings) as connection:
        yield connection


def ledger(release: Any) -> Ledger:
    rows = release.execute(
        "select usage_date, account_id, resource_id, cost_class, component, sum(billed_cost), sum(effective_cost), sum(list_cost)"
        " from fct_cost_allocation group by all"
    ).fetchall()
    return {tuple(row[:5]): tuple(row[5:]) for row in rows if any(row[5:])}


def test_the_ledger_is_the_months_in_every_format(release: Any) -> None:
    assert ledger(release) == EXPECTED


def test_effective_with_its_true_up_is_what_is_billed(release: Any) -> None:
    found = release.execute("select sum(billed_cost), sum(effective_cost), sum(list_cost) from fct_cost_allocation").fetchone()
    assert found == (Decimal("69.313"), Decimal("69.313"), Decimal("53.67"))
    amortised = release.execute("select sum(effective_cost) from fct_cost_allocation where cost_class <> 'commitment_true_up'").fetchone()
    assert amortised == (Decimal("51.313"),)


def test_every_class_of_the_worked_month_adds_up() -> None:
    """The table of this file's head, checked against itself."""
    billed, effective, listed = (sum(column) for column in zip(*EXPECTED.values(), strict=True))
    assert (billed, effective, listed) == (Decimal("69.313"), Decimal("69.313"), Decimal("53.67"))
