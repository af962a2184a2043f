"""AWS CUR 2.0: exactly the manifest's files, each period replaced as a whole, money readable or refused."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import os
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from moto.s3.models import s3_backends

from pipelines.errors import DeliveryRefused, UsageError
from pipelines.ingestion import s3
from pipelines.ingestion.engine import timestamp_sql
from pipelines.landing import Landing
from pipelines.source import Delivery, Window
from pipelines.sources.aws_cur import AwsCur, AwsCurConfig, billing_periods
from tests.servers import BrokenS3, aws_environment, broken_s3, s3_client, s3_server
from tests.sources.fixtures.aws_cur import (
    CSV_COLUMNS,
    EXPORT,
    csv_bytes,
    csv_gz,
    export_objects,
    line,
    parquet,
    put_folder,
)

DAY = Window(dt.date(2026, 10, 5), dt.date(2026, 10, 5))
E1, E2 = "2026-10-06T03:12:00.123Z-6b622448-0001", "2026-10-07T03:12:00.123Z-9c733559-0002"
DATA = f"{EXPORT}/data/BILLING_PERIOD=2026-10/{EXPORT}"
MANIFEST = f"{EXPORT}/metadata/BILLING_PERIOD=2026-10/{EXPORT}-Manifest.json"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    aws_environment(monkeypatch)
    monkeypatch.setattr(s3, "BACKOFF_SECONDS", 0.001)


@pytest.fixture
def bucket() -> Iterator[BrokenS3]:
    with broken_s3() as server:
        yield server


class Cur:
    """One configured source with its landing."""

    def __init__(self, location: str | Path, landing: Path, endpoint_url: str | None = None, export: str = EXPORT) -> None:
        config = AwsCurConfig(name="bill", kind="aws_cur", location=str(location), export=export, endpoint_url=endpoint_url)
        self.source, self.landing = AwsCur(config), Landing(landing)

    def fetch(self, window: Window = DAY) -> list[Delivery]:
        return list(self.source.fetch(window, self.landing))

    def one(self) -> Delivery:
        (delivery,) = self.fetch()
        return delivery

    def current(self, period: str = "2026-10") -> Delivery | None:
        return self.landing.current("bill", period)


@pytest.fixture
def folder(tmp_path: Path) -> Cur:
    (tmp_path / "in").mkdir()
    return Cur(tmp_path / "in", tmp_path / "raw")


def put(cur: Cur, objects: dict[str, bytes]) -> None:
    put_folder(Path(cur.source.config.location), objects)


def put_s3(server: BrokenS3, objects: dict[str, bytes], prefix: str = "exports/") -> None:
    for key, content in objects.items():
        server.put(prefix + key, content)


def read(delivery: Delivery, *columns: str) -> list[tuple[Any, ...]]:
    """Rows of the declared columns, read the way a raw view does: times as UTC, money as decimal, maps as JSON."""
    rows: list[tuple[Any, ...]] = []
    for file in delivery.files:
        own = dict(
            duckdb.execute("SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM read_parquet(?))", [str(file.path)]).fetchall()
        )
        select = []
        for name in columns:
            kind = AwsCur.tables[0].column(name).type
            if file.columns is not None and name not in file.columns:
                select.append("NULL")
            elif kind == "TIMESTAMP":
                select.append(timestamp_sql(name, own[name]))
            else:
                select.append(f"to_json({name})::VARCHAR" if own[name].startswith("MAP") else f"{name}::VARCHAR")
        for values in duckdb.execute(f"SELECT {', '.join(select)} FROM read_parquet(?)", [str(file.path)]).fetchall():  # noqa: S608
            kinds = [AwsCur.tables[0].column(c).type for c in columns]
            rows.append(
                tuple(
                    None if v is None else Decimal(v) if k == "MONEY" else json.loads(v) if k == "JSON" else v
                    for v, k in zip(values, kinds, strict=True)
                )
            )
    return rows


def costs(delivery: Delivery) -> list[Decimal]:
    return [cost for (cost,) in read(delivery, "line_item_unblended_cost")]


# --- formats -----------------------------------------------------------------------------------------------------------------------


def test_csv_and_parquet_give_the_same_rows(tmp_path: Path) -> None:
    rows = [
        line(1, resource_tags={"user_team": "vision", "user_run": "r-1"}, line_item_unblended_cost="0.1"),
        line(2, line_item_unblended_cost="-5", line_item_line_item_type="Credit", line_item_usage_end_date="2026-10-06T00:00:00.000Z"),
        line(3, line_item_usage_start_date="2026-10-31T23:00:00.000Z", line_item_usage_end_date="2026-11-01T00:00:00.000Z"),
    ]
    found = []
    for suffix, chunk in [("csv.gz", csv_gz(rows)), ("snappy.parquet", parquet(rows))]:
        put_folder(tmp_path / suffix, export_objects([chunk], suffix=suffix))
        delivery = Cur(tmp_path / suffix, tmp_path / f"raw-{suffix}").one()
        assert delivery.covers == (dt.date(2026, 10, 5), dt.date(2026, 10, 31))
        found.append(
            read(delivery, "identity_line_item_id", "line_item_unblended_cost", "line_item_usage_start_date", "line_item_usage_end_date",
                 "resource_tags", "bill_billing_period_start_date", "line_item_net_unblended_cost")
        )  # fmt: skip
    october = dt.datetime(2026, 10, 1)
    assert found[0] == found[1]
    assert found[0][0] == ("line-1", Decimal("0.1"), dt.datetime(2026, 10, 5, 10), dt.datetime(2026, 10, 5, 11),
                           {"user_team": "vision", "user_run": "r-1"}, october, None)  # fmt: skip
    assert [row[1] for row in found[0]] == [Decimal("0.1"), Decimal(-5), Decimal("32.7726")]


def test_parquet_is_landed_byte_for_byte_and_keeps_its_origin(folder: Cur) -> None:
    chunk = parquet([line(1)])
    put(folder, export_objects([chunk], suffix="snappy.parquet"))
    file = folder.one().files[0]
    assert file.path.read_bytes() == chunk
    assert file.origin["key"] == f"{DATA}-00001.snappy.parquet"
    assert file.origin["size"] == len(chunk)
    assert file.origin["source_sha256"] == file.origin["sha256"] == file.origin["fingerprint"]


def test_columns_in_any_order_and_optional_ones_missing(folder: Cur) -> None:
    few = (
        "line_item_product_code",
        "line_item_usage_account_id",
        "line_item_unblended_cost",
        "line_item_line_item_type",
        "line_item_usage_start_date",
    )
    put(folder, export_objects([csv_gz([line(1)], few), csv_gz([line(2, line_item_unblended_cost="1")], tuple(reversed(CSV_COLUMNS)))]))
    delivery = folder.one()
    assert read(delivery, "line_item_unblended_cost", "line_item_product_code", "bill_invoice_id", "line_item_resource_id") == [
        (Decimal("32.7726"), "AmazonEC2", None, None),
        (Decimal(1), "AmazonEC2", None, "i-030791dc5a37cd257"),
    ]
    assert delivery.finality == "provisional"


@pytest.mark.parametrize("suffix", ["csv.gz", "snappy.parquet"])
@pytest.mark.parametrize("column", ["line_item_unblended_cost", "line_item_usage_start_date", "line_item_product_code"])
def test_required_columns_missing_are_refused_by_name(folder: Cur, suffix: str, column: str) -> None:
    columns = [c for c in CSV_COLUMNS if c != column]
    write = csv_gz if suffix == "csv.gz" else parquet
    put(folder, export_objects([write([line(1)], columns)], suffix=suffix))
    with pytest.raises(DeliveryRefused, match=column):
        folder.fetch()
    assert folder.current() is None


def test_hostile_and_large_text_is_stored_verbatim(folder: Cur) -> None:
    texts = [
        "'; DROP TABLE line_items; --", "{{ env_var('AWS_SECRET_ACCESS_KEY') }}", "$$;\"]]", "Ωμέγα 日本 \u202eRTL 👩‍🚀", "a\nb\r\nc",
        "=1+1", "\\N", "NULL", "T" * 10_000_000,
    ]  # fmt: skip
    put(folder, export_objects([csv_gz([line(n, resource_tags={"user_team": t}, line_item_resource_id=t) for n, t in enumerate(texts)])]))
    rows = read(folder.one(), "resource_tags", "line_item_resource_id")
    assert [tags["user_team"] for tags, _ in rows] == texts
    assert [resource for _, resource in rows] == texts


def test_times_with_offsets_become_utc_and_unreadable_ones_are_counted(folder: Cur) -> None:
    starts = ["2026-10-05T00:00:00.000Z", "2026-10-05T00:30:00+05:30", "2026-10-04T23:00:00-08:00", "2026-10-05T12:00:00+14:00", "soon"]
    put(
        folder, export_objects([csv_gz([line(n, line_item_usage_start_date=s, line_item_usage_end_date="") for n, s in enumerate(starts)])])
    )
    delivery = folder.one()
    assert [t for (t,) in read(delivery, "line_item_usage_start_date")] == [
        dt.datetime(2026, 10, 5), dt.datetime(2026, 10, 4, 19), dt.datetime(2026, 10, 5, 7), dt.datetime(2026, 10, 4, 22), None,
    ]  # fmt: skip
    assert delivery.covers == (dt.date(2026, 10, 1), dt.date(2026, 10, 5))  # the row without a time could be any: from the first day
    assert delivery.rejected == (
        {"reason": "line_item_usage_start_date is not a TIMESTAMP: kept as NULL", "rows": 1,
         "example": {"file": f"{DATA}-00001.csv.gz", "row": 5, "value": "soon"}},
    )  # fmt: skip
    assert costs(delivery) == [Decimal("32.7726")] * 5


# --- money -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["NaN", "inf", "-Infinity", "1,234.5", "abc", "1e400", "123456789012345"])
@pytest.mark.parametrize("column", ["line_item_unblended_cost", "pricing_public_on_demand_cost"])
def test_unreadable_money_refuses_the_delivery_and_keeps_the_last_one(folder: Cur, value: str, column: str) -> None:
    put(folder, export_objects([csv_gz([line(1)])]))
    good = folder.one()
    put(folder, export_objects([csv_gz([line(1)]), csv_gz([line(2), line(3, **{column: value})])]))
    with pytest.raises(DeliveryRefused, match=f"unreadable money in {column}") as caught:
        folder.fetch()
    assert caught.value.where == f"{DATA}-00002.csv.gz, row 2" and repr(value) in caught.value.what and caught.value.remedy
    assert folder.current() == good


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2e14])
def test_unreadable_money_in_parquet_is_refused(folder: Cur, value: float) -> None:
    put(folder, export_objects([parquet([line(1), line(2, line_item_unblended_cost=value)])], suffix="parquet"))
    with pytest.raises(DeliveryRefused, match="unreadable money in line_item_unblended_cost"):
        folder.fetch()


@pytest.mark.parametrize("suffix", ["csv.gz", "parquet"])
def test_missing_price_is_an_error_never_zero(folder: Cur, suffix: str) -> None:
    write = csv_gz if suffix == "csv.gz" else parquet
    put(
        folder,
        export_objects([write([line(1), line(2, pricing_public_on_demand_cost=""), line(3, line_item_unblended_cost="")])], suffix=suffix),
    )
    with pytest.raises(DeliveryRefused, match="missing money in line_item_unblended_cost.*\n.*row 3"):
        folder.fetch()


def test_negative_costs_credits_and_exact_decimals_pass(folder: Cur) -> None:
    values = ["-5.00", "-0.0000000001", "0", "1E-10", "99999999999999.9", "12345.678901234567"]
    put(folder, export_objects([csv_gz([line(n, line_item_unblended_cost=v) for n, v in enumerate(values)])]))
    assert costs(folder.one()) == [Decimal(v) for v in values]


# --- which delivery counts ---------------------------------------------------------------------------------------------------------


def test_overwritten_restatement_replaces_the_period_as_a_whole(folder: Cur) -> None:
    put(folder, export_objects([csv_gz([line(1), line(2)]), csv_gz([line(3)])]))
    first = folder.one()
    put(folder, export_objects([csv_gz([line(1, line_item_unblended_cost="30")])]))  # fewer chunks: 00002 is stale and lies there still
    second = folder.one()
    assert (sum(costs(first)), sum(costs(second))) == (Decimal("98.3178"), Decimal(30))
    assert second.period == first.period == "2026-10" and second.delivery_id != first.delivery_id
    assert folder.current() == second
    put(folder, export_objects([csv_gz([line(1), line(2)]), csv_gz([line(3)])]))  # back to the first content
    assert folder.one() == first and folder.current() == first


def test_files_that_the_manifest_does_not_name_are_ignored(folder: Cur) -> None:
    put(
        folder, {f"{DATA}-00002.csv.gz": b"not even gzip", f"{DATA}-00000.csv.gz": csv_gz([line(9)]), **export_objects([csv_gz([line(1)])])}
    )
    assert costs(folder.one()) == [Decimal("32.7726")]


@pytest.mark.parametrize("top", [True, False])
def test_kept_deliveries_are_never_added_up(folder: Cur, top: bool) -> None:
    put(folder, export_objects([csv_gz([line(1), line(2)])], execution=E1, top=top))
    first = folder.one()
    put(folder, export_objects([csv_gz([line(1), line(2), line(3)])], execution=E2, top=top))
    second = folder.one()
    assert [d.files[0].rows for d in (first, second)] == [2, 3]
    assert [len(d.files) for d in (first, second)] == [1, 1]
    assert first.order == "2026-10-06T03:12:00.123Z 6b622448-0001" < second.order
    assert second.as_of == "2026-10-07T03:12:00.123Z"


def test_the_manifest_above_the_executions_decides(folder: Cur, tmp_path: Path) -> None:
    put(folder, export_objects([csv_gz([line(n) for n in range(3)])], execution=E2, top=False))
    put(folder, export_objects([csv_gz([line(1)])], execution=E1, top=True))  # AWS points to the older one
    os.utime(tmp_path / "in" / MANIFEST, (0, 0))
    assert folder.one().files[0].rows == 1


def test_executions_without_a_time_in_their_name_are_ordered_by_their_manifest(folder: Cur, tmp_path: Path) -> None:
    for hours, name, rows in [(1, "ffff-1", 1), (3, "aaaa-2", 2), (2, "cccc-3", 3)]:
        put(folder, export_objects([csv_gz([line(n) for n in range(rows)])], execution=name, top=False))
        path = tmp_path / "in" / EXPORT / "metadata" / "BILLING_PERIOD=2026-10" / name / f"{EXPORT}-Manifest.json"
        os.utime(path, (1_790_000_000 + 3600 * hours,) * 2)
    assert folder.one().files[0].rows == 2


def test_empty_periods_are_valid_deliveries(folder: Cur) -> None:
    for chunks in ([], [csv_gz([])], [gzip.compress(csv_bytes([]).rstrip(b"\n"), mtime=0)]):
        put(folder, export_objects(chunks))
        delivery = folder.one()
        assert (sum(f.rows for f in delivery.files), delivery.covers, delivery.finality) == (0, None, "provisional")
        assert folder.one() == delivery
    put(folder, export_objects([parquet([])], suffix="parquet"))
    assert folder.one().files[0].rows == 0
    put(folder, export_objects([csv_gz([]), csv_gz([line(1)])]))  # an empty chunk beside a full one
    assert [f.rows for f in folder.one().files] == [0, 1]


def test_finality_is_in_the_invoice_ids(folder: Cur) -> None:
    put(folder, export_objects([csv_gz([line(1, bill_invoice_id="1234"), line(2)])]))
    assert folder.one().finality == "provisional"
    put(folder, export_objects([csv_gz([line(1, bill_invoice_id="1234"), line(2, bill_invoice_id="1234")])]))
    assert folder.one().finality == "final"


# --- periods -----------------------------------------------------------------------------------------------------------------------


def test_no_manifest_means_no_bill_yet(folder: Cur) -> None:
    assert folder.fetch() == []
    put(folder, {f"{DATA}-00001.csv.gz": csv_gz([line(1)])})  # data without a manifest: the delivery is not complete
    assert folder.fetch() == []
    put(folder, export_objects([csv_gz([line(1)])], period="2026-07"))
    assert folder.fetch() == []


@pytest.mark.parametrize(
    ("first", "last", "periods"),
    [
        ("2026-10-05", "2026-10-05", ["2026-10"]),
        ("2026-10-03", "2026-10-03", ["2026-09", "2026-10"]),
        ("2026-10-29", "2026-10-29", ["2026-10", "2026-11"]),
        ("2026-12-31", "2027-01-01", ["2026-12", "2027-01"]),
        ("2028-02-29", "2028-02-29", ["2028-02", "2028-03"]),
        ("2026-01-15", "2026-04-15", ["2026-01", "2026-02", "2026-03", "2026-04"]),
    ],
)
def test_neighbouring_periods_within_three_days_belong_to_a_window(first: str, last: str, periods: list[str]) -> None:
    assert billing_periods(Window(dt.date.fromisoformat(first), dt.date.fromisoformat(last))) == periods


def test_crossover_rows_are_found_in_the_next_period(folder: Cur) -> None:
    late = line(1, line_item_usage_start_date="2026-09-30T23:00:00Z", line_item_usage_end_date="2026-10-01T00:00:00Z")
    put(folder, export_objects([csv_gz([late, line(2)])], period="2026-10"))
    put(folder, export_objects([csv_gz([line(3, line_item_usage_start_date="2026-09-10T00:00:00Z")])], period="2026-09"))
    found = folder.fetch(Window(dt.date(2026, 9, 30), dt.date(2026, 9, 30)))
    assert [(d.period, d.covers) for d in found] == [
        ("2026-09", (dt.date(2026, 9, 10), dt.date(2026, 10, 5))),  # from its first start to its last end
        ("2026-10", (dt.date(2026, 9, 30), dt.date(2026, 10, 5))),
    ]


def test_one_refused_period_does_not_hide_the_other(folder: Cur) -> None:
    put(folder, export_objects([b"broken"], period="2026-09"))
    put(folder, export_objects([csv_gz([line(1)])], period="2026-10"))
    with pytest.raises(DeliveryRefused, match="not a gzip file"):
        folder.fetch(Window(dt.date(2026, 10, 1), dt.date(2026, 10, 1)))
    assert folder.current("2026-09") is None
    assert folder.current("2026-10") is not None


# --- damaged and hostile deliveries ------------------------------------------------------------------------------------------------


def test_manifest_that_names_a_missing_object_is_refused_naming_it(folder: Cur) -> None:
    objects = export_objects([csv_gz([line(1)]), csv_gz([line(2)])])
    del objects[f"{DATA}-00002.csv.gz"]
    put(folder, objects)
    with pytest.raises(DeliveryRefused, match="does not exist") as caught:
        folder.fetch()
    assert str(caught.value.where).endswith(f"{DATA}-00002.csv.gz")
    assert folder.current() is None


def test_truncated_chunks_are_refused_at_every_cut(folder: Cur) -> None:
    random.seed(3)
    chunk = csv_gz([line(n, line_item_unblended_cost=str(random.random())) for n in range(40)])  # noqa: S311
    for cut in [0, 1, 10, len(chunk) - 1, len(chunk) - 8, *random.sample(range(len(chunk)), 40)]:
        put(folder, export_objects([chunk[:cut]]))
        with pytest.raises(DeliveryRefused, match="truncated|empty file|not a gzip") as caught:
            folder.fetch()
        assert caught.value.where == f"{DATA}-00001.csv.gz"
    flipped = bytearray(chunk)
    flipped[-6] ^= 1  # CRC32
    put(folder, export_objects([bytes(flipped)]))
    with pytest.raises(DeliveryRefused, match="corrupted gzip"):
        folder.fetch()
    whole = parquet([line(n) for n in range(40)])
    for cut in random.sample(range(len(whole)), 20):
        put(folder, export_objects([whole[:cut]], suffix="parquet"))
        with pytest.raises(DeliveryRefused):
            folder.fetch()
    assert folder.current() is None
    assert not list((folder.landing.root / ".staging").iterdir())


@pytest.mark.parametrize(
    "entry",
    [
        "../../secret.csv.gz", "/etc/passwd", f"{EXPORT}/data/BILLING_PERIOD=2026-10/../../../x.csv.gz", f"{DATA}%2f..%2fx.csv.gz",
        f"{DATA}\\x.csv.gz", f"{DATA}\x00.csv.gz", f"{DATA}{'k' * 4096}.csv.gz", f"{EXPORT}/data/BILLING_PERIOD=2026-09/x.csv.gz",
        f"other/data/BILLING_PERIOD=2026-10/{EXPORT}-00001.csv.gz", f"{EXPORT}/data/BILLING_PERIOD=2026-10/", "s3://bills/x.csv.gz",
        f"{DATA}-00001.csv.zip", "",
    ],
)  # fmt: skip
def test_manifest_entries_that_lead_elsewhere_are_refused(folder: Cur, entry: str, tmp_path: Path) -> None:
    (tmp_path / "secret.csv.gz").write_bytes(csv_gz([line(1)]))
    put(folder, export_objects([csv_gz([line(1)])], dataFiles=[entry]))
    with pytest.raises(DeliveryRefused, match="unsafe object key|outside this export|not supported") as caught:
        folder.fetch()
    assert str(caught.value.where).endswith(MANIFEST)


def test_link_that_leads_out_is_refused(folder: Cur, tmp_path: Path) -> None:
    objects = export_objects([csv_gz([line(1)])])
    put(folder, objects)
    chunk = tmp_path / "in" / f"{DATA}-00001.csv.gz"
    chunk.rename(tmp_path / "outside.csv.gz")
    chunk.symlink_to(tmp_path / "outside.csv.gz")
    with pytest.raises(DeliveryRefused, match="outside its location"):
        folder.fetch()


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (b"{", "not JSON"),
        (b"[]", "no list of files"),
        (b'{"dataFiles": "x"}', "no list of files"),
        (b'{"dataFiles": [1]}', "no list of files"),
        (json.dumps({"dataFiles": [f"{DATA}-00001.csv.gz"] * 2}).encode(), "names a file twice"),
        (json.dumps({"dataFiles": [], "billingPeriod": {"start": "20260901T000000.000Z"}}).encode(), "lies in the folder of 2026-10"),
        (
            json.dumps({"dataFiles": [f"{EXPORT}/data/BILLING_PERIOD=2026-10/{e}/{EXPORT}-00001.csv.gz" for e in (E1, E2)]}).encode(),
            "mixes files of 2 folders",
        ),
    ],
)
def test_manifests_that_make_no_sense_are_refused(folder: Cur, manifest: bytes, message: str) -> None:
    put(folder, {f"{DATA}-00001.csv.gz": csv_gz([line(1)]), MANIFEST: manifest})
    with pytest.raises(DeliveryRefused, match=message):
        folder.fetch()


# --- where the export lies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["s3://bills/exports/", "s3://somebody/else/s/", "exports/", ""])
def test_folder_may_be_a_copy_of_any_bucket(folder: Cur, uri: str, tmp_path: Path) -> None:
    put(folder, export_objects([csv_gz([line(1)])], uri=uri))
    above = folder.one()
    inside = Cur(tmp_path / "in" / EXPORT, tmp_path / "raw2").one()
    assert above.delivery_id == inside.delivery_id and above.files[0].rows == 1


def test_two_exports_of_one_name_are_ambiguous_and_a_wrong_name_is_explained(folder: Cur, tmp_path: Path) -> None:
    put(folder, export_objects([csv_gz([line(1)])]))
    with pytest.raises(UsageError, match=f"no export 'other' at this location; found: {EXPORT}"):
        Cur(tmp_path / "in", tmp_path / "raw", export="other").fetch()
    put_folder(tmp_path / "in", {k.removeprefix(f"{EXPORT}/"): v for k, v in export_objects([csv_gz([line(1)])]).items()})
    with pytest.raises(DeliveryRefused, match="two folders hold manifests"):
        folder.fetch()


def test_known_variants_of_the_file_list(folder: Cur) -> None:
    put(folder, {f"{DATA}-00001.csv.gz": csv_gz([line(1)])})
    for name in ("dataFiles", "data_files", "reportKeys", "files"):
        document = {name: [f"data/BILLING_PERIOD=2026-10/{EXPORT}-00001.csv.gz"], "billingPeriod": "2026-10"}
        put(folder, {MANIFEST: b"\xef\xbb\xbf" + json.dumps(document).encode()})
        assert folder.one().files[0].rows == 1


# --- S3 ----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with s3_server() as endpoint:
        yield endpoint


def test_s3_export_with_more_than_a_thousand_objects(moto: str, tmp_path: Path) -> None:
    client = s3_client(moto)
    client.create_bucket(Bucket="bills")
    backend = s3_backends["123456789012"]["aws"]  # filled within the process: a thousand requests would take ten seconds
    executions = [f"2026-10-{day:02d}T{hour:02d}:00:00.000Z-{day * 100 + hour:08d}" for day in range(1, 32) for hour in range(0, 24)][:505]
    for execution in executions:  # 505 executions with two objects each below metadata/
        for name in (f"{EXPORT}-Manifest.json", f"{EXPORT}-Metadata.json"):
            backend.put_object("bills", f"exports/{EXPORT}/metadata/BILLING_PERIOD=2026-10/{execution}/{name}", b"{}")
    for key, content in export_objects(
        [csv_gz([line(1)]), parquet([line(2)])][:1], execution=E2.replace("10-07", "10-31"), top=False
    ).items():
        client.put_object(Bucket="bills", Key=f"exports/{key}", Body=content)
    delivery = Cur("s3://bills/exports", tmp_path / "raw", moto).one()
    assert costs(delivery) == [Decimal("32.7726")]
    assert delivery.order == "2026-10-31T03:12:00.123Z 9c733559-0002"
    assert Cur(f"s3://bills/exports/{EXPORT}/", tmp_path / "raw2", moto).one().delivery_id == delivery.delivery_id


def test_unchanged_objects_are_not_downloaded_again(bucket: BrokenS3, tmp_path: Path) -> None:
    put_s3(bucket, export_objects([csv_gz([line(1)]), csv_gz([line(2)])]))
    cur = Cur("s3://bills/exports", tmp_path / "raw", bucket.endpoint_url)
    first = cur.one()
    assert bucket.gets(".csv.gz") == 2
    assert [cur.one() for _ in range(3)] == [first] * 3
    assert bucket.gets(".csv.gz") == 2
    bucket.put(f"exports/{DATA}-00002.csv.gz", csv_gz([line(2, line_item_unblended_cost="1")]))
    put_s3(bucket, {MANIFEST: bucket.objects[f"exports/{MANIFEST}"][0]})
    assert costs(cur.one()) == [Decimal("32.7726"), Decimal(1)]
    assert {method for method, *_ in bucket.requests} == {"GET", "HEAD"}
    assert all(key == "?list" or key.startswith(f"exports/{EXPORT}/") for _, key, _ in bucket.requests)


def test_broken_bodies_are_fetched_again(bucket: BrokenS3, tmp_path: Path) -> None:
    put_s3(bucket, export_objects([csv_gz([line(n) for n in range(50)])]))
    bucket.faults[f"exports/{DATA}-00001.csv.gz"] = ["truncate", "short", "reset"]
    bucket.faults[f"exports/{MANIFEST}"] = ["truncate"]
    cur = Cur("s3://bills/exports", tmp_path / "raw", bucket.endpoint_url)
    assert cur.one().files[0].rows == 50
    bucket.put(f"exports/{DATA}-00001.csv.gz", csv_gz([line(1)]))
    put_s3(bucket, {MANIFEST: bucket.objects[f"exports/{MANIFEST}"][0]})
    bucket.faults[f"exports/{DATA}-00001.csv.gz"] = ["truncate"] * 9
    with pytest.raises(DeliveryRefused, match="did not arrive whole"):
        cur.fetch()


def test_delivery_that_arrives_while_another_is_read_is_taken_whole(bucket: BrokenS3, tmp_path: Path) -> None:
    put_s3(bucket, export_objects([csv_gz([line(1)]), csv_gz([line(2)])]))
    new = export_objects(
        [csv_gz([line(1, line_item_unblended_cost="10")]), csv_gz([line(2, line_item_unblended_cost="20")])], executionId="n"
    )
    bucket.faults[f"exports/{DATA}-00002.csv.gz"] = [lambda server: put_s3(server, new)]  # 00001 was read from the old delivery
    assert costs(Cur("s3://bills/exports", tmp_path / "raw", bucket.endpoint_url).one()) == [Decimal(10), Decimal(20)]


def test_delivery_under_way_is_refused_not_mixed(bucket: BrokenS3, tmp_path: Path) -> None:
    put_s3(bucket, export_objects([csv_gz([line(1)]), csv_gz([line(2)])]))
    cur = Cur("s3://bills/exports", tmp_path / "raw", bucket.endpoint_url)
    good = cur.one()
    bucket.put(f"exports/{DATA}-00001.csv.gz", csv_gz([line(1), line(2), line(3)]))  # its manifest is still to come
    with pytest.raises(DeliveryRefused, match="younger than its manifest"):
        cur.fetch()
    assert cur.current() == good


def test_manifest_that_never_stands_still_is_refused(bucket: BrokenS3, tmp_path: Path) -> None:
    put_s3(bucket, export_objects([csv_gz([line(1)])]))

    def again(server: BrokenS3) -> None:
        put_s3(server, export_objects([csv_gz([line(1)])], executionId=str(server.clock)))

    bucket.faults[f"exports/{DATA}-00001.csv.gz"] = [again] * 9
    with pytest.raises(DeliveryRefused, match="changed 3 times while it was read"):
        Cur("s3://bills/exports", tmp_path / "raw", bucket.endpoint_url).fetch()


@pytest.mark.parametrize("uri", ["s3://elsewhere/exports/", "s3://bills/other/"])
def test_manifest_of_another_bucket_or_prefix_is_refused_on_s3(bucket: BrokenS3, tmp_path: Path, uri: str) -> None:
    put_s3(bucket, export_objects([csv_gz([line(1)])], uri=uri))
    with pytest.raises(DeliveryRefused, match="outside this export and period"):
        Cur("s3://bills/exports", tmp_path / "raw", bucket.endpoint_url).fetch()
    assert bucket.gets(".csv.gz") == 0
