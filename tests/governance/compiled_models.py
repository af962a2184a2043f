"""The spend models without dbt: the SQL that dbt compiled for the empty warehouse, run on rows that a test makes up. A run takes half a second, so
that a property can be tried on many companies.

Belongs here: running them. Does not: a company's rows, assertions.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import yaml

from pipelines.policy import Policy
from pipelines.settings import DEFAULT_POLICY, Settings

MODELS = {
    "int_spend_series": "intermediate/governance",
    "fct_forecast_backtest": "marts/governance",
    "fct_spend_forecast": "marts/governance",
    "fct_budget_status": "marts/governance",
    "fct_spend_anomaly": "marts/governance",
}
BY_DAY = ("dim_date", "fct_cost_daily", "fct_cost_estimate", "dim_workload", "dim_node")


class SpendModels:
    """``models(rows, governance)`` -> a connection to the warehouse in which the models were run on ``rows`` (table -> rows)."""

    def __init__(self, built: Settings, folder: Path, threads: int = 2) -> None:
        path = folder / built.warehouse.name
        shutil.copy(built.warehouse, path)
        self.connection = duckdb.connect(str(path))
        self.connection.execute("set TimeZone = 'UTC'")
        self.connection.execute(f"set threads = {int(threads)}")
        compiled = built.home / "dbt" / "target" / "compiled" / "apportion" / "models"
        self.queries = {name: (compiled / folder / f"{name}.sql").read_text(encoding="utf-8") for name, folder in MODELS.items()}

    def __call__(
        self,
        rows: Mapping[str, Sequence[Mapping[str, Any]]],
        governance: Mapping[str, Any] | None = None,
        only: Sequence[str] = tuple(MODELS),
    ) -> duckdb.DuckDBPyConnection:
        document = yaml.safe_load(DEFAULT_POLICY.read_text(encoding="utf-8")) | {"governance": dict(governance or {})}
        Policy.model_validate(document).write(self.connection)
        for table in BY_DAY:
            self.connection.execute(f"delete from published.{table}")  # noqa: S608
            if rows.get(table):
                self._put(table, rows[table])
        for name in only:
            schema = "intermediate" if name.startswith("int_") else "published"
            self.connection.execute(f"create or replace table {schema}.{name} as {self.queries[name]}")
        return self.connection

    def _put(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        given = pa.Table.from_pylist([dict(row) for row in rows])
        self.connection.register("given", given)
        required = self.connection.execute(
            "select column_name, data_type from information_schema.columns where table_schema = 'published' and table_name = ?"
            " and is_nullable = 'NO'",
            [table],
        ).fetchall()
        fill = {"VARCHAR": "'-'", "DATE": "date '2026-01-01'", "BOOLEAN": "false"}
        filled = "".join(f", {fill.get(kind, '0')} as {name}" for name, kind in required if name not in given.column_names)
        self.connection.execute(f"insert into published.{table} by name select *{filled} from given")  # noqa: S608
        self.connection.unregister("given")
