"""One month of an AWS bill with every line type, end to end: a CUR 2.0 delivery written by hand, one night, and each basis summed by hand.

The month is October 2026; all its usage lies in 10:00-12:00 of the 1st. Figures are dollars. In the tables below the columns are

    source   net   billed   effective   list   contracted   and, as a row of its own, the true-up

Two accounts' worth of discounts are mixed on purpose: the partial up-front plan has net columns, the on-demand node a discount row.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import yaml

from pipelines import nightly, warehouse
from pipelines.report import open_release
from pipelines.settings import DEFAULT_POLICY, Settings, load_settings
from pipelines.source import Window

pytestmark = pytest.mark.slow
DAY = date(2026, 10, 1)
BASES = ("source_cost", "net_cost", "billed_cost", "effective_cost", "list_cost", "contracted_cost")
HOURS = {"10": ("2026-10-01T10:00:00Z", "2026-10-01T11:00:00Z"), "11": ("2026-10-01T11:00:00Z", "2026-10-01T12:00:00Z")}
MONTH = ("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")
COLUMNS = {
    "type": "line_item_line_item_type", "product": "line_item_product_code", "usage_type": "line_item_usage_type", "operation": "line_item_operation",
    "resource": "line_item_resource_id", "amount": "line_item_usage_amount", "cost": "line_item_unblended_cost", "net": "line_item_net_unblended_cost",
    "public": "pricing_public_on_demand_cost", "description": "line_item_line_item_description", "unit": "pricing_unit", "tags": "resource_tags",
    "sp": "savings_plan_savings_plan_a_r_n", "sp_effective": "savings_plan_savings_plan_effective_cost",
    "sp_net_effective": "savings_plan_net_savings_plan_effective_cost", "sp_commitment": "savings_plan_total_commitment_to_date",
    "sp_used": "savings_plan_used_commitment", "sp_upfront": "savings_plan_amortized_upfront_commitment_for_billing_period",
    "sp_net_upfront": "savings_plan_net_amortized_upfront_commitment_for_billing_period",
    "sp_recurring": "savings_plan_recurring_commitment_for_billing_period", "sp_net_recurring": "savings_plan_net_recurring_commitment_for_billing_period",
    "ri": "reservation_reservation_a_r_n", "ri_effective": "reservation_effective_cost",
    "ri_upfront": "reservation_amortized_upfront_fee_for_billing_period",
    "ri_unused_upfront": "reservation_unused_amortized_upfront_fee_for_billing_period", "ri_unused_recurring": "reservation_unused_recurring_fee",
    "parent": "split_line_item_parent_resource_id", "split": "split_line_item_split_cost", "unused": "split_line_item_unused_cost",
}  # fmt: skip
FIXED = {
    "bill_billing_period_start_date": MONTH[0], "bill_invoice_id": "", "bill_payer_account_id": "111122223333",
    "line_item_usage_account_id": "111122223333", "line_item_currency_code": "USD",
}  # fmt: skip
POD = "arn:aws:eks:us-east-1:111122223333:pod/ml-cluster/research/{}"
RESERVATION = "arn:aws:ec2:us-east-1:111122223333:capacity-reservation/{}"


def line(period: tuple[str, str], kind: str, product: str, cost: str, **more: str) -> dict[str, str]:
    """One CUR row; what is not said is empty."""
    told = {"type": kind, "product": product, "cost": cost, **more}
    row = {COLUMNS[name]: value for name, value in told.items()}
    return FIXED | {"line_item_usage_start_date": period[0], "line_item_usage_end_date": period[1]} | row


def ec2(hour: str, kind: str, usage_type: str, cost: str, public: str, **more: str) -> dict[str, str]:
    """One hour of an instance."""
    given = {"operation": "RunInstances", "amount": "1", "unit": "Hrs", "usage_type": usage_type, "public": public} | more
    return line(HOURS[hour], kind, "AmazonEC2", cost, **given)


def bill() -> list[dict[str, str]]:
    """The month. Savings Plans and the reservation tie by AWS's own columns, as each comment shows."""
    ten, eleven = HOURS["10"], HOURS["11"]
    plan = "ComputeSavingsPlans"
    rows = [
        # an on-demand node with an enterprise discount as a row of its own (5 %), a spot node, a volume
        ec2("10", "Usage", "BoxUsage:p4d.24xlarge", "32.77", "32.77", resource="i-0ond"),
        ec2("10", "EdpDiscount", "BoxUsage:p4d.24xlarge", "-1.6385", "", resource="i-0ond"),
        ec2("10", "Usage", "SpotUsage:p4d.24xlarge", "10", "32.77", resource="i-0spot"),
        line(ten, "Usage", "AmazonEC2", "1", usage_type="EBS:VolumeUsage.gp3", resource="vol-1", amount="12.5", public="1"),
        # all up front, bought now: 8760 for a year = 1 an hour. 10:00 uses 0.8 of it, 11:00 all
        line(ten, "SavingsPlanUpfrontFee", plan, "8760", sp="sp-all"),
        line(ten, "SavingsPlanRecurringFee", plan, "0", sp="sp-all", sp_commitment="1", sp_used="0.8", sp_upfront="1", sp_recurring="0"),
        ec2("10", "SavingsPlanCoveredUsage", "BoxUsage:g5.xlarge", "1.2", "1.2", resource="i-0all", sp="sp-all", sp_effective="0.8"),
        line(ten, "SavingsPlanNegation", "AmazonEC2", "-1.2", sp="sp-all"),
        line(eleven, "SavingsPlanRecurringFee", plan, "0", sp="sp-all", sp_commitment="1", sp_used="1", sp_upfront="1", sp_recurring="0"),
        ec2("11", "SavingsPlanCoveredUsage", "BoxUsage:g5.xlarge", "1.5", "1.5", resource="i-0all", sp="sp-all", sp_effective="1"),
        line(eleven, "SavingsPlanNegation", "AmazonEC2", "-1.5", sp="sp-all"),
        # partial up front, bought last year, with a discount of 10 % in net columns: 1 + 1 an hour gross, 0.9 + 0.9 net, 1.5 of 2 used.
        # unused: 0.5 x 1.8 / 2 = 0.45; used 1.35 + unused 0.45 - amortised 0.9 = 0.9, the recurring fee billed
        line(
            ten, "SavingsPlanRecurringFee", plan, "1", net="0.9", sp="sp-part", sp_commitment="2", sp_used="1.5", sp_upfront="1",
            sp_net_upfront="0.9", sp_recurring="1", sp_net_recurring="0.9",
        ),
        ec2(
            "10", "SavingsPlanCoveredUsage", "BoxUsage:g5.2xlarge", "2.25", "2.25", net="2.025", resource="i-0part", sp="sp-part",
            sp_effective="1.5", sp_net_effective="1.35",
        ),
        line(ten, "SavingsPlanNegation", "AmazonEC2", "-2.25", net="-2.025", sp="sp-part"),
        # nothing up front: 3 an hour, all used
        line(ten, "SavingsPlanRecurringFee", plan, "3", sp="sp-none", sp_commitment="3", sp_used="3", sp_upfront="0", sp_recurring="3"),
        ec2("10", "SavingsPlanCoveredUsage", "BoxUsage:g5.4xlarge", "4", "4", resource="i-0none", sp="sp-none", sp_effective="3"),
        line(ten, "SavingsPlanNegation", "AmazonEC2", "-4", sp="sp-none"),
        # a reservation, partial up front, bought now: 500, and 744 h x 0.5 = 372 this month; amortised 744 h x 0.1 = 74.4. Two hours are used
        # at 0.6; unused are 742 x 0.1 = 74.2 and 742 x 0.5 = 371. Used 1.2 + unused 445.2 - amortised 74.4 = 372, the fee billed
        line(MONTH, "Fee", "AmazonEC2", "500", ri="ri-1", usage_type="HeavyUsage:p3.2xlarge", description="Sign up charge for subscription"),
        line(
            MONTH, "RIFee", "AmazonEC2", "372", ri="ri-1", usage_type="HeavyUsage:p3.2xlarge", amount="744", ri_upfront="74.4",
            ri_unused_upfront="74.2", ri_unused_recurring="371",
        ),
        ec2("10", "DiscountedUsage", "BoxUsage:p3.2xlarge", "0", "3.06", resource="i-0ri", ri="ri-1", ri_effective="0.6"),
        ec2("11", "DiscountedUsage", "BoxUsage:p3.2xlarge", "0", "3.06", resource="i-0ri", ri="ri-1", ri_effective="0.6"),
        # what is no usage
        line(MONTH, "Tax", "AmazonEC2", "12.34"),
        line(MONTH, "Credit", "AmazonEC2", "-5"),
        line(MONTH, "Refund", "AmazonEC2", "-2.5", description="Refund for overcharged hours"),
        line(MONTH, "Refund", plan, "-100", description="Refund for one-time fee for Savings Plan ID: 7c1f"),
        line(MONTH, "Fee", "AWSSupportEnterprise", "150"),
        line(MONTH, "Usage", "AWSSupportBusiness", "29", usage_type="Dollar", amount="290", public="29"),
        line(MONTH, "Support", "AWSSupportDeveloper", "1"),
        line(MONTH, "Fee", "AmazonRegistrar", "12"),
        line(MONTH, "FlatRateSubscription", "AmazonCloudFront", "20", amount="1"),
        # storage and three more kinds of discount on it
        line(ten, "Usage", "AmazonS3", "5", usage_type="TimedStorage-ByteHrs", amount="200", public="5"),
        line(ten, "PrivateRateDiscount", "AmazonS3", "-0.4", usage_type="TimedStorage-ByteHrs"),
        line(ten, "SppDiscount", "AmazonS3", "-0.3", usage_type="TimedStorage-ByteHrs"),
        line(ten, "BundledDiscount", "AmazonS3", "-0.2", usage_type="TimedStorage-ByteHrs"),
        # a Capacity Block: the fee, and the instance's hours at no price; a capacity reservation that nobody used, and its rate of 0
        line(ten, "Fee", "AmazonEC2", "11628.29", usage_type="CapacityBlockFee:p5.48xlarge", tags='{"user_team": "research"}'),
        ec2("10", "Usage", "BoxUsage:p5.48xlarge", "0", "0", operation="RunInstances:CB", resource="i-0cb"),
        ec2("10", "Usage", "UnusedBox:p4d.24xlarge", "32.77", "32.77", resource=RESERVATION.format("cr-0unused")),
        ec2("10", "Usage", "Reservation:p4d.24xlarge", "0", "0", resource=RESERVATION.format("cr-0unused")),
        # half an hour of a training job
        line(
            ten, "Usage", "AmazonSageMaker", "1.9125", usage_type="USE1-Train:ml.p3.2xlarge", operation="RunInstance", amount="0.5", unit="Hrs",
            public="1.9125", resource="arn:aws:sagemaker:us-east-1:111122223333:training-job/tune", tags='{"user_run_id": "tune"}',
        ),
        # AWS's own example of split cost for accelerated instances: 8 GPUs, 64 vCPUs, 488 GB for 10 an hour
        ec2("10", "Usage", "BoxUsage:p3.16xlarge", "10", "10", resource="i-0scad"),
    ]  # fmt: skip
    return rows + splits()


