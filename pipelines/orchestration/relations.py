"""What the UI is told about tables: their columns and how many rows they have.

Belongs here: metadata in Dagster's own names. Does not: what a column means (the sources and dbt say it).
"""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from pipelines.settings import Settings
from pipelines.source import RawTable
from pipelines.warehouse import connect, quote_name

ROW_COUNT = "dagster/row_count"
COLUMN_SCHEMA = "dagster/column_schema"


def column_schema(table: RawTable) -> dg.TableSchema:
    """The declared columns of a raw table."""
    return dg.TableSchema([dg.TableColumn(c.name, c.type.lower(), description=c.description) for c in table.columns])


def row_counts(settings: Settings, relations: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Rows of each (schema, table) of the warehouse that is stored as a table; views are left out, counting them would compute them."""
    wanted = set(relations)
    with connect(settings, read_only=True) as connection:
        stored = connection.execute("select schema_name, table_name from duckdb_tables() where not internal and not temporary").fetchall()
        found = {}
        for schema, table in sorted(wanted & set(stored)):
            row = connection.execute(f"select count(*) from {quote_name(schema)}.{quote_name(table)}").fetchone()  # noqa: S608
            found[(schema, table)] = int(row[0]) if row else 0
    return found
