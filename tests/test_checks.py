"""The gates: each planted defect is found, named and blocks as it should; a clean night passes; nothing passes by not looking."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from expectations import TableSuite, no_rows
from expectations.grains import GRAINS
from expectations.published import published_suites
from pipelines import checks
from pipelines.checks import CheckReport, run_door, run_exit, run_suites
from pipelines.errors import GateError
from pipelines.publish import publish
from pipelines.published_tables import published_tables
from pipelines.settings import Settings, SettingsFile
from pipelines.source import Delivery, LandedFile, Window, source_kinds
from tests import fake_warehouse
from tests.fake_warehouse import DAYS, IDENTITY, settings_for

REPOSITORY = Path(__file__).resolve().parent.parent
WINDOW = Window(DAYS[0], DAYS[2])


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The published tables in small, and every raw relation with a few good rows."""
    made = settings_for(tmp_path_factory.mktemp("template"))
    fake_warehouse.build(made)
    with duckdb.connect(str(made.warehouse)) as connection:
        connection.execute("create schema raw")
        connection.executemany("insert into ops.dirty_days values (?)", [(day,) for day in DAYS])
        for kind, source in source_kinds().items():
            for table in source.tables:
                columns = "".join(f", {column.name} {column.physical_type}" for column in table.columns)
                connection.execute(
                    f"create table raw.{kind}__{table.name} (_source varchar, _delivery_id varchar, _file varchar, _row bigint{columns})"
                )
        for relation, rows in RAW_ROWS.items():
            for number, row in enumerate(rows):
                add_raw(connection, relation, number, row)
    return made


@pytest.fixture
def settings(tmp_path: Path, template: Settings) -> Settings:
    made = settings_for(tmp_path / "home")
    made.warehouse.parent.mkdir(parents=True)
    shutil.copyfile(template.warehouse, made.warehouse)
    return made


BILL = {
    "line_item_unblended_cost": "5.28E-4",
    "line_item_usage_account_id": "111",
    "line_item_line_item_type": "Usage",
    "bill_billing_period_start_date": "2026-10-01",
    "line_item_currency_code": "USD",
}
RAW_ROWS: dict[str, list[dict[str, Any]]] = {
    "aws_cur__line_items": [BILL, {**BILL, "line_item_line_item_type": "Tax", "line_item_unblended_cost": "-0.1"}],
    "gcp_billing__rows": [{"cost": "1", "currency": "USD", "cost_type": "regular", "invoice_month": "202610"}],
    "dcgm__samples_wide": [{"sample_at": f"{day} 10:00:00", "hostname": "n1"} for day in DAYS[:2]],
    "dcgm__samples_long": [{"sample_at": f"{DAYS[2]} 10:00:00", "hostname": "n1", "metric": "DCGM_FI_DEV_GPU_UTIL"}],
    "nodes__nodes": [
        {"hostname": "n1", "resource_id": "i-1", "gpu_count": 8, "valid_to": "2026-10-02 00:00:00"},
        {"hostname": "N1", "resource_id": "i-2", "gpu_count": 0, "valid_from": "2026-10-02 00:00:00"},
    ],
    "workloads__intervals": [{"started_at": "2026-10-01 00:00:00", "ended_at": None}],
}


def add_raw(connection: duckdb.DuckDBPyConnection, relation: str, number: int, row: dict[str, Any]) -> None:
    kind = relation.split("__")[0]
    full = {"_source": kind, "_delivery_id": f"{kind}-1", "_file": f"{relation}.parquet", "_row": number, **row}
    connection.execute(f"insert into raw.{relation} ({', '.join(full)}) values ({', '.join('?' * len(full))})", list(full.values()))  # noqa: S608


def deliveries(*relations: str) -> list[Delivery]:
    """One delivery for each kind of ``relations`` that brought the rows above on all days."""
    found = []
    for kind in sorted({relation.split("__")[0] for relation in relations}):
        rows = {name.split("__")[1]: len(values) for name, values in RAW_ROWS.items() if name.startswith(f"{kind}__")}
        files = tuple(LandedFile(table, Path("x"), count) for table, count in rows.items())
        found.append(Delivery(kind, kind, "p", f"{kind}-1", "1", (DAYS[0], DAYS[2]), files))
    return found


