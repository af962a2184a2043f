"""How the warehouse's tables are built: a contract that does not hold stops the model, and what stood before still stands.

Belongs here: the materializations of macros/materialization.sql. Does not: what the models say.
"""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest

from pipelines import dbt, warehouse
from pipelines.settings import Settings, SettingsFile
from tests.dbt.running import run_dbt
from tests.empty_warehouse import put

DAY = dt.date(2026, 10, 5)
BY_DAY = "{{ config(materialized='incremental', incremental_strategy='replace_days') }}\n"
NOTHING = BY_DAY + "select * from {{ this }} where false"  # noqa: S608


@pytest.fixture
def built(empty_warehouse: Settings, tmp_path: Path) -> Settings:
    """One published day, dirty again, with a row in a table of each kind, in a warehouse of its own: the empty one is every test's."""
    settings = Settings(SettingsFile(), tmp_path, None)
    settings.warehouse.parent.mkdir(parents=True)
    shutil.copy(empty_warehouse.warehouse, settings.warehouse)
    with warehouse.connect(settings) as connection:
        connection.execute("insert into ops.dirty_days values (?)", [DAY])
        connection.execute("insert into ops.published_days values (?)", [DAY])
        put(connection, "dim_date", [{"usage_date": DAY}])
        put(connection, "fct_telemetry_gap", [{"usage_date": DAY}])
    return settings


def outcome(settings: Settings, model: str, code: str, *more: str) -> tuple[str, str]:
    """(status, message) of a model whose code is another."""
    manifest = dbt.kept_manifest()
    manifest.nodes[f"model.apportion.{model}"].raw_code = code
    [result] = run_dbt(settings, ["run", "--select", model, *more], manifest)
    return result.status, result.message


def days_of(settings: Settings, table: str) -> list[tuple[dt.date]]:
    with warehouse.connect(settings, read_only=True) as connection:
        return connection.execute(f"select usage_date from published.{table}").fetchall()  # noqa: S608 - a name of these tests


EXTRA = ("select *, 1 as extra from {{ this }}", "extra", "missing in contract")
LESS = ("select * exclude (usage_date) from {{ this }}", "usage_date", "missing in definition")
OTHER = ("select * replace (cast(usage_date as varchar) as usage_date) from {{ this }}", "usage_date", "data type mismatch")


@pytest.mark.parametrize(
    ("table", "config", "code", "column", "reason", "more"),
    [
        ("dim_date", "", *OTHER, ()),
        ("fct_telemetry_gap", BY_DAY, *EXTRA, ()),
        ("fct_telemetry_gap", BY_DAY, *LESS, ()),
        ("fct_telemetry_gap", BY_DAY, *OTHER, ()),
        ("fct_telemetry_gap", BY_DAY, *EXTRA, ("--full-refresh",)),
    ],
)
def test_columns_that_are_not_the_contracts_stop_the_model(
    built: Settings, table: str, config: str, code: str, column: str, reason: str, more: tuple[str, ...]
) -> None:
    status, message = outcome(built, table, config + code, *more)
    assert status == "error" and "enforced contract that failed" in message
    [line] = [line for line in message.splitlines() if line.strip().startswith(f"| {column} ")]
    assert reason in line
    assert days_of(built, table) == [(DAY,)]


@pytest.mark.parametrize(
    ("table", "code"),
    [
        ("dim_date", "select * replace (cast(null as date) as usage_date) from kept"),
        ("fct_telemetry_gap", BY_DAY + "select * replace (cast(null as date) as usage_date) from kept"),  # noqa: S608
    ],
)
def test_a_null_where_the_contract_allows_none_leaves_the_table_as_it_was(built: Settings, table: str, code: str) -> None:
    with warehouse.connect(built) as connection:
        connection.execute(f"create or replace table kept as select * from published.{table}")  # noqa: S608 - a name of this test
    status, message = outcome(built, table, code)
    assert status == "error" and "NOT NULL constraint failed" in message
    assert days_of(built, table) == [(DAY,)]


def test_what_holds_replaces_the_nights_days_only(built: Settings) -> None:
    with warehouse.connect(built) as connection:
        put(connection, "fct_telemetry_gap", [{"usage_date": DAY - dt.timedelta(days=1)}])
    assert outcome(built, "fct_telemetry_gap", NOTHING)[0] == "success"
    assert days_of(built, "fct_telemetry_gap") == [(DAY - dt.timedelta(days=1),)]
