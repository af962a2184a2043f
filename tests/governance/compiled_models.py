"""The governance models without dbt: the SQL that dbt compiled for the empty warehouse, run on rows that a test makes up. A run takes half a
second at most, so that a property can be tried on many companies.

Belongs here: running them. Does not: a company's rows, assertions.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import yaml

from pipelines.dbt import PROJECT
from pipelines.policy import Policy
from pipelines.settings import DEFAULT_POLICY, Settings

MODELS = ("int_spend_series", "fct_forecast_backtest", "fct_spend_forecast", "fct_budget_status", "fct_spend_anomaly")
BY_DAY = ("dim_date", "fct_cost_daily", "fct_cost_estimate", "dim_workload", "dim_node")


def compiled_queries(built: Settings) -> dict[str, tuple[str, str]]:
    """model -> (schema, SQL) of every governance model that is computed anew each night. Those that have days of their own are published by day,
    as the rest of a night's figures: a test puts their rows."""
    found: dict[str, tuple[str, str]] = {}
    for layer, schema in (("intermediate", "intermediate"), ("marts", "published")):
        for path in sorted((PROJECT / "models" / layer / "governance").glob("*.sql")):
            if "replace_days" not in path.read_text(encoding="utf-8"):
                compiled = built.home / "dbt" / "target" / "compiled" / "apportion" / path.relative_to(PROJECT)
                found[path.stem] = (schema, compiled.read_text(encoding="utf-8"))
    return found


class CompiledModels:
    """Every governance model, in the order in which they read each other."""

    def __init__(self, built: Settings) -> None:
        self.queries = compiled_queries(built)
        relation = re.compile(r'"(?:intermediate|published)"\."(\w+)"')
        reads = {name: set(relation.findall(query)) & self.queries.keys() for name, (_, query) in self.queries.items()}
        self.order = list(TopologicalSorter(reads).static_order())

    def run(self, connection: duckdb.DuckDBPyConnection, names: Sequence[str] | None = None) -> None:
        """Fill the models' tables, which stand as their contracts declare them: types and NOT NULL hold as they do for dbt."""
        assert not (unknown := set(names or ()) - self.queries.keys()), f"no governance model {sorted(unknown)}"
        for name in self.order:
            if names is None or name in names:
                schema, query = self.queries[name]
                connection.execute(f"delete from {schema}.{name}; insert into {schema}.{name} by name {query}")  # noqa: S608


class SpendModels:
    """``models(rows, governance)`` -> a connection to the warehouse in which the models were run on ``rows`` (table -> rows)."""

    def __init__(self, built: Settings, folder: Path, threads: int = 2) -> None:
        path = folder / built.warehouse.name
        shutil.copy(built.warehouse, path)
        self.connection = duckdb.connect(str(path))
        self.connection.execute("set TimeZone = 'UTC'")
        self.connection.execute(f"set threads = {int(threads)}")
        self.queries = compiled_queries(built)

    def __call__(
        self,
        rows: Mapping[str, Sequence[Mapping[str, Any]]],
        governance: Mapping[str, Any] | None = None,
        only: Sequence[str] = MODELS,
    ) -> duckdb.DuckDBPyConnection:
        document = yaml.safe_load(DEFAULT_POLICY.read_text(encoding="utf-8")) | {"governance": dict(governance or {})}
        Policy.model_validate(document).write(self.connection)
        for table in BY_DAY:
            self.connection.execute(f"delete from published.{table}")  # noqa: S608
            if rows.get(table):
                self._put(table, rows[table])
        for name in only:
            schema, query = self.queries[name]
            self.connection.execute(f"create or replace table {schema}.{name} as {query}")
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