def execute(settings: Settings, statement: str) -> None:
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute(statement)


def failures(report: CheckReport) -> list[str]:
    return [f"{result.severity}: {result}" for result in report.results if not result.success]


def exit_of(settings: Settings, table: str, days: list[dt.date] = DAYS) -> CheckReport:
    """The exit gate over one table."""
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        tables = published_tables(connection)
    return run_suites(settings, "exit", [s for s in published_suites(tables, days) if s.name == f"published.{table}"])


# a clean night


def test_a_clean_night_passes_both_gates_and_every_suite_has_looked(settings: Settings) -> None:
    door = run_door(settings, deliveries(*RAW_ROWS), WINDOW)
    assert failures(door) == []
    assert {result.suite for result in door.results} == {*(f"raw.{name}" for name in RAW_ROWS), "raw.dcgm"}
    door.raise_for_critical()
    leaving = run_exit(settings, set(DAYS))
    assert failures(leaving) == []
    assert {result.suite for result in leaving.results} == {f"published.{name}" for name in GRAINS}
    assert (leaving.gate, leaving.standing_release) == ("exit", None)
    leaving.raise_for_critical()
    execute(settings, "create table public_again as select 1 as n")  # nobody holds the file any more


def test_a_night_without_anything_to_do_passes(settings: Settings) -> None:
    execute(settings, "delete from ops.dirty_days; delete from raw.aws_cur__line_items")
    assert failures(run_door(settings, deliveries("aws_cur__line_items"), WINDOW)) == []
    assert failures(exit_of(settings, "fct_cost_allocation", [])) == []
    assert run_door(settings, [], WINDOW).results == ()


# the door

