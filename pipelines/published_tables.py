"""What the warehouse has to publish: the tables of its schema ``published``, found there and listed nowhere.

Belongs here: which tables there are, their columns, and which are kept by day. Does not: what is done with them.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import duckdb

from pipelines.errors import ApportionError, GateError

SCHEMA = "published"
DAY_COLUMN = "usage_date"
CALENDAR = "dim_date"  # has one row per published day, and is itself no table of a day's figures
LEDGER, BUCKETS, RECONCILIATION = "fct_cost_allocation", "fct_charge_bucket", "fct_reconciliation"
REQUIRED = (CALENDAR, BUCKETS, LEDGER, RECONCILIATION)
_NOT_EXACT_IN_PARQUET = ("HUGEINT", "UHUGEINT")


@dataclass(frozen=True)
class PublishedTable:
    """One table: its columns as (name, DuckDB type), in their order."""

    name: str
    columns: tuple[tuple[str, str], ...]

    @property
    def is_by_day(self) -> bool:
        """Whether a night replaces single days of it (else it is replaced as a whole)."""
        return self.name != CALENDAR and any(name == DAY_COLUMN for name, _ in self.columns)

    @property
    def decimal_columns(self) -> tuple[str, ...]:
        """The columns whose sums are exact."""
        return tuple(name for name, kind in self.columns if kind.startswith("DECIMAL"))

    @property
    def double_columns(self) -> tuple[str, ...]:
        """The columns in which a NaN could stand."""
        return tuple(name for name, kind in self.columns if kind in ("DOUBLE", "FLOAT"))


def published_tables(connection: duckdb.DuckDBPyConnection) -> list[PublishedTable]:
    """The tables of the schema ``published``, by name; what an interrupted dbt left (``...__dbt_...``) is none.

    Raises GateError where the ledger, its buckets, the reconciliation or the calendar is missing, ApportionError for a type
    that Parquet does not keep exactly.
    """
    rows = connection.execute(
        "select table_name, column_name, data_type from duckdb_columns() where schema_name = ? and database_name = current_database()"
        " and not contains(table_name, '__dbt_') and table_name in (select table_name from duckdb_tables() where schema_name = ?)"
        " order by table_name, column_index",
        [SCHEMA, SCHEMA],
    ).fetchall()
    columns: dict[str, list[tuple[str, str]]] = {}
    for table, column, kind in rows:
        if kind in _NOT_EXACT_IN_PARQUET:
            raise ApportionError(
                f"column {column} has type {kind}, which Parquet would turn into a float",
                where=f"{SCHEMA}.{table}",
                remedy="cast it to BIGINT or DECIMAL(38, 0) in the model",
            )
        columns.setdefault(table, []).append((column, kind))
    if missing := [name for name in REQUIRED if name not in columns]:
        raise GateError(f"the warehouse has no table {', '.join(missing)}", where=SCHEMA, remedy="build the models before publishing")
    return [PublishedTable(name, tuple(found)) for name, found in columns.items()]


def published_days(connection: duckdb.DuckDBPyConnection) -> list[dt.date]:
    """Every day that the warehouse publishes, oldest first."""
    return [day for (day,) in connection.execute("select usage_date from published.dim_date order by usage_date").fetchall()]
