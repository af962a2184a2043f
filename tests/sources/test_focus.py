"""FOCUS files: every version to the same facts, whole deliveries only, money readable or refused."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import ValidationError

from pipelines import dbt, warehouse
from pipelines.checks import run_door
from pipelines.errors import DeliveryRefused, GateError
from pipelines.ingestion.engine import connect
from pipelines.ingestion.focus_layouts import is_final
from pipelines.ingestion.focus_rows import key_value_sql
from pipelines.ingestion.focus_schema import ROWS, recognise, snake
from pipelines.landing import Landing
from pipelines.policy import load_policy
from pipelines.settings import DEFAULT_POLICY, Settings, SettingsFile
from pipelines.source import Delivery, Window
from pipelines.sources.focus import Focus
from tests.servers import aws_environment, broken_s3
from tests.sources import reading
from tests.sources.fixtures.focus import AWS, V10, V12, VERSIONS, csv_bytes, csv_gz, day, export_objects, parquet, row

OCTOBER = dt.datetime(2026, 10, 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def put(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def fetch(folder: Path, raw: str = "raw", **entry: Any) -> list[Delivery]:
    source = reading.source("focus", location=str(folder), **entry)
    return list(source.fetch(Window(reading.DAY, reading.DAY), Landing(folder.parent / raw)))


def counting(folder: Path, raw: str = "raw") -> list[Delivery]:
    """Every delivery that counts."""
    return Landing(folder.parent / raw).chosen("s")


def read(deliveries: list[Delivery], *columns: str) -> list[tuple[Any, ...]]:
    """Rows as the raw view shows them, in file order; money as decimals, JSON parsed."""
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        warehouse.write_raw_relations(con, deliveries)
        found = con.execute(f'select {", ".join(columns)} from raw."focus__rows" order by _file, _row').fetchall()  # noqa: S608
    kinds = [ROWS.column(c).type for c in columns]
    return [tuple(_value(v, k) for v, k in zip(r, kinds, strict=True)) for r in found]


def _value(value: Any, kind: str) -> Any:
    if value is None:
        return None
    return Decimal(value) if kind == "MONEY" else json.loads(value) if kind == "JSON" else value


def costs(deliveries: list[Delivery]) -> list[Decimal]:
    return [cost for (cost,) in read(deliveries, "billed_cost")]


# --- columns -----------------------------------------------------------------------------------------------------------------------


def test_names_become_snake_case() -> None:
    assert [snake(n) for n in ("BilledCost", "SkuPriceId", "x_ServiceCode", "billed_cost", "PricingCurrencyListUnitPrice")] == [
        "billed_cost", "sku_price_id", "x_service_code", "billed_cost", "pricing_currency_list_unit_price",
    ]  # fmt: skip


def test_the_raw_table_has_every_column_of_every_version() -> None:
    names = {c.name for c in ROWS.columns}
    assert {snake(n) for columns in VERSIONS.values() for n in columns} | {snake(n) for n in AWS} <= names


@pytest.mark.parametrize("spell", [str, str.lower, str.upper, snake], ids=["as is", "lower", "upper", "snake_case"])
def test_columns_are_found_in_any_case(folder: Path, spell: Any) -> None:
    header, _, rest = csv_bytes(day()).partition(b"\n")
    put(folder, {"a.csv": ",".join(map(spell, header.decode().split(","))).encode() + b"\n" + rest})
    (delivery,) = fetch(folder)
    assert read([delivery], "billed_cost", "sub_account_id")[0] == (Decimal("32.7726"), "444455556666")
    assert delivery.files[0].origin["ignored_columns"] == []


def test_other_columns_are_ignored_and_recorded(folder: Path) -> None:
    put(folder, {"a.csv": csv_bytes([row(x_Region="r", x_ServiceCode="AmazonEC2")], (*V10, "x_Region", "x_ServiceCode", "Unheard"))})
    (delivery,) = fetch(folder, focus_version="1.0")
    assert delivery.files[0].origin["ignored_columns"] == ["x_Region", "Unheard"]
    assert delivery.files[0].origin["focus_version"] == "1.0"
    assert read([delivery], "x_service_code") == [("AmazonEC2",)]


@pytest.mark.parametrize(
    "name", ["BilledCost", "EffectiveCost", "BillingCurrency", "ChargeCategory", "ChargePeriodStart", "BillingPeriodStart"]
)
@pytest.mark.parametrize("write", [csv_gz, parquet], ids=["csv.gz", "parquet"])
def test_a_required_column_that_is_missing_is_named(folder: Path, name: str, write: Any) -> None:
    put(folder, {f"a.{'parquet' if write is parquet else 'csv.gz'}": write(day(), [c for c in V10 if c != name])})
    with pytest.raises(DeliveryRefused, match=f"column missing: {name}\n"):
        fetch(folder)
    assert counting(folder) == []


def test_two_columns_with_one_meaning_are_refused() -> None:
    with pytest.raises(DeliveryRefused, match="two columns are BilledCost: 'BilledCost' and 'billed_cost'"):
        recognise((*V10, "billed_cost"), "a.csv")


# --- formats -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_lands_to_the_same_rows(folder: Path, version: str) -> None:
    columns = ("billed_cost", "effective_cost", "list_cost", "contracted_cost", "charge_category", "commitment_discount_status",
               "charge_period_start", "billing_period_start", "resource_id", "tags", "consumed_quantity")  # fmt: skip
    put(folder, {"a.csv": csv_bytes(day(), VERSIONS[version])})
    found = read(fetch(folder), *columns)
    ten = dt.datetime(2026, 10, 5, 10)
    assert found[0] == (
        Decimal("32.7726"), Decimal("32.7726"), Decimal("32.7726"), Decimal("32.7726"), "Usage", None, ten, OCTOBER,
        "i-030791dc5a37cd257", {"team": "vision"}, Decimal(1),
    )  # fmt: skip
    assert [r[0] for r in found] == [Decimal(x) for x in ("32.7726", "0", "0", "10", "4.1", "-3")]
    assert [r[1] for r in found] == [Decimal(x) for x in ("32.7726", "9.25", "0.75", "0", "4.1", "-3")]
    assert found[4][9] is None


@pytest.mark.parametrize("tags", ["map", "struct", "list", "json"])
def test_parquet_lands_to_the_same_bytes_of_rows_as_csv(folder: Path, tags: str) -> None:
    columns = [c.name for c in ROWS.columns if c.type != "MONEY"]
    put(folder / "csv", {"a.csv.gz": csv_gz(day())})
    put(folder / "parquet", {"a.parquet": parquet(day(), tags=tags)})
    one, two = fetch(folder / "csv", "csv"), fetch(folder / "parquet", "parquet")
    assert read(one, *columns) == read(two, *columns)
    money = [c.name for c in ROWS.columns if c.type == "MONEY"]
    assert read(one, *money) == read(two, *money)  # decimals: 10 and 10.0 are one amount


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("VARCHAR", "{\"a\": \"1\", \"b\": null}", {"a": "1", "b": None}),
        ("VARCHAR", "[{\"key\": \"a\", \"value\": \"1\"}]", {"a": "1"}),
        ("VARCHAR", "\"a\": \"1\",\"b\": \"x, y\"", {"a": "1", "b": "x, y"}),
        ("VARCHAR", "[]", {}),
        ("VARCHAR", "", None),
        ("VARCHAR", "team=vision", None),
        ("VARCHAR", "[1, 2]", None),
        ("MAP(VARCHAR, VARCHAR)", "MAP {'a': '1', 'quote\"d': 'x'}", {"a": "1", 'quote"d': "x"}),
        ("STRUCT(a VARCHAR, b VARCHAR)", "{'a': '1', 'b': NULL}", {"a": "1", "b": None}),
        ("STRUCT(\"key\" VARCHAR, \"value\" VARCHAR)[]", "[{'key': 'a', 'value': '1'}, {'key': 'b', 'value': NULL}]", {"a": "1", "b": None}),
    ],
)  # fmt: skip
def test_tags_become_one_json_object(tmp_path: Path, kind: str, value: str, expected: Any) -> None:
    with connect(tmp_path) as con:
        given = "?" if kind == "VARCHAR" else f"CAST({value} AS {kind})"
        con.execute(f'CREATE TABLE t AS SELECT {given} AS "Tags"', [value] if kind == "VARCHAR" else [])  # noqa: S608
        text = con.execute(f"SELECT {key_value_sql('Tags', kind)} FROM t").fetchall()[0][0]  # noqa: S608
    assert (None if text is None else json.loads(text)) == expected


def test_what_cannot_be_read_is_counted(folder: Path) -> None:
    rows = [row(), row(ChargePeriodStart="4/1/25"), row(Tags="team=vision"), row(ChargePeriodStart="")]
    put(folder, {"a.csv": csv_bytes(rows)})
    (delivery,) = fetch(folder)
    assert reading.reasons(delivery) == {
        "ChargePeriodStart cannot be read: kept as NULL": (1, 2),
        "Tags cannot be read: kept as NULL": (1, 3),
    }
    # a charge without a period lies on the first day of its billing period
    assert delivery.covers == (dt.date(2026, 10, 1), dt.date(2026, 10, 5))


def test_a_long_charge_covers_its_first_day(folder: Path) -> None:
    put(folder, {"a.csv": csv_bytes([row(ChargePeriodStart="2026-10-02T00:00:00Z", ChargePeriodEnd="2029-10-02T00:00:00Z")])})
    (delivery,) = fetch(folder)
    assert delivery.covers == (dt.date(2026, 10, 2), dt.date(2026, 10, 2))


# --- bad input ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"BilledCost": "1,234.5"}, r"unreadable money in billed_cost: '1,234.5'"),
        ({"BilledCost": ""}, "missing money in billed_cost"),
        ({"EffectiveCost": ""}, "missing money in effective_cost"),
        ({"EffectiveCost": "NaN"}, "unreadable money in effective_cost"),
        ({"ListCost": "inf"}, "unreadable money in list_cost"),
        ({"ConsumedQuantity": "many"}, "unreadable quantity"),
        ({"BillingPeriodStart": "October"}, "unreadable BillingPeriodStart"),
        ({"BillingPeriodStart": ""}, "BillingPeriodStart is empty"),
    ],
)
def test_what_bears_money_is_read_or_refused_with_its_row(folder: Path, values: dict[str, str], message: str) -> None:
    put(folder, {"a.csv": csv_bytes([row(), row(**values)])})
    with pytest.raises(DeliveryRefused, match=message) as caught:
        fetch(folder)
    assert str(caught.value.where).endswith("a.csv, row 2")
    assert counting(folder) == []


def test_list_and_contracted_cost_may_be_missing(folder: Path) -> None:
    put(folder, {"a.csv": csv_bytes([row(ListCost="", ContractedCost="")])})
    assert read(fetch(folder), "billed_cost", "list_cost", "contracted_cost") == [(Decimal("32.7726"), None, None)]


def test_blanks_around_money_are_no_error(folder: Path) -> None:
    put(folder, {"a.csv": csv_bytes([row(EffectiveCost="0.00 ")])})  # the specification's own examples have them
    assert read(fetch(folder), "effective_cost") == [(Decimal(0),)]


def test_byte_seconds_are_a_quantity(folder: Path) -> None:
    put(folder, {"a.csv": csv_bytes([row(ConsumedQuantity="2764800000000000000")])})
    assert read(fetch(folder), "consumed_quantity") == [(Decimal("2764800000000000000"),)]


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_truncated_files_are_refused(folder: Path, cut: float) -> None:
    for name, content in {"a.csv.gz": csv_gz(day()), "b.parquet": parquet(day())}.items():
        put(folder, {name: content[: int(len(content) * cut)]})
        with pytest.raises(DeliveryRefused):
            fetch(folder)
        (folder / name).unlink()


def test_one_broken_file_does_not_hide_the_others(folder: Path) -> None:
    put(folder, {"a.csv": csv_bytes([row(BilledCost="x")]), "b.csv": csv_bytes(day()), "c.csv": b""})
    with pytest.raises(DeliveryRefused, match="and 1 more refused: .*c.csv"):
        fetch(folder)
    assert [d.period for d in counting(folder)] == ["b.csv"]


def test_a_folder_without_a_bill_is_refused(folder: Path) -> None:
    put(folder, {"notes.txt": b"x"})
    with pytest.raises(DeliveryRefused, match="none of 1 objects is one this source reads"):
        fetch(folder)


# --- layout files ------------------------------------------------------------------------------------------------------------------


def test_each_file_is_a_delivery_and_a_changed_one_replaces_itself(folder: Path) -> None:
    put(folder, {"05.csv": csv_bytes([row(BilledCost="1")]), "06.csv": csv_bytes([row(BilledCost="2")])})
    fetch(folder)
    put(folder, {"06.csv": csv_bytes([row(BilledCost="3")])})
    assert sorted(costs(fetch(folder))) == [1, 3]
    assert sorted(costs(counting(folder))) == [1, 3]


def test_a_folder_named_like_a_column_does_not_become_one(folder: Path) -> None:
    put(folder, {"sub_account_id=1/a.csv": csv_bytes([row()])})
    assert read(fetch(folder), "sub_account_id") == [("444455556666",)]


def test_the_same_bytes_twice_are_refused(folder: Path) -> None:
    put(folder, {"a.csv": csv_bytes(day())})
    fetch(folder)
    put(folder, {"copy/a.csv": csv_bytes(day())})
    with pytest.raises(DeliveryRefused, match="the same bytes as a.csv, which counts already"):
        fetch(folder)
    assert [d.period for d in counting(folder)] == ["a.csv"]
    (folder / "a.csv").unlink()  # renamed: what was landed under the old name still counts
    with pytest.raises(DeliveryRefused, match="the same bytes as a.csv"):
        fetch(folder)


def test_files_without_rows_are_no_copies_of_each_other(folder: Path) -> None:
    put(folder, {"a.csv": csv_bytes([]), "b.csv": csv_bytes([])})
    assert [(d.covers, d.finality) for d in fetch(folder)] == [(None, "provisional")] * 2


def test_another_layout_never_adds_to_what_was_landed(folder: Path) -> None:
    put(folder, {"2026-10/a.csv": csv_bytes(day())})
    fetch(folder)
    with pytest.raises(DeliveryRefused, match="landed with layout files, and its deliveries still count"):
        fetch(folder, layout="folders")


# --- layout folders ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2026-10", "2026-10-run2"),
        ("20261001-20261031", "20261001-20261031b"),
        ("billing_period=2026-10/2026-10-06T04:00:00Z", "billing_period=2026-10/2026-10-07T04:00:00Z"),
        ("2026-10-06 delivery", "2026-10-07 delivery"),
    ],
)
def test_the_folder_that_sorts_last_counts_as_a_whole(folder: Path, first: str, second: str) -> None:
    put(folder, {f"{first}/1.csv": csv_bytes([row(BilledCost="1")]), f"{first}/2.csv": csv_bytes([row(BilledCost="2")])})
    put(folder, {"2026-09/a.csv": csv_bytes([row(BilledCost="9", BillingPeriodStart="2026-09-01T00:00:00Z")])})
    assert sorted(costs(fetch(folder, layout="folders"))) == [1, 2, 9]
    put(folder, {f"{second}/1.csv": csv_bytes([row(BilledCost="5")])})
    found = fetch(folder, layout="folders")
    assert [d.period for d in found] == ["2026-09", "2026-10"]
    assert sorted(costs(counting(folder))) == [5, 9]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["a.csv", "2026-10/a.csv"], "a file lies beside the folders: a.csv"),
        (["october/a.csv"], "folder 'october' does not say its billing period"),
        (["2026-13/a.csv"], "does not say its billing period"),
        (["billing_period=2026-10/a.csv", "billing_period=2026-10/x/b.csv"], "files both in a folder and in folders below it"),
        (["2026-10/run1/a.csv", "2026-10/run2/b.csv"], "has files in several folders"),
        (["2026-10/a.csv", "2026-10/b.csv"], "the same bytes as 2026-10/a.csv"),
        (["2026-09/a.csv"], "rows of billing period 2026-10 in a delivery of 2026-09"),
    ],
)
def test_folders_that_cannot_be_told_are_refused(folder: Path, files: list[str], message: str) -> None:
    put(folder, dict.fromkeys(files, csv_bytes(day())))
    with pytest.raises(DeliveryRefused, match=message):
        fetch(folder, layout="folders")
    assert counting(folder) == []


def test_partitions_in_a_folder_are_its_parts(folder: Path) -> None:
    put(folder, {"2026-10/part=0/a.csv": csv_bytes([row(BilledCost="1")]), "2026-10/part=1/a.csv": csv_bytes([row(BilledCost="2")])})
    (delivery,) = fetch(folder, layout="folders")
    assert sorted(costs([delivery])) == [1, 2]


# --- layout aws_data_exports -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("execution", [None, "2026-10-06T03:12:00.123Z-6b622448-0001"])
def test_an_aws_export_is_read_by_its_manifest(folder: Path, execution: str | None) -> None:
    put(folder, export_objects(day(), "focus", execution=execution))
    put(folder, {"focus/data/billing_period=2026-10/stale-00002.csv.gz": csv_gz(day())})
    (delivery,) = fetch(folder, layout="aws_data_exports", export="focus")
    assert delivery.period == "2026-10" and len(delivery.files) == 1
    assert sum(costs([delivery])) == Decimal("43.8726")
    assert delivery.as_of == (execution and "2026-10-06T03:12:00.123Z")


def test_the_newest_execution_replaces_the_period(folder: Path) -> None:
    for number, cost in enumerate(("1", "2"), 6):
        put(folder, export_objects([row(BilledCost=cost)], "focus", execution=f"2026-10-0{number}T03:12:00Z-e{number}"))
    assert costs(fetch(folder, layout="aws_data_exports", export="focus")) == [2]
    assert costs(counting(folder)) == [2]


def test_an_aws_export_in_a_bucket(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aws_environment(monkeypatch)
    with broken_s3() as bucket:
        for key, content in export_objects(day(), "focus").items():
            bucket.put(f"exports/{key}", content)

        entry = {"location": "s3://bills/exports", "endpoint_url": bucket.endpoint_url, "layout": "aws_data_exports", "export": "focus"}
        source, landing = reading.source("focus", **entry), Landing(folder.parent / "raw")
        (one,) = source.fetch(Window(reading.DAY, reading.DAY), landing)
        downloads = bucket.gets(".csv.gz")
        (two,) = source.fetch(Window(reading.DAY, reading.DAY), landing)
        assert one == two and downloads == bucket.gets(".csv.gz") == 1
        # a file younger than its manifest belongs to a delivery that is under way
        bucket.put("exports/focus/data/billing_period=2026-10/focus-00001.csv.gz", csv_gz([row()], (*V10, *AWS)))
        with pytest.raises(DeliveryRefused, match="younger than its manifest"):
            list(source.fetch(Window(reading.DAY, reading.DAY), landing))
    assert landing.current("s", "2026-10") == one


# --- options and finality ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "entry", [{"layout": "aws_data_exports"}, {"export": "focus"}, {"focus_version": "2.0"}, {"provider": "Amazon Web"}]
)
def test_options_that_contradict_are_refused(folder: Path, entry: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        reading.source("focus", location=str(folder), **entry)


def test_the_provider_option_stands_on_every_row_and_lands_anew(folder: Path) -> None:
    put(folder, {"a.csv": csv_bytes(day())})
    assert set(read(fetch(folder), "provider_option")) == {(None,)}
    assert set(read(fetch(folder, provider="coreweave"), "provider_option")) == {("coreweave",)}


def test_a_bill_is_final_when_every_row_is_invoiced(folder: Path) -> None:
    put(folder, {"a.csv": csv_bytes([row(InvoiceId="INV-1"), row(InvoiceId="INV-1", BilledCost="1")], V12)})
    put(folder, {"b.csv": csv_bytes([row(InvoiceId="INV-1"), row()], V12), "c.csv": csv_bytes([row()])})
    assert [d.finality for d in fetch(folder)] == ["final", "provisional", "provisional"]


def test_a_bill_is_final_by_its_own_age_only() -> None:
    november = dt.datetime(2026, 11, 1)
    assert is_final(1, 1, november, "2026-11-16T00:00:00+00:00", 15)
    assert is_final(1, 1, november, "2026-11-16T00:00:00.5Z", 15)
    assert not is_final(1, 1, november, "2026-11-15T23:59:59+00:00", 15)
    assert not is_final(1, 1, november, None, 15)  # a copy's file times mean nothing
    assert not is_final(1, 1, november, "2027-11-15T23:59:59+00:00", None)
    assert not is_final(1, 1, None, "2027-11-15T23:59:59+00:00", 15)
    assert not is_final(0, 0, november, "2027-01-01T00:00:00+00:00", 0)


def test_a_folder_may_say_when_it_was_made(folder: Path) -> None:
    put(folder, {"billing_period=2026-10/2026-11-20T04:00:00Z/a.csv": csv_bytes(day())})
    assert [(d.finality, d.as_of) for d in fetch(folder, layout="folders", final_after_days=15)] == [("final", "2026-11-20T04:00:00+00:00")]
    shutil.rmtree(folder.parent / "raw")
    assert [d.finality for d in fetch(folder, layout="folders", final_after_days=20)] == ["provisional"]


# --- facts and the door ------------------------------------------------------------------------------------------------------------


def warehouse_of(home: Path, deliveries: list[Delivery]) -> Settings:
    """A warehouse whose raw relations are these deliveries, before a night."""
    settings = Settings(SettingsFile(), home, None)
    with warehouse.connect(settings) as connection:
        warehouse.ensure_bookkeeping(connection)
        load_policy(DEFAULT_POLICY).write(connection)
        warehouse.replace_days(connection, "dirty_days", [reading.DAY])
        warehouse.write_raw_relations(connection, deliveries)
    return settings


def test_each_version_is_the_same_facts(tmp_path: Path) -> None:
    deliveries = []
    for version, columns in VERSIONS.items():
        put(tmp_path / version, {"a.csv": csv_bytes(day(), columns)})
        source = reading.source("focus", location=str(tmp_path / version)).config.model_copy(update={"name": version})
        deliveries += Focus(source).fetch(Window(reading.DAY, reading.DAY), Landing(tmp_path / "raw"))
    settings = warehouse_of(tmp_path / "home", deliveries)
    dbt.invoke(settings, ["run", "--select", "staging.focus"])
    with warehouse.connect(settings, read_only=True) as connection:
        facts = [
            connection.execute(
                "select * exclude (source, delivery_id, file_name) from staging.stg_focus__charges where source = ?"
                " order by row_number, line_item_type",
                [version],
            ).fetchall()
            for version in VERSIONS
        ]
        kinds = connection.execute(
            "select line_item_type, sum(billed_cost), sum(effective_cost), sum(list_cost) from staging.stg_focus__charges"
            " where source = '1.4' group by 1 order by 1"
        ).fetchall()
    assert facts[0] == facts[1] == facts[2] == facts[3] and len(facts[0]) == 9
    assert kinds == [
        ("CommitmentPurchase", 10, 0, 0),
        ("CommitmentTrueUp", 0, 0, 0),  # 10 - 9.25 - 0.75
        ("CoveredUsage", 0, Decimal("9.25"), 12),
        ("Credit", -3, -3, -3),
        ("Tax", Decimal("4.1"), Decimal("4.1"), Decimal("4.1")),
        ("UnusedCommitment", 0, Decimal("0.75"), 0),
        ("Usage", Decimal("32.7726"), Decimal("32.7726"), Decimal("32.7726")),
    ]


def test_the_door_refuses_an_unknown_category_by_name_and_tells_of_odd_costs(folder: Path, tmp_path: Path) -> None:
    put(folder, {"a.csv": csv_bytes([*day(), row(ChargeCategory="Barter", BilledCost="7"), row(BilledCost="3", EffectiveCost="2")])})
    deliveries = fetch(folder)
    report = run_door(warehouse_of(tmp_path / "home", deliveries), deliveries, Window(reading.DAY, reading.DAY))
    with pytest.raises(GateError, match="every charge category is one of the specification's.*Barter"):
        report.raise_for_critical()
    assert [r.column for r in report.critical] == ["charge_category"]
    assert [(r.column, r.unexpected_count) for r in report.warnings if r.suite == "raw.focus__rows"] == [("effective_cost", 1)]


def test_control_totals_are_of_what_is_billed(folder: Path) -> None:
    put(folder, {"a.csv": csv_bytes([*day(), row(BillingCurrency="EUR", SubAccountId="", BilledCost="0.1")])})
    (delivery,) = fetch(folder)
    assert [(c.currency, c.account_id, c.invoice_id, c.rows, c.amount, c.conversion_delta) for c in delivery.controls] == [
        ("EUR", "111122223333", None, 1, Decimal("0.1"), 0),
        ("USD", "444455556666", None, 6, Decimal("43.8726"), 0),
    ]