def splits() -> list[dict[str, str]]:
    """Two pods on i-0scad. A unit costs 10 / (9 x 8 + 0.9 x 64 + 0.1 x 488) = 10 / 178.4; a GPU weighs 9 units, a vCPU 0.9, a GB 0.1.

    train-0 has 4 GPUs, 16 vCPUs, 100 GB: 36, 14.4 and 10 units; train-1 has 2 GPUs, 40 vCPUs, 300 GB: 18, 36 and 30 units. Together 144.4
    units = 8.094170403587; unused are 18 units of GPU, 7.2 of vCPU, 8.8 of GB = 34 units = 1.905829596413. AWS tells the GPUs' unused
    18 / 178.4 x 10 = 1.008968609865 twice: shared out over the pods 36 : 18, and as a row of the instance.
    """
    told = [
        ("train-0/uid-0", "Accelerator", "2.017937219731", "0.672645739910"),
        ("train-0/uid-0", "vCPU", "0.807174887892", "0.115310698270"),
        ("train-0/uid-0", "GB", "0.560538116592", "0.123318385650"),
        ("train-1/uid-1", "Accelerator", "1.008968609865", "0.336322869955"),
        ("train-1/uid-1", "vCPU", "2.017937219731", "0.288276745676"),
        ("train-1/uid-1", "GB", "1.681614349776", "0.369955156951"),
        ("Unused", "Accelerator", "0", "1.008968609865"),
    ]
    return [
        line(
            HOURS["10"], "Usage", "AmazonEKS", "0", usage_type=f"EKS-EC2-{component}-Hours", operation="EKSPod-EC2", resource=POD.format(name),
            parent="i-0scad", split=split, unused=unused, amount="1",
        )
        for name, component, split, unused in told
    ]  # fmt: skip