DOOR = {
    "unknown line item type": (
        "update raw.aws_cur__line_items set line_item_line_item_type = 'SurpriseFee', line_item_unblended_cost = '1234.5' where _row = 1",
        "critical: raw.aws_cur__line_items: every line item type is known (a new one has no agreed meaning yet); column line_item_line_item_type;"
        ' 1 unexpected; for example {"line_item_line_item_type": "SurpriseFee", "row_count": 1, "dollars": "1234.500000000000",'
        ' "_file": "aws_cur__line_items.parquet", "_row": 1}',
    ),
    "wrong currency": (
        "update raw.aws_cur__line_items set line_item_currency_code = 'EUR' where _row = 0",
        "critical: raw.aws_cur__line_items: the currency has a rate to US dollars (USD); add a source of kind currency_rates; column line_item_currency_code; 1 unexpected;"
        ' for example {"_file": "aws_cur__line_items.parquet", "_row": 0, "line_item_currency_code": "EUR"}',
    ),
    "cost that is no number": (
        "update raw.aws_cur__line_items set line_item_unblended_cost = 'NaN', pricing_public_on_demand_cost = '1,000' where _row = 1",
        "critical: raw.aws_cur__line_items: money and quantities are finite decimal numbers; column every MONEY column; 1 unexpected;"
        ' for example {"_file": "aws_cur__line_items.parquet", "_row": 1,'
        ' "unreadable": "line_item_unblended_cost=NaN; pricing_public_on_demand_cost=1,000"}',
    ),
    "missing account": (
        "update raw.aws_cur__line_items set line_item_usage_account_id = ''",
        "critical: raw.aws_cur__line_items: line_item_usage_account_id is filled; 2 unexpected;"
        ' for example {"_file": "aws_cur__line_items.parquet", "_row": 0}, {"_file": "aws_cur__line_items.parquet", "_row": 1}',
    ),
    "missing billing period": (
        "update raw.aws_cur__line_items set bill_billing_period_start_date = null where _row = 1",
        "critical: raw.aws_cur__line_items: expect_column_values_to_not_be_null; column bill_billing_period_start_date; 1 unexpected;"
        ' for example {"_file": "aws_cur__line_items.parquet", "_row": 1, "bill_billing_period_start_date": null}',
    ),
    "an empty relation": (
        "delete from raw.aws_cur__line_items",
        "critical: raw.aws_cur__line_items: every landed row of a delivery is read, and no other; 1 unexpected;"
        ' for example {"delivery_id": "aws_cur-1", "landed_rows": 2, "read_rows": 0}',
    ),
    "a delivery that does not count": (
        "insert into raw.gcp_billing__rows by name select * replace ('old' as _delivery_id) from raw.gcp_billing__rows",
        "critical: raw.gcp_billing__rows: every landed row of a delivery is read, and no other; 1 unexpected;"
        ' for example {"delivery_id": "old", "landed_rows": null, "read_rows": 1}',
    ),
    "unknown cost type": (
        "update raw.gcp_billing__rows set cost_type = '=cmd'",
        "critical: raw.gcp_billing__rows: expect_column_values_to_be_in_set; column cost_type; 1 unexpected;"
        ' for example {"_file": "gcp_billing__rows.parquet", "_row": 0, "cost_type": "=cmd"}',
    ),
    "unknown credit type": (
        """update raw.gcp_billing__rows set credits = '[{"type":"PROMOTION","amount":"-1"},{"type":"LOYALTY","amount":"-2.5"}]'""",
        "critical: raw.gcp_billing__rows: every credit type is known (a new one has no agreed meaning yet); column credits; 1 unexpected;"
        ' for example {"credit_type": "LOYALTY", "row_count": 1, "dollars": "-2.500000000000", "_file": "gcp_billing__rows.parquet", "_row": 0}',
    ),
    "unknown adjustment type": (
        "update raw.gcp_billing__rows set adjustment_info_type = 'APOLOGY'",
        "critical: raw.gcp_billing__rows: every adjustment type is known (a new one has no agreed meaning yet); column adjustment_info_type;"
        ' 1 unexpected; for example {"adjustment_info_type": "APOLOGY", "row_count": 1, "_file": "gcp_billing__rows.parquet", "_row": 0}',
    ),
    "two commitment models on one row": (
        """update raw.gcp_billing__rows set consumption_model_description = 'Compute Flexible CUDs 1 Year',
            credits = '[{"type":"COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE","amount":"-1"}]'""",
        "critical: raw.gcp_billing__rows: no row is priced with a commitment and credited for one too (two commitment models: the discount would"
        ' count twice); column consumption_model_id; 1 unexpected; for example {"_file": "gcp_billing__rows.parquet", "_row": 0,'
        ' "consumption_model_description": "Compute Flexible CUDs 1 Year",'
        ' "credits": "[{\\"type\\":\\"COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE\\",\\"amount\\":\\"-1\\"}]"}',
    ),
    "negative gpu_count": (
        "update raw.nodes__nodes set gpu_count = -1 where _row = 1",
        "critical: raw.nodes__nodes: gpu_count is not negative; 1 unexpected;"
        ' for example {"_file": "nodes__nodes.parquet", "_row": 1, "gpu_count": -1}',
    ),
    "two resources at a time": (
        "update raw.nodes__nodes set valid_from = '2026-10-01 23:00:00' where _row = 1",
        "warning: raw.nodes__nodes: a hostname means one resource at a time; 1 unexpected;"
        ' for example {"node": "n1", "resource": "i-1", "other_resource": "i-2", "_file": "nodes__nodes.parquet", "_row": 0}',
    ),
    "an end before the start": (
        "update raw.workloads__intervals set ended_at = '2026-09-30 00:00:00'",
        "warning: raw.workloads__intervals: nothing ends before it starts; column ended_at; 1 unexpected;"
        ' for example {"_file": "workloads__intervals.parquet", "_row": 0, "started_at": "2026-10-01 00:00:00", "ended_at": "2026-09-30 00:00:00"}',
    ),
    "a sample without a host": (
        "update raw.dcgm__samples_long set hostname = null",
        'warning: raw.dcgm__samples_long: hostname is filled; 1 unexpected; for example {"_file": "dcgm__samples_long.parquet", "_row": 0}',
    ),
    "a day without telemetry": (
        "update raw.dcgm__samples_wide set sample_at = '2026-10-01 11:00:00'",
        "warning: raw.dcgm: every day that is asked for has telemetry (without it GPU time is unknown); column sample_at; 1 unexpected;"
        ' for example {"day_without_samples": "2026-10-02"}',
    ),
}


