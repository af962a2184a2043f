"""A warehouse in which every model was built from no delivery at all: all relations are there, without rows.

Belongs here: building it, and putting rows into its published tables. Does not: running a test's models.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from pipelines import dbt, warehouse
from pipelines.policy import load_policy
from pipelines.settings import DEFAULT_POLICY, Settings, SettingsFile
from pipelines.warehouse import quote_name

# what a column that may not be NULL holds where a test does not care
_ANY = {"VARCHAR": "'-'", "DATE": "date '2026-01-01'", "TIMESTAMP": "timestamp '2026-01-01'", "BOOLEAN": "false"}


def build_empty(home: Path) -> Settings:
    """Settings of ``home``, with the warehouse built in it."""
    settings = Settings(SettingsFile(), home, None)
    with warehouse.connect(settings) as connection:
        warehouse.ensure_bookkeeping(connection)
        load_policy(DEFAULT_POLICY).write(connection)
        warehouse.write_raw_relations(connection, [])
    results = dbt.invoke(settings, ["build", "--exclude-resource-type", "unit_test"])
    assert {result.status for result in results} == {"success", "pass"}
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
    insert = f"insert into {schema}.{quote_name(table)} ({target}) values ({values})"  # noqa: S608
    if rows:
        connection.executemany(insert, [[row.get(name) for name in named] for row in rows])


def _columns(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> dict[str, tuple[str, bool]]:
    found = connection.execute(
        "select column_name, data_type, is_nullable = 'YES' from information_schema.columns where table_schema = ? and table_name = ?"
        " order by ordinal_position",
        [schema, table],
    ).fetchall()
    assert found, f"no table {schema}.{table}"
    return {name: (kind, nullable) for name, kind, nullable in found}
