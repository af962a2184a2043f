"""A warehouse in which every model was built from no delivery at all: all relations are there, without rows.

Belongs here: building it, and putting rows into its published tables. Does not: running a test's models.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipelines import dbt, warehouse
from pipelines.policy import load_policy
from pipelines.settings import DEFAULT_POLICY, Settings, SettingsFile
from pipelines.warehouse import quote_name

OUTCOMES = "outcomes.json"  # in the home: node -> status
# what a column that may not be NULL holds where a test does not care
_ANY = {"VARCHAR": "'-'", "DATE": "date '2026-01-01'", "TIMESTAMP": "timestamp '2026-01-01'", "BOOLEAN": "false"}
_MANY = 50  # from here on rows are handed over as a table: one by one they cost a millisecond each


def build_empty(home: Path) -> Settings:
    """Settings of ``home``, with the warehouse built in it, and every law tried on it: its outcomes are in OUTCOMES."""
    settings = Settings(SettingsFile(), home, None)
    with warehouse.connect(settings) as connection:
        warehouse.ensure_bookkeeping(connection)
        load_policy(DEFAULT_POLICY).write(connection)
        warehouse.write_raw_relations(connection, [])
    results = dbt.invoke(settings, ["build", "--exclude-resource-type", "unit_test"])
    assert {result.status for result in results} == {"success", "pass"}
    (home / OUTCOMES).write_text(json.dumps({result.unique_id: result.status for result in results}), encoding="utf-8")
    return settings


def put(connection: duckdb.DuckDBPyConnection, table: str, rows: Iterable[Mapping[str, Any]], schema: str = "published") -> None:
    """Insert ``rows`` (column -> value) into a table of the warehouse. A column that no row names is NULL, or something that is not NULL
    where the table's contract asks for it."""
    rows = list(rows)
    columns = _columns(connection, schema, table)
    named = list(dict.fromkeys(name for row in rows for name in row))
    assert not (unknown := set(named) - set(columns)), f"{table} has no column {sorted(unknown)}"
    filled = {name: kind for name, (kind, is_nullable) in columns.items() if name not in named and not is_nullable}
    target = ", ".join(map(quote_name, [*named, *filled]))
    values = ", ".join(["?"] * len(named) + [_ANY.get(kind, "0") for kind in filled.values()])
    if len(rows) > _MANY and (table_of := _frame(named, rows)) is not None:
        connection.register("put_rows", table_of)
        given = ", ".join([*map(quote_name, named), *(_ANY.get(kind, "0") for kind in filled.values())])
        connection.execute(f"insert into {schema}.{quote_name(table)} ({target}) select {given} from put_rows")  # noqa: S608
        connection.unregister("put_rows")
        return
    insert = f"insert into {schema}.{quote_name(table)} ({target}) values ({values})"  # noqa: S608
    if rows:
        connection.executemany(insert, [[row.get(name) for name in named] for row in rows])


def _frame(names: list[str], rows: list[Mapping[str, Any]]) -> pa.Table | None:
    """The rows as columns, decimals as text so that the table's own type reads them; None where a column mixes kinds."""
    columns = {name: [row.get(name) for row in rows] for name in names}
    for name, values in columns.items():
        if any(isinstance(value, Decimal) for value in values):
            columns[name] = [None if value is None else str(value) for value in values]
    try:
        return pa.table(columns)
    except pa.ArrowException:
        return None


def _columns(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> dict[str, tuple[str, bool]]:
    found = connection.execute(
        "select column_name, data_type, is_nullable = 'YES' from information_schema.columns where table_schema = ? and table_name = ?"
        " order by ordinal_position",
        [schema, table],
    ).fetchall()
    assert found, f"no table {schema}.{table}"
    return {name: (kind, nullable) for name, kind, nullable in found}