@pytest.mark.parametrize("defect", DOOR)
def test_the_door_names_what_is_wrong(settings: Settings, defect: str) -> None:
    statement, expected = DOOR[defect]
    execute(settings, statement)
    relation = statement.split("raw.")[1].split()[0]
    report = run_door(settings, deliveries(relation), WINDOW)
    assert failures(report) == [expected]
    if expected.startswith("critical"):
        with pytest.raises(GateError):
            report.raise_for_critical()
    else:
        report.raise_for_critical()
        assert len(report.warnings) == 1


def test_telemetry_that_never_came_is_a_warning_where_a_source_is_configured(settings: Settings) -> None:
    execute(settings, "delete from raw.dcgm__samples_wide; delete from raw.dcgm__samples_long")
    configured = Settings(SettingsFile.model_validate({"sources": [{"name": "gpus", "kind": "dcgm"}]}), settings.home, None)
    report = run_door(configured, [], WINDOW)
    assert [(r.suite, r.severity, r.unexpected_count) for r in report.results] == [("raw.dcgm", "warning", 3)]
    report.raise_for_critical()


def test_a_refusal_names_file_and_row_and_the_release_that_stands(settings: Settings) -> None:
    release = publish(settings, set(DAYS), identity=IDENTITY)
    execute(settings, "update raw.aws_cur__line_items set line_item_line_item_type = 'New\x1b[31m\nFee'")
    report = run_door(settings, deliveries("aws_cur__line_items"), WINDOW)
    with pytest.raises(GateError) as refusal:
        report.raise_for_critical()
    text = str(refusal.value)
    assert refusal.value.exit_code == 3
    assert refusal.value.where == "raw.aws_cur__line_items"
    assert f"release {release.release_id} stands" in text
    assert '"New\\u001b[31m\\nFee"' in text and "\x1b" not in text  # what comes from the data cannot write a line of its own
    assert '"_file": "aws_cur__line_items.parquet", "_row": 0' in text


def test_five_examples_are_told_of_many(settings: Settings) -> None:
    execute(settings, "insert into raw.nodes__nodes by name select 'n' || n as hostname, 'i' as resource_id, -n as gpu_count,"
            " 'nodes-1' as _delivery_id, 'f' as _file, n as _row from range(1, 300) as t(n)")  # fmt: skip
    found = [r for r in run_door(settings, deliveries("nodes__nodes"), WINDOW).results if r.column == "gpu_count"]
    assert [(r.unexpected_count, len(r.examples)) for r in found] == [(299, 5)]


# the exit

