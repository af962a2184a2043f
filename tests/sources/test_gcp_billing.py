"""The GCP billing export: the same raw rows from its table and from its files, late rows once each, unreadable money refused."""

from __future__ import annotations

import datetime as dt
import gzip
import itertools
import json
import math
import os
import random
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import ApportionError, DeliveryRefused, UsageError
from pipelines.ingestion import bigquery, gcp_rows
from pipelines.ingestion.gcp_schema import ROWS as TABLE
from pipelines.ingestion.s3 import S3Store
from pipelines.landing import Landing
from pipelines.source import Delivery, Window
from pipelines.sources.gcp_billing import GcpBilling, GcpBillingConfig
from tests.bigquery_emulator import Emulator, running_emulator
from tests.servers import aws_environment, s3_client, s3_server
from tests.sources.fixtures import gcp_billing as fixture

COLUMNS = [c.name for c in TABLE.columns]
_names = itertools.count()


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running_emulator() as running:
        yield running


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path / "raw")


def source(**options: Any) -> GcpBilling:
    return GcpBilling(GcpBillingConfig(name="gcp", kind="gcp_billing", **options))


def fetch(landing: Landing, window: tuple[dt.date, dt.date] = fixture.WINDOW, **options: Any) -> list[Delivery]:
    return list(source(**options).fetch(Window(*window), landing))


def new_table(
    emulator: Emulator, rows: list[dict[str, Any]], schema: dict[str, Any] | None = None, column: str | None = "export_time"
) -> str:
    name = f"gcp_billing_export_resource_v1_{next(_names)}"
    emulator.create(name, fixture.bigquery_schema(schema), column)
    if rows:
        emulator.insert(name, fixture.as_inserted(rows, schema))
    return name


def of_table(emulator: Emulator, table: str, **options: Any) -> dict[str, Any]:
    return {"location": emulator.location(table), "endpoint_url": emulator.url, "partition_column": "export_time", **options}


def raw_rows(deliveries: list[Delivery]) -> list[tuple[Any, ...]]:
    """Every landed row, sorted: rows may lie in other deliveries, their values may not differ."""
    found: list[tuple[Any, ...]] = []
    for delivery in deliveries:
        for file in delivery.files:
            relation = duckdb.connect().execute("select * from read_parquet(?)", [str(file.path)])
            assert [d[0] for d in relation.description] == COLUMNS
            rows = relation.fetchall()
            assert len(rows) == file.rows
            found += rows
    return sorted(found, key=repr)


def column(deliveries: list[Delivery], name: str) -> list[Any]:
    return [row[COLUMNS.index(name)] for row in raw_rows(deliveries)]


def json_folder(folder: Path, rows: list[Any], name: str = "rows.jsonl") -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    if rows and isinstance(rows[0], str):
        (folder / name).write_text("".join(line + "\n" for line in rows))
    else:
        fixture.write_json(folder / name, rows)
    return {"location": str(folder)}


# --- the same rows, whichever way they come


def test_table_and_files_give_the_same_raw_rows(emulator: Emulator, landing: Landing, tmp_path: Path) -> None:
    (tmp_path / "parquet").mkdir()
    fixture.write_parquet(tmp_path / "parquet" / "a.parquet", fixture.ROWS)
    json_folder(tmp_path / "lines", fixture.ROWS)
    json_folder(tmp_path / "gzipped", fixture.ROWS, "a.json.gz")
    (tmp_path / "scientific").mkdir()
    fixture.write_json(tmp_path / "scientific" / "a.ndjson", fixture.ROWS, scientific=True)
    assert '"cost":"5.28E-4"' in (tmp_path / "scientific" / "a.ndjson").read_text()

    expected = raw_rows(fetch(landing, **of_table(emulator, new_table(emulator, fixture.ROWS))))
    assert len(expected) == 12
    for way in ("parquet", "lines", "gzipped", "scientific"):
        assert raw_rows(fetch(Landing(tmp_path / f"raw-{way}"), location=str(tmp_path / way))) == expected, way


