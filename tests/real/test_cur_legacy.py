"""Real legacy Cost and Usage Reports: a month that becomes final, and a month of 1,281 lines, to the last digit.

The files are reports' data without their manifests, so each test writes the manifest that AWS would have put beside them. Every expected
sum is made here from the files' own text with Python's csv and decimal.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections import Counter
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.landing import Landing
from pipelines.source import ControlTotal, Delivery, Window
from pipelines.sources.aws_cur import AwsCur, AwsCurConfig

pytestmark = pytest.mark.real
REPORT = "koku-local"


class Bill:
    """A folder laid out like a legacy report's bucket, and the source that reads it."""

    def __init__(self, folder: Path, first: dt.date) -> None:
        self.inputs, self.first = folder / "in", first
        after = (first + dt.timedelta(days=32)).replace(day=1)
        self.folder = f"{first:%Y%m%d}-{after:%Y%m%d}"
        self.source = AwsCur(AwsCurConfig(name="bill", kind="aws_cur", location=str(self.inputs), export=REPORT, report_format="legacy"))
        self.landing = Landing(folder / "raw")

    def deliver(self, content: bytes, assembly: str, example: dict[str, Any]) -> Delivery:
        """Put one version beside the others, point the manifest to it, and fetch."""
        key = f"/{REPORT}/{self.folder}/{assembly}/{REPORT}-1.csv"
        document = {
            **example,
            "assemblyId": assembly,
            "reportKeys": [key],
            "billingPeriod": {"start": f"{self.first:%Y%m%d}T000000.000Z", "end": f"{self.folder[9:]}T000000.000Z"},
        }
        path = self.inputs / key.lstrip("/")
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        (path.parents[1] / f"{REPORT}-Manifest.json").write_text(json.dumps(document))
        (delivery,) = self.source.fetch(Window(self.first + dt.timedelta(days=9), self.first + dt.timedelta(days=9)), self.landing)
        return delivery


@pytest.fixture(scope="module")
def reports(real_data: Path) -> Path:
    folder = real_data / "cur_legacy"
    if not folder.is_dir():
        pytest.skip("no legacy Cost and Usage Reports in APPORTION_REAL_DATA")
    return folder


@pytest.fixture(scope="module")
def example(reports: Path) -> dict[str, Any]:
    return json.loads((reports / "legacy_cur_Manifest_example.json").read_text())


def read(delivery: Delivery, select: str) -> list[tuple[Any, ...]]:
    (file,) = delivery.files
    return duckdb.execute(f"SELECT {select} FROM read_parquet(?)", [str(file.path)]).fetchall()  # noqa: S608


def text(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_a_month_that_becomes_final(reports: Path, example: dict[str, Any], tmp_path: Path) -> None:
    bill = Bill(tmp_path, dt.date(2023, 6, 1))
    open_bill = bill.deliver((reports / "aws_2023-06-01-not-final.csv").read_bytes(), "assembly-1", example)
    closed = bill.deliver((reports / "aws_2023-06-01.csv").read_bytes(), "assembly-2", example)
    assert [(d.period, d.finality, [f.rows for f in d.files]) for d in (open_bill, closed)] == [
        ("2023-06", "provisional", [3]),
        ("2023-06", "final", [3]),
    ]
    assert open_bill.delivery_id != closed.delivery_id and bill.landing.chosen("bill") == [closed]
    assert open_bill.controls == (ControlTotal("NOK", "9999999999999", None, 3, Decimal(30), Decimal(0)),)
    assert closed.controls == (ControlTotal("NOK", "0099999999999", "987654321", 3, Decimal(30), Decimal(0)),)
    hours = [dt.datetime(2023, 6, 1, hour) for hour in range(4)]
    told = "line_item_usage_start_date, line_item_usage_end_date, line_item_unblended_cost, savings_plan_savings_plan_effective_cost, cost_category"
    categories = '{"cost_env":"prod","name":"compute","qe_source":"aws-single"}'
    assert read(closed, told) == [(start, end, "10", "0.1", categories) for start, end in zip(hours, hours[1:], strict=False)]
    ((product, region, kind, tags),) = set(read(closed, "product, product_region_code, product_instance_type, resource_tags"))
    assert (region, kind, tags) == ("us-west-1", "m5.large", None), "noTags/ is no category of AWS's: these are no tags"
    attributes = {k: v for k, v in text(reports / "aws_2023-06-01.csv")[0].items() if k.startswith("product/") and v}
    own = {"product/instanceType", "product/instanceFamily", "product/region", "product/productFamily", "product/servicecode"}
    assert sorted(json.loads(product).values()) == sorted(v for k, v in attributes.items() if k not in own)
    ignored = closed.files[0].origin["ignored_columns"]
    assert {"noTags/user:app", "lineItem/BlendedCost", "pricing/OfferingClasspricing/PurchaseOption"} <= set(ignored)
    assert not [name for name in ignored if name.startswith(("costCategory/", "product/"))]


def test_1281_lines_to_the_last_digit(reports: Path, example: dict[str, Any], tmp_path: Path) -> None:
    path = reports / "legacy_cur_anon_2023-11_daily.csv"
    rows = text(path)
    delivery = Bill(tmp_path, dt.date(2023, 11, 1)).deliver(path.read_bytes(), "assembly-1", example)
    with localcontext() as context:
        context.prec = 60
        total = sum(Decimal(row["lineItem/UnblendedCost"]) for row in rows)
        stored = [Decimal(row["lineItem/UnblendedCost"]).quantize(Decimal("1e-12")) for row in rows]  # half-even by default
    assert len(rows) == 1281 == delivery.files[0].rows
    assert delivery.finality == "provisional" and delivery.rejected == ()
    assert delivery.covers == (dt.date(2023, 11, 1), dt.date(2023, 11, 30))  # the tax rows are of the whole month
    assert delivery.controls == (ControlTotal("USD", "123412340534", None, 1281, sum(stored), total - sum(stored)),)
    assert total > 0
    assert read(delivery, "line_item_unblended_cost") == [(row["lineItem/UnblendedCost"],) for row in rows]
    kinds = Counter(kind for (kind,) in read(delivery, "line_item_line_item_type"))
    assert kinds == {"Usage": 1269, "Tax": 12} == Counter(row["lineItem/LineItemType"] for row in rows)
    assert read(
        delivery, "count(*) FILTER (line_item_tax_type = 'Canada Tax'), count(line_item_tax_type), count(DISTINCT bill_invoicing_entity)"
    ) == [(12, 12, 1)]
    regions = Counter(row["product/regionCode"] or row["product/region"] for row in rows)
    assert Counter(region or "" for (region,) in read(delivery, "product_region_code")) == regions