EXIT = {
    "a residual of 1e-12": (
        "update published.fct_cost_allocation set effective_cost = effective_cost - 0.000000000001"
        " where usage_date = '2026-10-02' and cost_class = 'used'",
        "fct_charge_bucket",
        "critical: published.fct_charge_bucket: per bucket the ledger's effective_cost sums to the bucket's exactly; 1 unexpected;"
        ' for example {"usage_date": "2026-10-02", "bucket_key": "b1", "delivered": "10.000000000001", "allocated": "10.000000000000",'
        ' "residual": "0.000000000001"}',
    ),
    "a duplicate": (
        "insert into published.fct_tag_coverage select * from published.fct_tag_coverage where usage_date = '2026-10-03'",
        "fct_tag_coverage",
        "critical: published.fct_tag_coverage: one row per usage_date, source, account_id, charge_category, tag_key, evidence_level, repair_id; 1 unexpected;"
        ' for example {"usage_date": "2026-10-03", "source": "aws", "account_id": "111", "charge_category": "Usage", "tag_key": "team",'
        ' "evidence_level": "missing", "repair_id": null, "row_count": 2}',
    ),
    "a guardrail that blocks": (
        "insert into published.fct_guardrail_violation by name select * from (values"
        " ('tagged', 'broken', 'block', 'i-1', date '2026-10-03'), ('warned', 'broken', 'warn', 'i-1', date '2026-10-03'),"
        " ('unclear', 'unknown', 'block', 'i-1', date '2026-10-03'), ('past', 'broken', 'block', 'i-1', date '2026-09-01'))"
        " as t(guardrail_id, verdict, action, subject, last_date);"
        " update published.fct_guardrail_violation set subject_type = 'resource', measured = 'no value', threshold = 'team is required',"
        " cost_usd = 12.5, since_date = '2026-10-02', remedy = 'tag it'",
        "fct_guardrail_violation",
        "critical: published.fct_guardrail_violation: no guardrail that blocks is broken; column guardrail_id; 1 unexpected;"
        ' for example {"guardrail_id": "tagged", "subject_type": "resource", "subject": "i-1", "team": null, "measured": "no value",'
        ' "threshold": "team is required", "cost_usd": "12.500000000000", "since_date": "2026-10-02", "remedy": "tag it"}',
    ),
    "a duplicate whose key has NULLs": (
        "insert into published.dim_node select * from published.dim_node",
        "dim_node",
        "warning: published.dim_node: one row per node_key, valid_from, valid_to; 1 unexpected;"
        ' for example {"node_key": "n1|i-1", "valid_from": null, "valid_to": null, "row_count": 2}',
    ),
    "money that is missing": (
        "update published.fct_cost_allocation set net_cost = null where usage_date = '2026-10-01' and cost_class = 'credit'",
        "fct_cost_allocation",
        "critical: published.fct_cost_allocation: expect_column_values_to_not_be_null; column net_cost; 1 unexpected; for example"
        ' {"usage_date": "2026-10-01", "bucket_key": "b2", "workload_key": null, "attempt_key": null, "team": null, "cost_class": "credit",'
        ' "component": "other", "reason": null, "sharing": null, "is_unmeasured": null, "stage": "allocated", "net_cost": null}',
    ),
    "a class nobody agreed on": (
        "update published.fct_cost_allocation set cost_class = 'idle' where usage_date = '2026-10-01' and cost_class = 'unallocated_idle'",
        "fct_cost_allocation",
        "critical: published.fct_cost_allocation: expect_column_values_to_be_in_set; column cost_class; 1 unexpected; for example"
        ' {"usage_date": "2026-10-01", "bucket_key": "b1", "workload_key": null, "attempt_key": null, "team": null, "cost_class": "idle",'
        ' "component": "gpu", "reason": null, "sharing": null, "is_unmeasured": null, "stage": "allocated"}',
    ),
    "an empty ledger": (
        "delete from published.fct_cost_allocation",
        "fct_cost_allocation",
        "critical: published.fct_cost_allocation: where there are charges there is a ledger; 1 unexpected;"
        ' for example {"finding": "the ledger is empty"}',
    ),
    "a residual of the reconciliation": (
        "update published.fct_reconciliation set delivery_residual = -0.01",
        "fct_reconciliation",
        "critical: published.fct_reconciliation: delivery_residual is 0; 1 unexpected; for example"
        ' {"source": "aws", "billing_period": "2026-10-01", "usage_month": "2026-10-01", "currency": "USD", "account_id": "111", "invoice_id": null,'
        ' "delivery_residual": "-0.010000000000"}',
    ),
    "a second too much": (
        "update published.fct_gpu_utilization set unknown_seconds = 1 where usage_date = '2026-10-01'",
        "fct_gpu_utilization",
        "critical: published.fct_gpu_utilization: the seconds by class sum to billed_seconds; 1 unexpected; for example"
        ' {"usage_hour": "2026-10-01 10:00:00", "node": "n1", "gpu_key": "n1|0", "billed_seconds": "3600.000000", "class_seconds": "3601.000000"}',
    ),
    "dollars without a class": (
        "update published.fct_gpu_utilization set cost_usd = 9.000000000001 where usage_date = '2026-10-01'",
        "fct_gpu_utilization",
        "critical: published.fct_gpu_utilization: the dollars by class sum to cost_usd; 1 unexpected; for example"
        ' {"usage_hour": "2026-10-01 10:00:00", "node": "n1", "gpu_key": "n1|0", "cost_usd": "9.000000000001", "class_cost_usd": "9.000000000000"}',
    ),
    "a unit cost that is missing without a reason": (
        "update published.fct_inference_unit_cost set cost_per_1k_requests_usd = null where usage_date = '2026-10-01'",
        "fct_inference_unit_cost",
        "critical: published.fct_inference_unit_cost: a unit cost is missing exactly where a reason is given; column cost_per_1k_requests_usd;"
        ' 1 unexpected; for example {"usage_date": "2026-10-01", "endpoint": "chat", "requests_ok": 2000, "allocated_cost_usd": "4.000000000000",'
        ' "cost_per_1k_requests_usd": null, "unit_cost_reason": null}',
    ),
    "a ratio above 1": (
        "update published.fct_run_cost set activity_ratio = 1.5",
        "fct_run_cost",
        'critical: published.fct_run_cost: activity_ratio is between 0 and 1; 1 unexpected; for example {"workload_key": "training_run/R",'
        ' "activity_ratio": 1.5}',
    ),
    "infinity": (
        "update published.fct_inference_unit_cost set cost_per_1k_requests_usd = 'inf' where usage_date = '2026-10-01'",
        "fct_inference_unit_cost",
        "critical: published.fct_inference_unit_cost: floating-point values are finite; column activity_ratio, cost_per_1k_requests_usd,"
        ' used_cost_per_1k_requests_usd; 1 unexpected; for example {"usage_date": "2026-10-01", "endpoint": "chat", "activity_ratio": 0.25,'
        ' "cost_per_1k_requests_usd": Infinity, "used_cost_per_1k_requests_usd": 1.0}',
    ),
    "money in floating point": (
        "alter table published.fct_run_cost alter run_cost_usd type double",
        "fct_run_cost",
        'critical: published.fct_run_cost: run_cost_usd is DECIMAL(38,12); 1 unexpected; for example {"found_type": "DOUBLE"}',
    ),
}