def write_inputs(folder: Path) -> None:
    header = [*FIXED, "line_item_usage_start_date", "line_item_usage_end_date", *COLUMNS.values()]
    text = io.StringIO()
    writer = csv.DictWriter(text, header, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(bill())
    data = folder / "aws" / "cur2" / "data" / "BILLING_PERIOD=2026-10"
    meta = folder / "aws" / "cur2" / "metadata" / "BILLING_PERIOD=2026-10"
    data.mkdir(parents=True)
    meta.mkdir(parents=True)
    (data / "cur2-00001.csv.gz").write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    (meta / "cur2-Manifest.json").write_text(json.dumps({"dataFiles": ["s3://bucket/cur2/data/BILLING_PERIOD=2026-10/cur2-00001.csv.gz"]}))
    (folder / "nodes.csv").write_text(
        "hostname,provider,resource_id,gpu_count,gpu_model,vcpus,memory_gib\n"
        "scad,aws,i-0scad,8,Tesla V100,64,488\nond,aws,i-0ond,8,A100,96,1152\nblock,aws,i-0cb,8,H100,192,2048\n"
    )
    (folder / "runs.csv").write_text(
        "workload_type,workload_id,attempt_id,started_at,ended_at,state,hostname,gpu_ids\n"
        "training_run,R,1,2026-10-01T10:00:00Z,2026-10-01T11:00:00Z,completed,scad,0;1;2;3;4;5;6;7\n"
    )
    policy = yaml.safe_load(DEFAULT_POLICY.read_text())
    policy["attribution"]["gpu_split_method"] = "weights_9_1"
    (folder / "policy.yml").write_text(yaml.safe_dump(policy))
    (folder / "apportion.yml").write_text(
        "policy: policy.yml\n"
        "sources:\n"
        "  - {name: aws, kind: aws_cur, location: ./aws, export: cur2}\n"
        "  - {name: inventory, kind: nodes, location: ./nodes.csv}\n"
        "  - {name: runs, kind: workloads, location: ./runs.csv}\n"
    )


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("aws_bill")
    write_inputs(folder)
    made = load_settings(folder / "apportion.yml", folder / "home")
    nightly.run(made, Window(DAY, DAY))
    return made


@pytest.fixture(scope="module")
def release(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_release(settings) as connection:
        yield connection


@pytest.fixture(scope="module")
def night(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    with warehouse.connect(settings, read_only=True) as connection:
        yield connection


def charged(release: duckdb.DuckDBPyConnection, where: str = "true") -> tuple[Decimal, ...]:
    """What the buckets hold, by basis."""
    sums = ", ".join(f"coalesce(sum({basis}), 0)" for basis in BASES)
    return release.execute(f"select {sums} from fct_charge_bucket where {where}").fetchone()  # noqa: S608


def dollars(*figures: str) -> tuple[Decimal, ...]:
    return tuple(Decimal(figure) for figure in figures)


def test_the_month_by_hand_on_every_basis(release):
    # Rows that are the same on all six bases, their own price and no other: 32.77 on demand, 12.34 tax, -5 credit, -2.5 refund, 150 + 29 + 1
    # support, 12 fee, 20 flat rate, 5 storage, 10 instance with pods, 11628.29 Capacity Block, 32.77 unused capacity, 1.9125 training,
    # 1 volume: 11928.5825. Then, beside them (net = billed here, because covered usage and its negation cancel out on either):
    #                      source      net = billed   effective   list      contracted
    #   EdpDiscount        -1.6385     -1.6385        -1.6385     0         -1.6385
    #   spot               10          10             10          32.77     10
    #   plan, all          8760        8760           0.2+0.8+1   1.2+1.5   1.2+1.5      (its fee; unused 0.2; used 0.8 and 1)
    #   plan, partial      1           0.9            0.45+1.35   2.25      2.025
    #   plan, none         3           3              0+3         4         4
    #   reservation        500+372     500+372        445.2+1.2   6.12      6.12
    #   refund of a fee    -100        -100           0           0         0
    #   Private + Spp      -0.7        -0.7           -0.7        0         -0.7
    #   Bundled            -0.2        -0.2           -0.2        0         0
    #   sum                9543.4615   9543.3615      460.6615    47.84     22.5065
    # true-up              8760 - 1 - 1 (all) - 0.9 (partial) + 500 - 74.4 (reservation) - 100 (refund) = 9082.7
    # effective with it: 11928.5825 + 460.6615 + 9082.7 = 21471.944
    assert charged(release) == dollars("21472.044", "21471.944", "21471.944", "21471.944", "11976.4225", "11951.089")
    assert charged(release, "fixed_cost_class = 'commitment_true_up'") == dollars("0", "0", "0", "9082.7", "0", "0")


def test_effective_with_its_true_up_is_the_invoice_exactly(release):
    billed, effective = release.execute("select sum(billed_cost), sum(effective_cost) from fct_cost_allocation").fetchone()
    assert effective == billed == Decimal("21471.944")
    amortised = release.execute("select sum(effective_cost) from fct_cost_allocation where cost_class <> 'commitment_true_up'").fetchone()[
        0
    ]
    assert amortised == Decimal("12389.244")


LINE_TYPES = {
    # 32.77 + 10 + 1 + 29 + 5 + 0 + 32.77 + 0 + 1.9125 + 10; list: spot 32.77 instead of 10
    "Usage": ("122.4525", "122.4525", "122.4525", "122.4525", "145.2225", "122.4525"),
    "DiscountedUsage": ("0", "0", "0", "1.2", "6.12", "6.12"),
    # 1.2 + 1.5 + 2.25 + 4; net 2.025 for 2.25; effective 0.8 + 1 + 1.35 + 3
    "SavingsPlanCoveredUsage": ("8.95", "8.725", "0", "6.15", "8.95", "8.725"),
    "SavingsPlanNegation": ("-8.95", "-8.725", "0", "0", "0", "0"),
    # 0 + 0 + 1 + 3; effective 0.2 + 0 + 0.45 + 0
    "SavingsPlanRecurringFee": ("4", "3.9", "3.9", "0.65", "0", "0"),
    "SavingsPlanUpfrontFee": ("8760", "8760", "8760", "0", "0", "0"),
    "RIFee": ("372", "372", "372", "445.2", "0", "0"),
    # 500 of the reservation; 150 + 12 + 11628.29 are their own price
    "Fee": ("12290.29", "12290.29", "12290.29", "11790.29", "11790.29", "11790.29"),
    "Support": ("1", "1", "1", "1", "1", "1"),
    "FlatRateSubscription": ("20", "20", "20", "20", "20", "20"),
    "Tax": ("12.34", "12.34", "12.34", "12.34", "12.34", "12.34"),
    "Credit": ("-5", "-5", "-5", "-5", "-5", "-5"),
    # -2.5, and -100 of a fee that was amortised
    "Refund": ("-102.5", "-102.5", "-102.5", "-2.5", "-2.5", "-2.5"),
    "EdpDiscount": ("-1.6385", "-1.6385", "-1.6385", "-1.6385", "0", "-1.6385"),
    "PrivateRateDiscount": ("-0.4", "-0.4", "-0.4", "-0.4", "0", "-0.4"),
    "SppDiscount": ("-0.3", "-0.3", "-0.3", "-0.3", "0", "-0.3"),
    "BundledDiscount": ("-0.2", "-0.2", "-0.2", "-0.2", "0", "0"),
    "SplitLineItem": ("0", "0", "0", "0", "0", "0"),
    "CommitmentTrueUp": ("0", "0", "0", "9082.7", "0", "0"),
}


@pytest.mark.parametrize("line_type", LINE_TYPES)
def test_b12_each_line_type_ties_on_every_basis(release, line_type):
    """Negation, up-front and recurring fees count once; a refunded fee has no negative amortised cost; an RIFee is its unused part (B12)."""
    assert charged(release, f"line_item_type = '{line_type}'") == dollars(*LINE_TYPES[line_type])


def test_b12_no_line_type_is_left_out(release):
    assert {row[0] for row in release.execute("select distinct line_item_type from fct_charge_bucket").fetchall()} == set(LINE_TYPES)
    columns = [sum(column) for column in zip(*(dollars(*figures) for figures in LINE_TYPES.values()), strict=True)]
    assert tuple(columns) == charged(release)


def test_b13_discount_rows_survive_every_join(release, night):
    """An enterprise discount stays on its node's price, and no filter loses the others (B13; an unknown type stops the night: test_bad_input.py)."""
    by_type = release.execute(
        "select line_item_type, sum(effective_cost) from fct_cost_allocation where line_item_type like '%Discount' group by all order by all"
    ).fetchall()
    figures = {"BundledDiscount": "-0.2", "EdpDiscount": "-1.6385", "PrivateRateDiscount": "-0.4", "SppDiscount": "-0.3"}
    assert by_type == [(name, Decimal(figure)) for name, figure in figures.items()]
    # 32.77 - 1.6385 for one node-hour: the discount brings dollars and no seconds
    node = "select sum(effective_cost), sum(compute_seconds) from intermediate.int_charge_buckets where resource_id = 'i-0ond'"
    assert night.execute(node).fetchone() == dollars("31.1315", "3600")
    assert release.execute("select sum(effective_cost) from fct_cost_allocation where node = 'ond'").fetchone() == dollars("31.1315")


def test_b15_a_purchase_and_what_it_covers_count_once(release):
    """Plans and the reservation: usage bears list, contracted and effective cost, the purchase none but its unused part (B15)."""
    # list 1.2 + 1.5 + 2.25 + 4 + 6.12; contracted 2.025 for 2.25; unused 0.2 + 0.45 + 445.2
    covered = charged(release, "line_item_type in ('DiscountedUsage', 'SavingsPlanCoveredUsage')")
    bought = charged(release, "commitment_id is not null and charge_category = 'Purchase'")
    assert covered[2:] == dollars("0", "7.35", "15.07", "14.845")
    assert bought[2:] == dollars("9635.9", "445.85", "0", "0")


def test_each_class_by_hand(release):
    found = dict(release.execute("select cost_class, sum(effective_cost) from fct_cost_allocation group by all").fetchall())
    # unused: plans 0.2 + 0.45, reservation 445.2, capacity reservation 32.77; fees: 12.34 + 150 + 29 + 1 + 12; credit -5 - 2.5
    assert found["unused_commitment"] == Decimal("478.62")
    assert found["tax_and_fees"] == Decimal("204.34")
    assert found["credit"] == Decimal("-7.5")
    assert found["commitment_true_up"] == Decimal("9082.7")
    assert "quarantined" not in found


def test_true_ups_belong_to_their_commitment(release):
    rows = release.execute(
        "select commitment_id, sum(effective_cost) from fct_charge_bucket where line_item_type = 'CommitmentTrueUp' group by all order by all"
    ).fetchall()
    # 500 - 74.4; 8760 - 2; -0.9; AWS names no plan on the refund of its fee; the plan without up-front part has no true-up
    expected = {"ri-1": "425.6", "sp-all": "8758", "sp-part": "-0.9", None: "-100"}
    assert rows == [(name, Decimal(figure)) for name, figure in expected.items()]


def test_capacity_blocks_and_reservations(release, night):
    # the fee is billed and effective on its day, for its tags' owner: CUR does not amortise it, nor tell the block's length
    fee = "select cost_class, team, effective_cost, pricing_category from fct_cost_allocation where sku = 'CapacityBlockFee:p5.48xlarge'"
    assert release.execute(fee).fetchall() == [("unattributed", "research", Decimal("11628.29"), "reservation")]
    block = "select pricing_category, compute_kind, compute_seconds, effective_cost from intermediate.int_charge_buckets where resource_id = 'i-0cb'"
    assert night.execute(block).fetchall() == [("reservation", "instance", Decimal(3600), Decimal(0))]
    unused = "select sku, cost_class, pricing_category, effective_cost from fct_cost_allocation where resource_id like '%cr-0unused' order by all"
    assert release.execute(unused).fetchall() == [
        ("Reservation:p4d.24xlarge", "unattributed", "reservation", Decimal(0)),
        ("UnusedBox:p4d.24xlarge", "unused_commitment", "reservation", Decimal("32.77")),
    ]


def test_a_training_job_of_sagemaker_is_compute(night):
    row = "select compute_kind, compute_seconds, service_category, run_id, effective_cost from intermediate.int_charge_buckets where service = 'AmazonSageMaker'"
    assert night.execute(row).fetchall() == [("instance", Decimal(1800), "AI and Machine Learning", "tune", Decimal("1.9125"))]


def test_pods_restate_their_instance_and_add_nothing(release, night):
    assert charged(release, "resource_id = 'i-0scad'") == dollars("10", "10", "10", "10", "10", "10")
    assert release.execute("select sum(charge_count) from fct_charge_bucket where line_item_type = 'SplitLineItem'").fetchone() == (7,)
    # 144.4 units split and 34 unused: together the instance, within a unit of AWS's rounding per row; with the instance's own unused row,
    # 1.008968609865 more, they would not be
    split, unused, rows = night.execute(
        "select sum(split_cost), sum(unused_cost), count(*) from staging.stg_aws_cur__charge_splits"
    ).fetchone()
    assert rows == 6
    assert abs(split - Decimal("8.094170403587")) <= Decimal("6e-12")
    assert abs(unused - Decimal("1.905829596413")) <= Decimal("6e-12")
    assert abs(split + unused - 10) <= Decimal("12e-12")


def test_aws_accelerated_example_is_how_a_node_is_split(release, night):
    """AWS's worked example: GPU : vCPU : GB weigh 9 : 0.9 : 0.1, and on this node 72 of 178.4 units are the GPUs': 4.0359 of 10."""
    components = dict(
        release.execute("select component, sum(effective_cost) from fct_cost_allocation where node = 'scad' group by all").fetchall()
    )
    assert abs(components["gpu"] - Decimal("4.035874439462")) <= Decimal("8e-12")
    assert components["gpu"] + components["host"] == 10
    # AWS's own rows by the same weights: a GPU-hour 90 / 178.4 = 0.504484305, a vCPU-hour 0.0504484305, a GB-hour 0.00560538117
    by_unit = night.execute(
        "select pod, split_component, split_cost from staging.stg_aws_cur__charge_splits order by pod, split_component"
    ).fetchall()
    held = {"train-0": {"gpu": 4, "cpu": 16, "memory": 100}, "train-1": {"gpu": 2, "cpu": 40, "memory": 300}}
    rates = {"gpu": Decimal("0.504484305"), "cpu": Decimal("0.0504484305"), "memory": Decimal("0.00560538117")}
    assert len(by_unit) == 6
    for pod, component, cost in by_unit:
        assert abs(cost / held[pod][component] - rates[component]) <= Decimal("5e-10")