def test_the_storage_read_api_gives_the_same_rows(
    emulator: Emulator, landing: Landing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = new_table(emulator, fixture.ROWS)
    by_rest = fetch(landing, **of_table(emulator, table))
    monkeypatch.setattr("google.cloud.bigquery_storage.BigQueryReadClient", lambda read_client=emulator.read_client: read_client)
    by_stream = fetch(Landing(tmp_path / "other"), **of_table(emulator, table, storage_api=True))
    assert [d.delivery_id for d in by_stream] == [d.delivery_id for d in by_rest]


def test_one_row_in_full(landing: Landing, tmp_path: Path) -> None:
    landed = fetch(landing, **json_folder(tmp_path / "in", fixture.ROWS[:1]))
    (row,) = raw_rows(landed)
    assert dict(zip(COLUMNS, row, strict=True)) == {
        "billing_account_id": "01AB23-CD45EF-678901",
        "invoice_month": "202610",
        "invoice_publisher_type": "GOOGLE",
        "cost_type": "regular",
        "service_id": "6F81-5844-456A",
        "service_description": "Compute Engine",
        "sku_id": "2B2D-6C1A-9B57",
        "sku_description": "Nvidia Tesla A100 GPU running in Americas",
        "usage_start_time": dt.datetime(2026, 10, 5, 10),
        "usage_end_time": dt.datetime(2026, 10, 5, 11),
        "project_id": "ml-train",
        "project_number": "237691936840",
        "project_name": "ML training",
        "project_labels": '{"cost-centre":"4711"}',
        "labels": '{"goog-k8s-cluster-name":"train","goog-k8s-node-pool-name":"a2","k8s-namespace":"research",'
        '"k8s-workload-name":"run-7","team":"nlp"}',
        "system_labels": '{"compute.googleapis.com/cores":"96","compute.googleapis.com/machine_spec":"a2-highgpu-8g"}',
        "tags": '{"env":"prod"}',
        "location_location": "us-central1",
        "location_region": "us-central1",
        "location_zone": "us-central1-a",
        "cost": "23.471264",
        "currency": "USD",
        "currency_conversion_rate": "1",
        "usage_amount": "28800",
        "usage_unit": "seconds",
        "usage_amount_in_pricing_units": "8",
        "usage_pricing_unit": "hour",
        "credits": '[{"id":"sustained-usage-discount","full_name":"Sustained Usage Discount","type":"SUSTAINED_USAGE_DISCOUNT",'
        '"name":"Sustained Usage Discount","amount":"-2.5"},'
        '{"id":"committed-usage-discount:-gpu","full_name":"Committed Usage Discount: GPU","type":"COMMITTED_USAGE_DISCOUNT",'
        '"name":"Committed Usage Discount: GPU","amount":"-8"},'
        '{"id":"startup-programme","full_name":"Startup programme","type":"PROMOTION","name":"Startup programme","amount":"-1"}]',
        "adjustment_info_id": None,
        "adjustment_info_type": None,
        "adjustment_info_mode": None,
        "adjustment_info_description": None,
        "export_time": dt.datetime(2026, 10, 5, 18, 5, 12, 345678),
        "cost_at_list": "23.471264",
        "transaction_type": "GOOGLE",
        "seller_name": "Google LLC",
        "price_list_price": None,
        "price_effective_price_default": "2.933908",
        "price_list_price_consumption_model": None,
        "price_effective_price": "2.933908",
        "price_unit": "hour",
        "consumption_model_id": "7754-699E-0EBF",
        "consumption_model_description": "Default",
        "cost_at_effective_price_default": "23.471264",
        "cost_at_list_consumption_model": "23.471264",
        "resource_name": "projects/237691936840/instances/a2-train-0",
        "resource_global_name": "//compute.googleapis.com/projects/ml-train/zones/us-central1-a/instances/4711000000000000001",
        "subscription_instance_id": None,
    }
    assert landed[0].covers == (dt.date(2026, 10, 5), dt.date(2026, 10, 5))
    assert (landed[0].finality, landed[0].as_of) == ("provisional", "2026-10-05T18:05:12.345678Z")
    assert landed[0].rejected == ()


def test_the_fixture_lands_whole(landing: Landing, tmp_path: Path) -> None:
    landed = fetch(landing, **fixture.write(tmp_path / "in"))
    assert [d.period for d in landed] == ["export-2026-10-05-000000000000.parquet", "export-2026-10-06-000000000000.json.gz"]
    assert sum(f.rows for d in landed for f in d.files) == fixture.EXPECTED_ROWS["rows"] == 12
    assert sum(map(Decimal, column(landed, "cost"))) == Decimal("64.114517333333332")
    credits = [Decimal(c["amount"]) for text in column(landed, "credits") for c in json.loads(text)]
    assert sum(credits) == Decimal("-13.6") and len(credits) == 5
    assert landed[0].covers == (dt.date(2026, 9, 28), dt.date(2026, 10, 5))  # the corrections reach back
    assert landed[1].covers == (dt.date(2026, 10, 3), dt.date(2026, 10, 3))
    # cost + every credit, by project (rounding has none) and invoice month; 64.114517333333332 - 13.6; 0.332e-12 is lost to rounding
    controls = {(c.account_id, c.invoice_id): (c.rows, c.amount, c.conversion_delta) for c in landed[0].controls}
    assert controls == {
        (None, "202610"): (1, Decimal("-0.000002"), Decimal(0)),
        ("ml-train", "202610"): (10, Decimal("48.997191333333"), Decimal("0.000000000000332")),
    }
    assert [(c.rows, c.amount) for c in landed[1].controls] == [(1, Decimal("1.517328"))]
    assert sum(c.amount for d in landed for c in d.controls) == Decimal("50.514517333333")


def test_the_standard_export_lands_without_its_resources(emulator: Emulator, landing: Landing, tmp_path: Path) -> None:
    """gcp_billing_export_v1_<account>: no resource, no subscription; every other value is the detailed export's."""
    standard = {name: kind for name, kind in fixture.SCHEMA.items() if name not in ("resource", "subscription")}
    by_table = fetch(landing, **of_table(emulator, new_table(emulator, fixture.ROWS, standard)))
    (tmp_path / "in").mkdir()
    fixture.write_parquet(tmp_path / "in" / "a.parquet", fixture.ROWS, standard)
    by_file = fetch(Landing(tmp_path / "files"), location=str(tmp_path / "in"))
    assert raw_rows(by_table) == raw_rows(by_file)
    detailed = fetch(Landing(tmp_path / "detailed"), **json_folder(tmp_path / "lines", fixture.ROWS))
    lacking = {"resource_name", "resource_global_name", "subscription_instance_id"}
    for name in COLUMNS:
        if name in lacking:
            assert set(column(by_file, name)) == {None}
        else:
            assert sorted(column(by_file, name), key=repr) == sorted(column(detailed, name), key=repr), name


def test_corrections_that_differ_in_amount_only_are_all_kept(emulator: Emulator, landing: Landing) -> None:
    landed = fetch(landing, **of_table(emulator, new_table(emulator, [*fixture.ROWS[9:11], fixture.ROWS[9]])))
    assert sorted(column(landed, "cost")) == ["-10", "-10", "5"]
    assert set(column(landed, "adjustment_info_type")) == {"USAGE_CORRECTION"}
    assert {d.covers for d in landed} == {(dt.date(2026, 9, 28), dt.date(2026, 9, 28))}


def test_credits_and_labels_do_not_multiply_rows(emulator: Emulator, landing: Landing, tmp_path: Path) -> None:
    rows = [
        fixture.row(
            cost=float(10 * c + n),
            credits=[fixture.credit("PROMOTION", f"c{i}", -0.1) for i in range(c)],
            labels=[{"key": f"k{i}", "value": str(i)} for i in range(n)],
        )
        for c in (0, 1, 3)
        for n in (0, 2, 5)
    ]
    by_table = fetch(landing, **of_table(emulator, new_table(emulator, rows)))
    by_file = fetch(Landing(tmp_path / "other"), **json_folder(tmp_path / "in", rows))
    assert raw_rows(by_table) == raw_rows(by_file)
    found = {
        Decimal(cost): (len(json.loads(credits)), len(json.loads(labels)))
        for cost, credits, labels in zip(*(column(by_file, n) for n in ("cost", "credits", "labels")), strict=True)
    }
    assert found == {Decimal(10 * c + n): (c, n) for c in (0, 1, 3) for n in (0, 2, 5)}
    assert sum(map(Decimal, column(by_file, "cost"))) == 141  # 3 x (0 + 10 + 30) + 3 x (0 + 2 + 5)
    assert sum(Decimal(c["amount"]) for text in column(by_file, "credits") for c in json.loads(text)) == Decimal("-1.2")


def test_a_table_from_before_the_newer_columns(emulator: Emulator, landing: Landing, tmp_path: Path) -> None:
    old = {name: kind for name, kind in fixture.SCHEMA.items() if name not in fixture.NEW_COLUMNS}
    by_table = fetch(landing, **of_table(emulator, new_table(emulator, fixture.ROWS, old)))
    (tmp_path / "in").mkdir()
    fixture.write_parquet(tmp_path / "in" / "a.parquet", fixture.ROWS, old)
    assert raw_rows(by_table) == raw_rows(fetch(Landing(tmp_path / "other"), location=str(tmp_path / "in")))
    assert sum(map(Decimal, column(by_table, "cost"))) == Decimal("64.114517333333332")
    for name in ("consumption_model_id", "price_effective_price", "price_list_price", "cost_at_list", "cost_at_effective_price_default"):
        assert set(column(by_table, name)) == {None}
    assert set(column(by_table, "tags")) == {"{}"}


# --- nights


def late_row(night: int, exported: dt.date, used: dt.date) -> dict[str, Any]:
    return fixture.row(
        usage_start_time=f"{used}T05:00:00Z", usage_end_time=f"{used}T06:00:00Z", export_time=f"{exported}T01:00:00Z", cost=float(2**night)
    )


def test_seven_nights_of_late_rows(emulator: Emulator, landing: Landing) -> None:
    """Each night adds a row of its day and a late one used three days before: all are found, none twice, little is read."""
    table = new_table(emulator, [])
    options = of_table(emulator, table)
    first = dt.date(2026, 10, 5)
    expected, ids = Decimal(0), {}
    for night in range(7):
        day = first + dt.timedelta(days=night)
        rows = [late_row(2 * night, day, day), late_row(2 * night + 1, day, day - dt.timedelta(days=3))]
        emulator.insert(table, fixture.as_inserted(rows))
        expected += 2 ** (2 * night) + 2 ** (2 * night + 1)
        before = emulator.query_count()
        fetch(landing, (day - dt.timedelta(days=2), day), **options)
        assert emulator.query_count() - before == 2  # what there is, and the one day that is new
        chosen = landing.chosen("gcp")
        assert sum(map(Decimal, column(chosen, "cost"))) == expected
        assert len(raw_rows(chosen)) == 2 * (night + 1)
        now = {d.period: d.delivery_id for d in chosen}
        assert {p: i for p, i in now.items() if p in ids} == ids
        ids = now
    assert expected == 2**14 - 1
    assert sorted(ids) == [f"export-2026-10-{day:02d}" for day in range(5, 12)]

    before = emulator.query_count()
    fetch(landing, (first, first), **options)
    assert emulator.query_count() - before == 1  # nothing new: nothing is read

    # a row is appended to a day that was read half-way through: that day is read again, whole, and no other
    emulator.insert(table, fixture.as_inserted([late_row(14, dt.date(2026, 10, 9), dt.date(2026, 10, 1))]))
    again = {d.period: d for d in fetch(landing, (first, first), **options)}
    assert {p for p, i in ids.items() if again[p].delivery_id != i} == {"export-2026-10-09"}
    assert again["export-2026-10-09"].covers == (dt.date(2026, 10, 1), dt.date(2026, 10, 9))
    assert sum(map(Decimal, column(landing.chosen("gcp"), "cost"))) == 2**15 - 1


def test_only_export_days_from_the_day_before_the_window_are_looked_at(emulator: Emulator, landing: Landing) -> None:
    days = [dt.date(2026, 10, d) for d in (3, 4, 5, 9)]
    table = new_table(emulator, [late_row(n, day, day) for n, day in enumerate(days)])
    landed = fetch(landing, (dt.date(2026, 10, 5), dt.date(2026, 10, 5)), **of_table(emulator, table))
    assert [d.period for d in landed] == ["export-2026-10-04", "export-2026-10-05", "export-2026-10-09"]


def test_a_table_partitioned_by_ingestion_time(emulator: Emulator, landing: Landing) -> None:
    rows = [late_row(n, dt.date(2024, 2, 28 + n), dt.date(2024, 2, 27)) for n in range(2)]
    table = new_table(emulator, rows, column=None)
    options = {"location": emulator.location(table), "endpoint_url": emulator.url}
    landed = fetch(landing, (dt.date(2024, 2, 28), dt.date(2024, 2, 29)), **options)
    assert [(d.period, d.order) for d in landed] == [
        ("export-2024-02-28", "2024-02-28T01:00:00.000000Z/000000000001"),
        ("export-2024-02-29", "2024-02-29T01:00:00.000000Z/000000000001"),
    ]
    jobs = [job for job in emulator.client.list_jobs(max_results=2) if table in job.query]
    assert len(jobs) == 2
    for job in jobs:
        assert "_PARTITIONTIME >= @partition_since" in job.query


def test_the_order_of_rows_in_the_table_does_not_show(
    emulator: Emulator, landing: Landing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = list(fixture.ROWS) * 3
    expected = fetch(landing, **of_table(emulator, new_table(emulator, rows)))
    assert sum(f.rows for d in expected for f in d.files) == 36
    random.Random(7).shuffle(rows)
    monkeypatch.setattr(bigquery, "PAGE_ROWS", 5)  # and many pages
    other = fetch(Landing(tmp_path / "other"), **of_table(emulator, new_table(emulator, rows)))
    assert [d.delivery_id for d in other] == [d.delivery_id for d in expected]
    for left, right in zip(expected, other, strict=True):
        assert left.files[0].path.read_bytes() == right.files[0].path.read_bytes()


def test_a_table_that_lost_rows_is_refused(emulator: Emulator, landing: Landing) -> None:
    table = new_table(emulator, fixture.ROWS)
    landed = fetch(landing, **of_table(emulator, table))
    emulator.client.query(f"delete from `{emulator.project}.{emulator.dataset}.{table}` where cost = 1.5").result()  # noqa: S608
    with pytest.raises(DeliveryRefused, match="10 rows, 11 were landed before") as caught:
        fetch(landing, **of_table(emulator, table))
    assert "remove this source's folder" in caught.value.remedy
    assert landing.chosen("gcp") == sorted(landed, key=lambda d: d.period)


def test_a_table_that_is_not_there_or_not_the_export(emulator: Emulator, landing: Landing) -> None:
    with pytest.raises(ApportionError, match="gcp_billing_export_resource_v1_") as caught:
        fetch(landing, **of_table(emulator, "absent"))
    assert caught.value.where == f"{emulator.project}.{emulator.dataset}.absent"
    other = {name: kind for name, kind in fixture.SCHEMA.items() if name not in ("cost", "credits")}
    with pytest.raises(DeliveryRefused, match="without cost, credits"):
        fetch(landing, **of_table(emulator, new_table(emulator, [], other)))
    assert fetch(landing, **of_table(emulator, new_table(emulator, []))) == []


@pytest.mark.parametrize(
    ("status", "reason", "message", "remedy"),
    [
        (400, "bytesBilledLimitExceeded", "Query exceeded limit for bytes billed: 1000000.", "raise maximum_bytes_billed"),
        (403, "accessDenied", "Access Denied: Project payer: User does not have bigquery.jobs.create permission", "roles/bigquery.jobUser"),
    ],
)
def test_queries_carry_a_ceiling_and_refusals_a_remedy(landing: Landing, status: int, reason: str, message: str, remedy: str) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    schema = {"fields": [field.to_api_repr() for field in fixture.bigquery_schema()]}
    refused = {"error": {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}}

    class Service(BaseHTTPRequestHandler):
        def answer(self, code: int, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            reference = {"projectId": "p", "datasetId": "d", "tableId": "t"}
            self.answer(200, {"id": "p:d.t", "tableReference": reference, "schema": schema, "type": "TABLE"})

        def do_POST(self) -> None:
            asked.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.answer(status, refused)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = {"location": "bigquery://p.d.t", "endpoint_url": f"http://127.0.0.1:{server.server_port}"}
        with pytest.raises(ApportionError, match="BigQuery refused") as caught:
            fetch(landing, **options, billing_project="payer", maximum_bytes_billed=1_000_000)
        server.shutdown()
    assert message in caught.value.what and remedy in caught.value.remedy and caught.value.where == "p.d.t"
    ((path, body),) = asked
    assert "/projects/payer/" in path
    assert body["configuration"]["query"]["maximumBytesBilled"] == "1000000"
    given_parameters = {p["name"]: p["parameterValue"]["value"] for p in body["configuration"]["query"]["queryParameters"]}
    assert given_parameters == {"since": "2026-10-04 00:00:00+00:00", "partition_since": "2026-10-02 00:00:00+00:00"}


@pytest.mark.parametrize("location", ["bigquery://a.b", "bigquery://p.d.t`; drop table x; --", "bigquery://p.d.t t", "bigquery://"])
def test_a_location_that_names_no_table(location: str) -> None:
    with pytest.raises((UsageError, ValueError), match="bigquery://<project>.<dataset>.<table>"):
        source(location=location)


# --- files


def test_unchanged_files_are_not_converted_again_and_changed_ones_replace(landing: Landing, tmp_path: Path) -> None:
    options = json_folder(tmp_path / "in", fixture.ROWS[:2])
    (first,) = fetch(landing, **options)
    os.utime(tmp_path / "in" / "rows.jsonl", (1, 1))
    assert fetch(landing, **options) == [first]
    json_folder(tmp_path / "in", fixture.ROWS[:3])
    (second,) = fetch(landing, **options)
    assert (second.files[0].rows, second.delivery_id != first.delivery_id) == (3, True)
    assert landing.chosen("gcp") == [second]


def test_an_s3_prefix_is_read_once_as_long_as_nothing_changes(landing: Landing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aws_environment(monkeypatch)
    fixture.write(tmp_path / "in")
    with s3_server() as endpoint:
        client = s3_client(endpoint)
        client.create_bucket(Bucket="gcp-billing-export")
        for path in sorted((tmp_path / "in").iterdir()):
            client.upload_file(str(path), "gcp-billing-export", f"nightly/{path.name}")
        options = {"location": "s3://gcp-billing-export/nightly", "endpoint_url": endpoint}
        landed = fetch(landing, **options)
        assert raw_rows(landed) == raw_rows(fetch(Landing(tmp_path / "other"), location=str(tmp_path / "in")))
        monkeypatch.setattr(S3Store, "download", lambda *_: pytest.fail("downloaded again"))
        assert fetch(landing, **options) == landed


def test_files_keep_their_row_order_and_same_bytes_give_the_same_delivery(landing: Landing, tmp_path: Path) -> None:
    rows = [fixture.row(cost=float(n % 7), sku={"id": str(n), "description": None}) for n in range(500)]
    options = json_folder(tmp_path / "in", rows)
    (one,), (two,) = fetch(landing, **options), fetch(Landing(tmp_path / "other"), **options)
    assert one.delivery_id == two.delivery_id
    skus = duckdb.connect().execute("select sku_id from read_parquet(?)", [str(one.files[0].path)]).fetchall()
    assert skus == [(str(n),) for n in range(500)]


def line(**values: Any) -> str:
    return json.dumps(fixture.spelled(fixture.row(**{"cost": 1.0, **values}), fixture.SCHEMA, False))


@pytest.mark.parametrize(
    ("cost", "what"),
    [
        ("null", "cost is NULL"),
        ("NaN", "cost = NaN"),
        ("Infinity", "cost = "),
        ('"NaN"', "cost = NaN"),
        ('"1,234.5"', "cost = 1,234.5"),
        ('"12 USD"', "cost = 12 USD"),
        ('""', "cost = "),
        ('{"amount":1}', "cost = "),
    ],
)
def test_a_cost_that_cannot_be_read_is_refused(landing: Landing, tmp_path: Path, cost: str, what: str) -> None:
    bad = line(cost=424242.0).replace('"cost": 424242.0', f'"cost": {cost}')
    with pytest.raises(DeliveryRefused) as caught:
        fetch(landing, **json_folder(tmp_path / "in", [line(), bad, line()]))
    assert caught.value.what.startswith(f"money that cannot be read in 1 row(s): {what}")
    assert "rows.jsonl, row 2 (" in caught.value.where and caught.value.remedy
    assert landing.chosen("gcp") == []


@pytest.mark.parametrize(("amount", "what"), [("null", "NULL"), ('"ten"', "ten"), ("NaN", "NaN")])
def test_a_credit_that_cannot_be_read_is_refused(landing: Landing, tmp_path: Path, amount: str, what: str) -> None:
    credits = [fixture.credit("PROMOTION", "a", -1.0), fixture.credit("PROMOTION", "b", 424242.0)]
    bad = line(credits=credits).replace("424242.0", amount)
    with pytest.raises(DeliveryRefused, match=f"credits.amount = {what}"):
        fetch(landing, **json_folder(tmp_path / "in", [bad]))


@pytest.mark.parametrize("cost", [math.nan, math.inf, -math.inf, None])
def test_a_parquet_cost_that_is_no_number_is_refused(landing: Landing, tmp_path: Path, cost: float | None) -> None:
    fixture.write_parquet(tmp_path / "a.parquet", [fixture.row(cost=1.0), fixture.row(cost=cost)])
    with pytest.raises(DeliveryRefused, match="money that cannot be read in 1 row") as caught:
        fetch(landing, location=str(tmp_path / "a.parquet"))
    assert "a.parquet, row 2" in caught.value.where


def test_a_table_with_a_null_cost_is_refused_and_the_pointer_stays(emulator: Emulator, landing: Landing) -> None:
    table = new_table(emulator, fixture.ROWS)
    before = fetch(landing, **of_table(emulator, table))
    emulator.insert(table, fixture.as_inserted([fixture.row(cost=None)]))
    with pytest.raises(DeliveryRefused, match="cost is NULL") as caught:
        fetch(landing, **of_table(emulator, table))
    assert f"{table}, export day 2026-10-05" in caught.value.where
    assert landing.chosen("gcp") == sorted(before, key=lambda d: d.period)


def test_a_broken_json_line_is_named(landing: Landing, tmp_path: Path) -> None:
    for broken in (line()[:-20], "[" + line() + "]", line() + line()):
        with pytest.raises(DeliveryRefused, match="broken JSON line") as caught:
            fetch(landing, **json_folder(tmp_path / "in", [line(), line(), broken, line()]))
        assert caught.value.where.endswith("rows.jsonl, line 3")
    with pytest.raises(DeliveryRefused, match="unreadable json file"):
        fetch(landing, **json_folder(tmp_path / "in", [line(), line().replace('"labels": []', '"labels": {"a": "b"}')]))
    assert landing.chosen("gcp") == []


@pytest.mark.parametrize("cut", [1, 4, 9, 40, 200])
def test_a_truncated_gzip_is_refused(landing: Landing, tmp_path: Path, cut: int) -> None:
    (tmp_path / "a.json.gz").write_bytes(gzip.compress((line() + "\n").encode())[:-cut])
    with pytest.raises(DeliveryRefused, match="truncated gzip") as caught:
        fetch(landing, location=str(tmp_path / "a.json.gz"))
    assert "a.json.gz" in caught.value.where


def test_files_that_cannot_be_what_they_say(landing: Landing, tmp_path: Path) -> None:
    fixture.write_parquet(tmp_path / "whole", fixture.ROWS)
    cases = {
        "cut.parquet": (tmp_path / "whole").read_bytes()[:-100],
        "not.json.gz": b'{"cost": 1}\n',
        "rows.avro": b"Obj\x01",
        "standard.csv": b"billing_account_id,cost\na,1\n",
    }
    for name, content in cases.items():
        folder = tmp_path / name.replace(".", "-")
        folder.mkdir()
        (folder / name).write_bytes(content)
        with pytest.raises(DeliveryRefused) as caught:
            fetch(landing, location=str(folder))
        assert name in str(caught.value) and caught.value.remedy
    assert landing.chosen("gcp") == []


def test_a_copy_of_a_file_is_refused_before_it_counts(landing: Landing, tmp_path: Path) -> None:
    json_folder(tmp_path / "in", fixture.ROWS)
    json_folder(tmp_path / "in", fixture.ROWS, "rows-again.jsonl")
    with pytest.raises(DeliveryRefused, match="the same bytes as rows-again.jsonl"):
        fetch(landing, location=str(tmp_path / "in"))
    assert sum(map(Decimal, column(landing.chosen("gcp"), "cost"))) == Decimal("64.114517333333332")


def test_marker_files_are_passed_over_and_an_empty_file_has_no_rows(landing: Landing, tmp_path: Path) -> None:
    options = json_folder(tmp_path / "in", [], "empty.json")
    (tmp_path / "in" / "_SUCCESS").touch()
    (delivery,) = fetch(landing, **options)
    assert (delivery.files[0].rows, delivery.covers, delivery.finality) == (0, None, "provisional")


def test_a_key_with_two_values_keeps_both_and_is_counted(landing: Landing, tmp_path: Path) -> None:
    labels = [{"key": "team", "value": "b"}, {"key": "Team", "value": "c"}, {"key": "team", "value": "a"}, {"key": "x", "value": None}]
    rows = [fixture.row(cost=1.0), fixture.row(cost=2.0, labels=labels), fixture.row(cost=3.0, tags=[labels[0], labels[0]])]
    (delivery,) = fetch(landing, **json_folder(tmp_path / "in", rows))
    assert sorted(column([delivery], "labels")) == ['{"Team":"c","team":["a","b"],"x":null}', "{}", "{}"]
    assert sorted(column([delivery], "tags")) == ['{"team":"b"}', "{}", "{}"]
    where = f"{tmp_path / 'in'}/rows.jsonl"
    assert list(delivery.rejected) == [
        {
            "reason": "label key repeated with different values: all values kept as an array",
            "rows": 1,
            "example": {"file": where, "row": 2},
        }
    ]


def test_rows_without_usable_time_are_kept_and_counted(landing: Landing, tmp_path: Path) -> None:
    rows = [
        line(),
        line(usage_start_time="yesterday", invoice={"month": "202609", "publisher_type": None}),
        line(usage_start_time=None, invoice={"month": "202608", "publisher_type": None}),
    ]
    (delivery,) = fetch(landing, **json_folder(tmp_path / "in", rows))
    assert delivery.covers == (dt.date(2026, 8, 1), dt.date(2026, 10, 5))
    assert [(r["reason"], r["rows"], r["example"]["row"]) for r in delivery.rejected] == [
        ("usage_start_time unreadable: kept without it", 1, 2),
        ("usage_start_time missing: covers the first day of invoice.month", 1, 3),
    ]
    assert column([delivery], "cost") == ["1", "1", "1"]


@pytest.mark.parametrize(
    ("month", "exported", "finality"),
    [
        ("202610", "2026-11-10T23:59:59Z", "provisional"),
        ("202610", "2026-11-11T00:00:00Z", "final"),
        ("2026", "2027-01-01T00:00:00Z", "provisional"),
    ],
)
def test_finality_is_ten_days_after_the_invoice_month(landing: Landing, tmp_path: Path, month: str, exported: str, finality: str) -> None:
    rows = [line(invoice={"month": "202609"}), line(invoice={"month": month}, export_time=exported)]
    assert [d.finality for d in fetch(landing, **json_folder(tmp_path / "in", rows))] == [finality]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.7566668E9", "2025-08-31 19:00:00"),
        ("1756666800123", "2025-08-31 19:00:00.123"),
        ("2025-08-31 19:00:00 UTC", "2025-08-31 19:00:00"),
        ("2025-08-31T19:00:00.5Z", "2025-08-31 19:00:00.5"),
        ("2025-08-31T21:00:00+02:00", "2025-08-31 19:00:00"),
        ("2025-08-31 19:00:00", "2025-08-31 19:00:00"),
    ],
)
def test_every_spelling_of_a_time(landing: Landing, tmp_path: Path, text: str, expected: str) -> None:
    landed = fetch(landing, **json_folder(tmp_path / "in", [line(usage_start_time=text)]))
    assert column(landed, "usage_start_time") == [dt.datetime.fromisoformat(expected)]


def test_flat_csv_lands_as_the_nested_rows_do(landing: Landing, tmp_path: Path) -> None:
    header = "cost,currency,invoice.month,sku.id,project.labels,usage_start_time,export_time,credits,labels"
    body = (
        "5.28e-04,USD,202610,A,[],2026-10-05 10:00:00+00:00,2026-10-05 18:00:00+00:00,"
        "\"[{'name': 'n', 'amount': -5e-06, 'full_name': None, 'id': 'i', 'type': 'PROMOTION'}]\","
        '"[{""key"":""k"",""value"":""v""}]"'
    )
    (tmp_path / "flat.csv").write_text(f"{header}\n{body}\n")
    landed = fetch(landing, location=str(tmp_path / "flat.csv"))
    assert column(landed, "cost") == ["0.000528"]
    assert column(landed, "credits") == ['[{"id":"i","full_name":null,"type":"PROMOTION","name":"n","amount":"-0.000005"}]']
    assert (column(landed, "labels"), column(landed, "project_labels")) == (['{"k":"v"}'], ["{}"])
    spoken = body.replace('[{""key"":""k"",""value"":""v""}]', "[{'key': 'k', 'value': 'v', 'inherited': True, 'namespace': None}]")
    (tmp_path / "flat.csv").write_text(f"{header}\n{spoken}\n")
    assert column(fetch(landing, location=str(tmp_path / "flat.csv")), "labels") == ['{"k":"v"}']
    (tmp_path / "flat.csv").write_text(f"{header}\n{body.replace(chr(39) + 'n' + chr(39), chr(39) + 'it' + chr(39) + 's' + chr(39))}\n")
    with pytest.raises(DeliveryRefused, match="unreadable csv"):
        fetch(landing, location=str(tmp_path / "flat.csv"))


@pytest.mark.skipif("APPORTION_REAL_DATA" not in os.environ, reason="APPORTION_REAL_DATA does not name a folder of real exports")
def test_real_flat_exports(landing: Landing) -> None:
    landed = fetch(landing, location=os.path.join(os.environ["APPORTION_REAL_DATA"], "gcp_flat"))
    assert [(d.files[0].rows, d.covers) for d in landed] == [
        (25, (dt.date(2020, 11, 8), dt.date(2020, 11, 11))),
        (9, (dt.date(2022, 8, 1), dt.date(2022, 8, 1))),
    ]
    assert [sum(map(Decimal, column([d], "cost"))) for d in landed] == [Decimal("0.000032"), Decimal("0.000012")]


# --- canonical money


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    with gcp_rows.connect(tmp_path_factory.mktemp("engine")) as connection:
        yield connection


def canonical(connection: duckdb.DuckDBPyConnection, texts: list[str]) -> list[str | None]:
    rows = connection.execute("select money_text(t) from (select unnest(?::varchar[]) t)", [texts]).fetchall()
    return [row[0] for row in rows]


def test_canonical_money_by_hand(engine: duckdb.DuckDBPyConnection) -> None:
    expected = {
        "5.28E-4": "0.000528", "0.000528000": "0.000528", "0.000528": "0.000528", "-0": "0", "-0.0": "0", "0E-9": "0", "3.0": "3",
        "+3": "3",
        "1e3": "1000", ".5": "0.5", "5.": "5", "007": "7", "-00.50": "-0.5", "12345678901.123456789": "12345678901.123456789", " 5 ": "5",
        "-1.5E+2": "-150", "NaN": None, "inf": None, "": None, "1,5": None, "0x10": None, "1e9999": None, "1_0": None, "--1": None,
    }  # fmt: skip
    assert canonical(engine, list(expected)) == list(expected.values())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=200))
def test_canonical_money_is_the_shortest_decimal_of_a_double(engine: duckdb.DuckDBPyConnection, values: list[float]) -> None:
    python = canonical(engine, [repr(v) for v in values])
    java = canonical(engine, [f"{Decimal(repr(v)):E}" for v in values])
    own = [r[0] for r in engine.execute("select money_text(v::varchar) from (select unnest(?::double[]) v)", [values]).fetchall()]
    assert python == java == own
    for text, value in zip(own, values, strict=True):
        assert Decimal(text) == Decimal(repr(value)) and "e" not in text.lower()