@pytest.mark.parametrize("defect", EXIT)
def test_the_exit_names_what_is_wrong(settings: Settings, defect: str) -> None:
    statement, table, expected = EXIT[defect]
    execute(settings, statement)
    assert failures(exit_of(settings, table)) == [expected]


def test_a_nan_is_found_twice(settings: Settings) -> None:
    execute(settings, "update published.fct_gpu_utilization set activity_ratio = 'nan' where usage_date = '2026-10-01'")
    assert [r.expectation for r in exit_of(settings, "fct_gpu_utilization").critical] == [
        "floating-point values are finite",
        "activity_ratio is between 0 and 1",
    ]


def test_the_exit_looks_at_dirty_days_only(settings: Settings) -> None:
    execute(settings, "update published.fct_cost_allocation set billed_cost = 0 where usage_date = '2026-10-01'")
    assert failures(exit_of(settings, "fct_charge_bucket", DAYS[1:])) == []
    assert len(failures(exit_of(settings, "fct_charge_bucket"))) == 1


def test_a_missing_column_and_a_missing_table_are_failures_told_as_such(settings: Settings) -> None:
    execute(settings, "alter table published.fct_cost_allocation drop column route; drop table published.fct_run_cost")
    raised = {r.column: r for r in exit_of(settings, "fct_cost_allocation").critical}
    assert set(raised) == {"route"}
    assert "route" in str(raised["route"]) and "could not be evaluated" in str(raised["route"])
    report = exit_of(settings, "fct_run_cost")
    assert [r.expectation for r in report.critical] != [] and not any(r.success for r in report.results)
    with pytest.raises(GateError, match="fct_run_cost"):
        report.raise_for_critical()


