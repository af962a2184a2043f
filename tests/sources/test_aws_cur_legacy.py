"""Legacy Cost and Usage Reports: columns by name whatever the month brings, exactly the manifest's files, the rows of CUR 2.0."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.errors import DeliveryRefused, UsageError
from pipelines.ingestion import s3
from pipelines.ingestion.cur_columns import LINE_ITEMS
from pipelines.ingestion.cur_names import legacy_names
from pipelines.landing import Landing
from pipelines.source import ControlTotal, Delivery, Window
from pipelines.sources.aws_cur import AwsCur, AwsCurConfig
from pipelines.warehouse import write_raw_relations
from tests.servers import BrokenS3, aws_environment, broken_s3
from tests.sources.fixtures import aws_cur as cur2
from tests.sources.fixtures.aws_cur import put_folder
from tests.sources.fixtures.aws_cur_legacy import HEADER, OCTOBER, REPORT, csv_gz, line, parquet, plain_csv, report_objects, zipped

DAY = Window(dt.date(2026, 10, 5), dt.date(2026, 10, 5))
DATA = f"{REPORT}/{OCTOBER}/{REPORT}"
MANIFEST = f"{REPORT}/{OCTOBER}/{REPORT}-Manifest.json"
A1, A2 = "16e57707-f9e3-49be-8be6-b84e684b5194", "20770e55-0000-4000-8000-000000000002"
REQUIRED = {
    "lineItem/UnblendedCost": "1",
    "lineItem/LineItemType": "Usage",
    "lineItem/UsageStartDate": "2026-10-05T10:00:00Z",
    "lineItem/UsageAccountId": "444455556666",
    "lineItem/ProductCode": "AmazonEC2",
}


class Report:
    """One configured report with its landing."""

    def __init__(self, location: str | Path, landing: Path, endpoint_url: str | None = None, report: str = REPORT, **options: Any) -> None:
        options = {"report_format": "legacy", **options}
        config = AwsCurConfig(name="bill", kind="aws_cur", location=str(location), export=report, endpoint_url=endpoint_url, **options)
        self.source, self.landing = AwsCur(config), Landing(landing)

    def put(self, objects: dict[str, bytes]) -> None:
        put_folder(Path(str(self.source.config.location)), objects)

    def fetch(self) -> list[Delivery]:
        return list(self.source.fetch(DAY, self.landing))

    def one(self) -> Delivery:
        (delivery,) = self.fetch()
        return delivery

    def current(self) -> Delivery | None:
        return self.landing.current("bill", "2026-10")


@pytest.fixture
def folder(tmp_path: Path) -> Report:
    (tmp_path / "in").mkdir()
    return Report(tmp_path / "in", tmp_path / "raw")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[BrokenS3]:
    aws_environment(monkeypatch)
    monkeypatch.setattr(s3, "BACKOFF_SECONDS", 0.001)
    with broken_s3() as server:
        yield server


def read(delivery: Delivery, *columns: str) -> list[tuple[Any, ...]]:
    """Rows of these columns over all files: money as decimal, JSON parsed."""
    rows: list[tuple[Any, ...]] = []
    kinds = [LINE_ITEMS.column(c).type for c in columns]
    for file in delivery.files:
        assert file.columns is None, "a legacy file is landed with exactly the raw table's columns"
        found = duckdb.execute(f"SELECT {', '.join(columns)} FROM read_parquet(?)", [str(file.path)]).fetchall()  # noqa: S608
        assert len(found) == file.rows
        for row in found:
            made = [
                Decimal(str(v)) if k == "MONEY" and v is not None else json.loads(v) if k == "JSON" and v else v
                for v, k in zip(row, kinds, strict=True)
            ]
            rows.append(tuple(made))
    return rows


def costs(delivery: Delivery) -> list[Decimal]:
    return [cost for (cost,) in read(delivery, "line_item_unblended_cost")]


# --- columns -----------------------------------------------------------------------------------------------------------------------

TOLD = (
    "identity_line_item_id", "bill_invoice_id", "bill_invoicing_entity", "line_item_usage_start_date", "line_item_unblended_cost",
    "product_instance_type", "product_region_code", "product", "reservation_reservation_a_r_n", "savings_plan_savings_plan_a_r_n",
    "savings_plan_savings_plan_effective_cost", "split_line_item_split_cost", "resource_tags", "cost_category", "tags",
)  # fmt: skip


def test_a_row_becomes_the_row_that_cur_2_has(folder: Report) -> None:
    row = line(
        1,
        **{
            "reservation/ReservationARN": "arn:ri",
            "savingsPlan/SavingsPlanARN": "arn:sp",
            "savingsPlan/SavingsPlanEffectiveCost": "20.1",
            "resourceTags/aws:createdBy": "",
            "costCategory/Cost Centre": '4711 "x"',
        },
    )
    folder.put(report_objects([csv_gz([row])]))
    delivery = folder.one()
    assert read(delivery, *TOLD) == [
        ("line-1", None, "Amazon Web Services, Inc.", dt.datetime(2026, 10, 5, 10), Decimal("32.7726"),
         "p4d.24xlarge", "us-east-1", {"physical_processor": "Intel Xeon Platinum 8275L"}, "arn:ri", "arn:sp",
         Decimal("20.1"), None, {"user:team": "vision"}, {"Cost Centre": '4711 "x"'}, None),
    ]  # fmt: skip
    assert (delivery.period, delivery.covers, delivery.finality) == ("2026-10", (dt.date(2026, 10, 5),) * 2, "provisional")
    (file,) = delivery.files
    own = [name for name, *_ in duckdb.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(file.path)]).fetchall()]
    assert own == [c.name for c in LINE_ITEMS.columns]
    assert file.origin["ignored_columns"] == ["lineItem/BlendedCost"]


def test_the_parquet_variant_gives_the_same_row_and_keeps_its_numbers(folder: Report) -> None:
    chunk = parquet(
        {
            "line_item_unblended_cost": [0.1, 1e-9],
            "line_item_line_item_type": ["Usage", "Tax"],
            "line_item_usage_start_date": [dt.datetime(2026, 10, 5, 10), dt.datetime(2026, 10, 1)],
            "line_item_usage_end_date": [dt.datetime(2026, 10, 5, 11), dt.datetime(2026, 11, 1)],
            "line_item_usage_account_id": ["444455556666"] * 2,
            "line_item_product_code": ["AmazonEC2"] * 2,
            "bill_invoice_id": ["77", "77"],
            "savings_plan_savings_plan_a_r_n": ["arn:sp", ""],
            "product_region": ["us-east-1", ""],
            "product_physical_processor": ["Intel", None],
            "resource_tags_user_team": ["vision", ""],
            "resource_tags_aws_created_by": [None, None],
            "cost_category_centre": ["4711", None],
            "line_item_blended_rate": ["0", "0"],
        }
    )
    folder.put(report_objects([chunk], suffix="snappy.parquet", compression="Parquet"))
    delivery = folder.one()
    assert delivery.files[0].origin["key"] == f"{REPORT}/{REPORT}/year=2026/month=10/{REPORT}-00001.snappy.parquet"
    names = ("line_item_unblended_cost", "line_item_usage_start_date", "savings_plan_savings_plan_a_r_n", "product_region_code", "product",
             "resource_tags", "cost_category", "line_item_operation")  # fmt: skip
    assert read(delivery, *names) == [
        (Decimal("0.1"), dt.datetime(2026, 10, 5, 10), "arn:sp", "us-east-1", {"physical_processor": "Intel"}, {"user_team": "vision"},
         {"centre": "4711"}, None),
        (Decimal("1e-9"), dt.datetime(2026, 10, 1), "", "", {}, {}, {}, None),
    ]  # fmt: skip
    assert (delivery.finality, delivery.covers) == ("final", (dt.date(2026, 10, 1), dt.date(2026, 10, 31)))
    assert delivery.files[0].origin["ignored_columns"] == ["line_item_blended_rate"]
    assert delivery.controls == (ControlTotal(None, "444455556666", "77", 2, Decimal("0.100000001"), Decimal(0)),)


def test_every_raw_column_is_found_under_its_legacy_spellings() -> None:
    def legacy(name: str) -> str:
        prefixes = {"line_item": "lineItem", "savings_plan": "savingsPlan", "split_line_item": "splitLineItem"}
        category = next((c for c in sorted(prefixes, key=len, reverse=True) if name.startswith(f"{c}_")), name.partition("_")[0])
        return f"{prefixes.get(category, category)}/" + "".join(part.capitalize() for part in name[len(category) + 1 :].split("_"))

    plain = [c.name for c in LINE_ITEMS.columns if c.type != "JSON"]
    assert legacy("split_line_item_net_split_cost") == "splitLineItem/NetSplitCost"
    assert legacy("savings_plan_savings_plan_a_r_n") == "savingsPlan/SavingsPlanARN"
    for spelled in (plain, [legacy(n) for n in plain], [legacy(n).lower() for n in plain]):
        found = legacy_names(spelled, "x")
        assert (found.plain, found.ignored) == ({name: (n,) for n, name in enumerate(plain)}, ())


def test_the_region_code_comes_before_the_region(folder: Report) -> None:
    regions = [("eu-west-1", "EU"), ("", "us-east-1"), ("ap-south-1", ""), ("", "")]
    rows = [line(n, **{"product/regionCode": code, "product/region": region}) for n, (code, region) in enumerate(regions)]
    folder.put(report_objects([csv_gz(rows)]))
    assert read(folder.one(), "product_region_code") == [("eu-west-1",), ("us-east-1",), ("ap-south-1",), (None,)]


def test_tags_that_differ_by_case_or_decoration_are_all_kept_verbatim(folder: Report) -> None:
    odd = [
        "resourceTags/user:client",
        "resourceTags/user:Client",
        "RESOURCETAGS/user:a/b c",
        'resourceTags/user:"q\\,',
        "resourceTags/ü日本",
    ]
    rows = [
        line(1, **dict(zip(odd, ["x", "Y", " ", 'a"b\\\n\x01', "{{ env }}'; --"], strict=True))),
        line(2, **{"resourceTags/user:team": "", odd[1]: "only"}),
    ]
    folder.put(report_objects([csv_gz(rows, [*HEADER, *odd])]))
    assert read(folder.one(), "resource_tags") == [
        ({"user:team": "vision", "user:client": "x", "user:Client": "Y", "user:a/b c": " ", 'user:"q\\,': 'a"b\\\n\x01', "ü日本": "{{ env }}'; --"},),
        ({"user:Client": "only"},),
    ]  # fmt: skip


def test_two_columns_with_one_meaning_are_refused(folder: Report) -> None:
    for one, other in [
        ("lineItem/UnblendedCost", "lineitem/unblendedcost"),
        ("reservation/ReservationARN", "reservation/ReservationArn"),
        ("resourceTags/user:team", "ResourceTags/user:team"),
        ("costCategory/Cost Centre", "costcategory/Cost Centre"),
    ]:
        folder.put(report_objects([csv_gz([line(1)], [*HEADER, other])]))
        with pytest.raises(DeliveryRefused, match="two columns mean") as caught:
            folder.fetch()
        assert repr(one) in caught.value.what and repr(other) in caught.value.what
    folder.put(report_objects([csv_gz([line(1)], [*HEADER, "resourceTags/user:team"])]))
    with pytest.raises(DeliveryRefused, match="named twice in the header"):
        folder.fetch()
    assert folder.current() is None


def test_product_attributes_that_differ_by_case_only_are_both_kept(folder: Report) -> None:
    folder.put(
        report_objects([csv_gz([line(1, **{"product/Memory": "1", "product/memory": "2"})], [*HEADER, "product/Memory", "product/memory"])])
    )
    assert read(folder.one(), "product") == [({"physical_processor": "Intel Xeon Platinum 8275L", "memory": "1", "product/memory": "2"},)]


def test_unknown_columns_are_ignored_and_named(folder: Report) -> None:
    more = ["noTags/user:app", "lineItem/SomethingNew", "resourceTags/", "loose", "pricing/OfferingClasspricing/PurchaseOption"]
    folder.put(report_objects([csv_gz([line(1, **dict.fromkeys(more, "v"))], [*HEADER, *more])]))
    delivery = folder.one()
    assert delivery.files[0].origin["ignored_columns"] == ["lineItem/BlendedCost", *more]
    assert read(delivery, "resource_tags", "pricing_purchase_option") == [({"user:team": "vision"}, None)]


@pytest.mark.parametrize("column", sorted(REQUIRED))
def test_required_columns_missing_are_refused_by_name(folder: Report, column: str) -> None:
    folder.put(report_objects([csv_gz([REQUIRED], [c for c in REQUIRED if c != column])]))
    with pytest.raises(DeliveryRefused, match="column missing from the report: line_item_"):
        folder.fetch()


def test_optional_columns_may_all_be_missing(folder: Report) -> None:
    folder.put(report_objects([csv_gz([REQUIRED], list(REQUIRED))]))
    delivery = folder.one()
    assert read(
        delivery, "line_item_unblended_cost", "resource_tags", "cost_category", "product", "bill_invoice_id", "line_item_usage_end_date"
    ) == [(Decimal(1), None, None, None, None, None)]
    assert delivery.controls == (ControlTotal(None, "444455556666", None, 1, Decimal(1), Decimal(0)),)


def test_chunks_of_one_delivery_may_have_other_columns_in_another_order(folder: Report) -> None:
    header = [c for c in reversed(HEADER) if c != "resourceTags/aws:createdBy"] + ["resourceTags/user:run"]
    second = line(2, **{"lineItem/UnblendedCost": "7", "resourceTags/user:run": "r-1"})
    folder.put(report_objects([csv_gz([line(1)]), csv_gz([second], header)]))
    delivery = folder.one()
    assert read(delivery, "identity_line_item_id", "line_item_unblended_cost", "line_item_resource_id", "resource_tags") == [
        ("line-1", Decimal("32.7726"), "i-030791dc5a37cd257", {"user:team": "vision"}),
        ("line-2", Decimal(7), "i-030791dc5a37cd257", {"user:team": "vision", "user:run": "r-1"}),
    ]
    assert delivery.controls == (ControlTotal("USD", "444455556666", None, 2, Decimal("39.7726"), Decimal(0)),)


def test_times_that_cannot_be_read_are_counted_under_the_raw_name(folder: Report) -> None:
    folder.put(report_objects([csv_gz([line(1), line(2, **{"lineItem/UsageStartDate": "soon", "lineItem/UsageEndDate": ""})])]))
    delivery = folder.one()
    assert delivery.rejected == (
        {"reason": "line_item_usage_start_date is not a TIMESTAMP: kept as NULL", "rows": 1,
         "example": {"file": f"{DATA}-1.csv.gz", "row": 2, "value": "soon"}},
    )  # fmt: skip
    assert delivery.covers == (dt.date(2026, 10, 1), dt.date(2026, 10, 5))


def test_missing_and_unreadable_money_is_refused(folder: Report) -> None:
    for column, value, message in [
        ("lineItem/UnblendedCost", "", "missing money in line_item_unblended_cost"),
        ("savingsPlan/SavingsPlanEffectiveCost", "NaN", "unreadable money in savings_plan_savings_plan_effective_cost: 'NaN'"),
    ]:
        folder.put(report_objects([csv_gz([line(1), line(2, **{column: value})])]))
        with pytest.raises(DeliveryRefused, match=message) as caught:
            folder.fetch()
        assert caught.value.where == f"{DATA}-1.csv.gz, row 2"


def test_the_raw_relation_reads_both_formats_alike(folder: Report, tmp_path: Path) -> None:
    folder.put(report_objects([csv_gz([line(1, **{"bill/InvoiceId": "77"})])]))
    put_folder(
        tmp_path / "two", cur2.export_objects([cur2.csv_gz([cur2.line(1, bill_invoice_id="77", resource_tags={"user:team": "vision"})])])
    )
    (other,) = AwsCur(AwsCurConfig(name="other", kind="aws_cur", location=str(tmp_path / "two"), export=cur2.EXPORT)).fetch(
        DAY, folder.landing
    )
    shared = [
        "identity_line_item_id", "line_item_usage_start_date", "line_item_usage_end_date", "line_item_line_item_type", "bill_invoice_id",
        "line_item_unblended_cost", "line_item_resource_id", "line_item_product_code", "line_item_usage_account_id", "resource_tags",
        "bill_billing_period_start_date", "split_line_item_unused_cost",
    ]  # fmt: skip
    with duckdb.connect() as con:
        write_raw_relations(con, [folder.one(), other])
        described = con.execute("DESCRIBE raw.aws_cur__line_items").fetchall()
        assert [(name, kind) for name, kind, *_ in described[4:]] == [(c.name, c.physical_type) for c in LINE_ITEMS.columns]
        rows = con.execute(f"SELECT {', '.join(shared)} FROM raw.aws_cur__line_items ORDER BY _source").fetchall()  # noqa: S608
    assert rows[0] == (
        "line-1", dt.datetime(2026, 10, 5, 10), dt.datetime(2026, 10, 5, 11), "Usage", "77", "32.7726", "i-030791dc5a37cd257", "AmazonEC2",
        "444455556666", '{"user:team":"vision"}', dt.datetime(2026, 10, 1), None,
    )  # fmt: skip
    assert [v if n != 9 else json.loads(v) for n, v in enumerate(rows[1])] == [
        v if n != 9 else json.loads(v) for n, v in enumerate(rows[0])
    ]


# --- which delivery counts ---------------------------------------------------------------------------------------------------------


def test_every_compression_gives_the_same_delivery(folder: Report, tmp_path: Path) -> None:
    rows = [line(n, **{"lineItem/UnblendedCost": f"{n}.5"}) for n in range(4)]
    found = {}
    for suffix, chunk in [("csv.gz", csv_gz(rows)), ("csv.zip", zipped((f"{REPORT}-1.csv", plain_csv(rows)))), ("csv", plain_csv(rows))]:
        report = Report(tmp_path / suffix, tmp_path / f"raw-{suffix}") if (tmp_path / suffix).mkdir() is None else None
        assert report is not None
        report.put(report_objects([chunk], suffix=suffix))
        delivery = report.one()
        assert costs(delivery) == [Decimal("0.5"), Decimal("1.5"), Decimal("2.5"), Decimal("3.5")]
        found[suffix] = delivery.delivery_id
    assert len(set(found.values())) == 1


def test_overwritten_report_replaces_the_period_and_stale_chunks_count_for_nothing(folder: Report) -> None:
    folder.put(report_objects([csv_gz([line(1), line(2)]), csv_gz([line(3)])]))
    first = folder.one()
    folder.put(report_objects([csv_gz([line(1, **{"lineItem/UnblendedCost": "30"})])], assembly=A2))  # chunk 2 lies there still
    second = folder.one()
    assert (sum(costs(first)), sum(costs(second))) == (Decimal("98.3178"), Decimal(30))
    assert [c.amount for c in second.controls] == [Decimal(30)]
    assert folder.current() == second and folder.one() == second


def test_kept_versions_are_never_added_up_and_the_manifest_above_decides(folder: Report) -> None:
    folder.put(report_objects([csv_gz([line(1)])], assembly=A1, keep=True))
    first = folder.one()
    folder.put(report_objects([csv_gz([line(1), line(2)]), csv_gz([line(3)])], assembly=A2, keep=True, top=False))
    assert folder.one() == first, "the period's own manifest still names the first assembly"
    folder.put(report_objects([csv_gz([line(1), line(2)]), csv_gz([line(3)])], assembly=A2, keep=True))
    assert [f.rows for f in folder.one().files] == [2, 1]
    assert [f.origin["key"] for f in folder.one().files] == [f"{REPORT}/{OCTOBER}/{A2}/{REPORT}-{n}.csv.gz" for n in (1, 2)]


def test_copied_assemblies_without_the_manifest_above_them(folder: Report) -> None:
    folder.put(report_objects([csv_gz([line(1)])], assembly=A1, keep=True, top=False))
    assert folder.one().files[0].rows == 1
    folder.put(report_objects([csv_gz([line(1), line(2)])], assembly=A2, keep=True, top=False))
    with pytest.raises(DeliveryRefused, match="2 assemblies of billing period 2026-10 and no manifest that says which one counts"):
        folder.fetch()


def test_assembly_that_changes_while_it_is_read_is_taken_whole(bucket: BrokenS3, tmp_path: Path) -> None:
    def put(objects: dict[str, bytes]) -> None:
        for key, content in objects.items():
            bucket.put(f"exports/{key}", content)

    put(report_objects([csv_gz([line(1)]), csv_gz([line(2)])]))
    new = report_objects([csv_gz([line(n, **{"lineItem/UnblendedCost": str(10 * n)})]) for n in (1, 2)], assembly=A2)
    bucket.faults[f"exports/{DATA}-2.csv.gz"] = [lambda _: put(new)]  # chunk 1 was read from the old assembly
    report = Report("s3://bills/exports", tmp_path / "raw", bucket.endpoint_url)
    assert costs(report.one()) == [Decimal(10), Decimal(20)]
    assert report.one().order.endswith(f" {A2}")
    gets = bucket.gets(".csv.gz")
    assert report.one() == report.current() and bucket.gets(".csv.gz") == gets, "unchanged: not downloaded again"
    bucket.put(f"exports/{DATA}-1.csv.gz", csv_gz([line(1), line(2), line(3)]))  # its manifest is still to come
    with pytest.raises(DeliveryRefused, match="younger than its manifest"):
        report.fetch()


def test_the_location_may_be_the_reports_own_folder_or_a_copy_of_any_bucket(folder: Report, tmp_path: Path) -> None:
    for prefix in ("exports/", "some/where/else/", "", "/"):
        folder.put(report_objects([csv_gz([line(1)])], prefix=prefix, bucket="elsewhere"))
        above = folder.one()
        inside = Report(tmp_path / "in" / REPORT, tmp_path / "raw2").one()
        assert above.delivery_id == inside.delivery_id and above.files[0].rows == 1


@pytest.mark.parametrize(("prefix", "name"), [("exports/", "elsewhere"), ("other/", "bills")])
def test_manifest_of_another_bucket_or_prefix_is_refused_on_s3(bucket: BrokenS3, tmp_path: Path, prefix: str, name: str) -> None:
    for key, content in report_objects([csv_gz([line(1)])], prefix=prefix, bucket=name).items():
        bucket.put(f"exports/{key}", content)
    with pytest.raises(DeliveryRefused, match="outside this report and period"):
        Report("s3://bills/exports", tmp_path / "raw", bucket.endpoint_url).fetch()
    assert bucket.gets(".csv.gz") == 0


def test_finality_is_in_the_invoice_ids(folder: Report) -> None:
    folder.put(report_objects([csv_gz([line(1, **{"bill/InvoiceId": "1234"}), line(2)])]))
    provisional = folder.one()
    assert (provisional.finality, [(c.invoice_id, c.rows) for c in provisional.controls]) == ("provisional", [(None, 1), ("1234", 1)])
    folder.put(report_objects([csv_gz([line(n, **{"bill/InvoiceId": "1234"}) for n in (1, 2)])]))
    final = folder.one()
    assert (final.finality, [(c.invoice_id, c.rows) for c in final.controls]) == ("final", [("1234", 2)])


def test_empty_reports_are_valid_deliveries(folder: Report) -> None:
    for chunks in ([], [csv_gz([])]):
        folder.put(report_objects(chunks))
        delivery = folder.one()
        assert (sum(f.rows for f in delivery.files), delivery.covers, delivery.finality, delivery.controls) == (0, None, "provisional", ())


# --- what is no report -------------------------------------------------------------------------------------------------------------


def test_no_manifest_means_no_bill_yet_but_parquet_without_one_is_refused(folder: Report) -> None:
    assert folder.fetch() == []
    folder.put({f"{DATA}-1.csv.gz": csv_gz([line(1)])})
    assert folder.fetch() == []
    folder.put({f"{REPORT}/{REPORT}/year=2026/month=9/{REPORT}-00001.snappy.parquet": b"another month"})
    assert folder.fetch() == []
    folder.put({f"{REPORT}/{REPORT}/year=2026/month=10/{REPORT}-00001.snappy.parquet": b"PAR1"})
    with pytest.raises(DeliveryRefused, match="Parquet of billing period 2026-10 without a manifest") as caught:
        folder.fetch()
    assert MANIFEST in str(caught.value.remedy)


def test_the_wrong_format_or_name_is_explained(folder: Report, tmp_path: Path) -> None:
    folder.put(report_objects([csv_gz([line(1)])]))
    with pytest.raises(UsageError, match=f"no report 'other' at this location; found: {REPORT}"):
        Report(tmp_path / "in", tmp_path / "raw", report="other").fetch()
    with pytest.raises(UsageError, match="is a legacy Cost and Usage Report.*\n.*\n.*report_format: legacy"):
        Report(tmp_path / "in", tmp_path / "raw", report_format="cur2").fetch()
    put_folder(tmp_path / "two", cur2.export_objects([cur2.csv_gz([cur2.line(1)])]))
    with pytest.raises(UsageError, match="is a CUR 2.0 export.*\n.*\n.*report_format: cur2"):
        Report(tmp_path / "two", tmp_path / "raw", report=cur2.EXPORT).fetch()
    folder.put({k.removeprefix(f"{REPORT}/"): v for k, v in report_objects([csv_gz([line(1)])]).items()})
    with pytest.raises(DeliveryRefused, match="two folders hold report"):
        folder.fetch()


def test_manifest_that_names_a_missing_object_is_refused_naming_it(folder: Report) -> None:
    objects = report_objects([csv_gz([line(1)]), csv_gz([line(2)])])
    del objects[f"{DATA}-2.csv.gz"]
    folder.put(objects)
    with pytest.raises(DeliveryRefused, match="does not exist") as caught:
        folder.fetch()
    assert str(caught.value.where).endswith(f"{DATA}-2.csv.gz") and folder.current() is None


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"reportKeys": ["../../secret.csv.gz"]}, "unsafe object key"),
        ({"reportKeys": ["etc/passwd"]}, "outside this report"),
        ({"reportKeys": [f"exports/{REPORT}/20260901-20261001/x.csv.gz"]}, "outside this report"),
        ({"reportKeys": [f"exports/{REPORT}/{REPORT}/year=2026/month=1/x.parquet"]}, "outside this report"),
        ({"reportKeys": [f"exports/other/{OCTOBER}/{REPORT}-1.csv.gz"]}, "outside this report"),
        ({"reportKeys": [f"exports/{DATA}-1.csv.bz2"]}, "file type not supported"),
        ({"reportKeys": [f"exports/{DATA}-1.csv.gz"] * 2}, "names a file twice"),
        ({"reportKeys": [f"exports/{REPORT}/{OCTOBER}/{a}/{REPORT}-1.csv.gz" for a in (A1, A2)]}, "mixes files of 2 folders"),
        ({"reportKeys": [f"exports/{REPORT}/{OCTOBER}/{A2}/{REPORT}-1.csv.gz"]}, f"manifest of assembly '{A1}' names files of '{A2}'"),
        ({"reportKeys": "x"}, "no list of files"),
        ({"billingPeriod": {"start": "20260901T000000.000Z"}}, "lies in the folder of 2026-10"),
        ({"reportName": "other"}, "manifest of report 'other'"),
    ],
)  # fmt: skip
def test_manifests_that_make_no_sense_are_refused(folder: Report, manifest: dict[str, Any], message: str) -> None:
    folder.put(report_objects([csv_gz([line(1)])], **manifest))
    with pytest.raises(DeliveryRefused, match=message) as caught:
        folder.fetch()
    assert str(caught.value.where).endswith(MANIFEST) and folder.current() is None


def test_damaged_chunks_are_refused_at_every_cut(folder: Report) -> None:
    random.seed(5)
    rows = [line(n, **{"lineItem/UnblendedCost": str(random.random())}) for n in range(40)]  # noqa: S311
    for suffix, chunk in [("csv.gz", csv_gz(rows)), ("csv.zip", zipped((f"{REPORT}-1.csv", plain_csv(rows))))]:
        for cut in [0, 1, 10, len(chunk) - 1, *random.sample(range(len(chunk)), 12)]:
            folder.put(report_objects([chunk[:cut]], suffix=suffix))
            with pytest.raises(DeliveryRefused, match="truncated|empty file|not a gzip"):
                folder.fetch()
    assert folder.current() is None and not list((folder.landing.root / ".staging").iterdir())


def test_a_row_of_more_than_32_megabytes_and_hostile_archives_are_refused(folder: Report) -> None:
    wide = csv_gz([line(1, **{"resourceTags/user:team": "T" * (33 << 20)})])
    folder.put(report_objects([wide]))
    with pytest.raises(DeliveryRefused, match="longer than 33,554,432 bytes"):
        folder.fetch()
    for members, message in [
        ([("a.csv", plain_csv([line(1)])), ("b.csv", plain_csv([line(2)]))], "ZIP file with 2 members"),
        ([("../../a.csv", plain_csv([line(1)]))], "unsafe object key"),
    ]:
        folder.put(report_objects([zipped(*members)], suffix="csv.zip"))
        with pytest.raises(DeliveryRefused, match=message):
            folder.fetch()
    assert folder.current() is None