def test_a_table_without_expectations_cannot_leave(settings: Settings) -> None:
    execute(settings, "create table published.fct_surprise as select 1 as n")
    with pytest.raises(GateError, match="table fct_surprise has no expectations"):
        run_exit(settings, set(DAYS))


# nothing passes by not looking


def suite_of(*expectations: Any) -> TableSuite:
    return TableSuite("guards", "select * from published.fct_data_quality", expectations, ("subject",))


def test_an_empty_suite_is_a_failure(settings: Settings) -> None:
    report = run_suites(settings, "exit", [suite_of()])
    assert failures(report) == [
        "critical: guards: the suite has expectations; could not be evaluated: it is empty, and an empty suite proves nothing"
    ]


def test_a_tolerance_is_a_failure_although_it_would_pass(settings: Settings) -> None:
    import great_expectations.expectations as gxe

    execute(settings, "update published.fct_data_quality set measured_value = -5 where usage_date = '2026-10-01'")
    hiding = gxe.ExpectColumnValuesToBeBetween(column="measured_value", min_value=0, mostly=0.5)
    report = run_suites(settings, "exit", [suite_of(hiding)])
    assert [r.raised for r in report.critical] == ["it tolerates failures (mostly)"]
    strict = gxe.ExpectColumnValuesToBeBetween(column="measured_value", min_value=0)
    report = run_suites(settings, "exit", [suite_of(strict)])
    assert [(r.unexpected_count, r.examples) for r in report.critical] == [(1, ({"subject": "n1", "measured_value": -5},))]


def test_what_raises_blocks_however_mild_it_is(settings: Settings) -> None:
    broken = no_rows("a typing error", "selekt * from {batch}", severity="warning")
    report = run_suites(settings, "exit", [suite_of(broken, no_rows("fine", "select * from {batch} where measured_value < 0"))])
    assert [(r.expectation, r.severity, r.success) for r in report.results] == [
        ("a typing error", "critical", False),
        ("fine", "critical", True),
    ]
    assert report.results[0].raised is not None and "syntax error" in report.results[0].raised


def test_an_expectation_without_a_result_is_a_failure(settings: Settings) -> None:
    """A validator that evaluates one expectation less than it was given."""
    from expectations.engine import open_validator

    class Forgetful:
        def __init__(self, validator: Any) -> None:
            self.validator = validator

        def batch(self, name: str, query: str) -> Any:
            real = self.validator.batch(name, query)

            def validate(suite: Any, result_format: Any) -> Any:
                outcome = real.validate(suite, result_format=result_format)
                kept = [r for r in outcome.results if r.expectation_config.meta["number"] != 1]
                return SimpleNamespace(results=kept, statistics={"evaluated_expectations": len(kept)})

            return SimpleNamespace(validate=validate)

    three = [no_rows(name, "select * from {batch} where measured_value < 0") for name in ("one", "two", "three")]
    with open_validator(settings) as validator:
        results = checks._run(Forgetful(validator), suite_of(*three))  # type: ignore[arg-type]
    assert [(r.expectation, r.success, r.raised) for r in results] == [
        ("one", True, None),
        ("two", False, "it has no result"),
        ("three", True, None),
        ("every expectation is evaluated", False, "2 of 3 were"),
    ]


def test_the_same_expectation_twice_is_evaluated_twice(settings: Settings) -> None:
    twice = [no_rows("same", "select * from {batch} where measured_value < 0") for _ in range(2)]
    assert [r.success for r in run_suites(settings, "exit", [suite_of(*twice)]).results] == [True, True]


def test_the_gates_are_imported_without_the_validator() -> None:
    code = (
        "import sys, pipelines.checks, expectations.raw, expectations.published, expectations.engine;"
        " print([m for m in ('great_expectations', 'sqlalchemy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_validator_calls_nobody(settings: Settings) -> None:
    called: list[str] = []
    sys.addaudithook(lambda event, arguments: called.append(event) if event in ("socket.connect", "socket.getaddrinfo") else None)
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
    assert failures(exit_of(settings, "fct_run_cost")) == []
    assert called == []
