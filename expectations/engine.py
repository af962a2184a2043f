"""Great Expectations on DuckDB: its SQL engine, with the one change that makes it work there.

Belongs here: opening a DuckDB file for validation, read-only, and closing it. Does not: suites, and what their results mean.

As shipped, the engine takes a connection per query from a pool and reads the result after giving it back; DuckDB's results end
with their connection. So one connection is kept per engine, as Great Expectations itself does for SQLite.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from pipelines.settings import Settings

if TYPE_CHECKING:
    from great_expectations.datasource.fluent.interfaces import Batch


@cache
def _datasource_class() -> type[Any]:
    """The data source class of a read-only DuckDB file; made on first use, since the import takes seconds."""
    import sqlalchemy
    from great_expectations.datasource.fluent import SQLDatasource
    from great_expectations.execution_engine import SqlAlchemyExecutionEngine

    class DuckdbExecutionEngine(SqlAlchemyExecutionEngine):  # type: ignore[misc]
        @contextmanager
        def get_connection(self) -> Iterator[sqlalchemy.Connection]:
            if not self._connection:
                self._connection = self.engine.connect()
                self._connection.exec_driver_sql("set TimeZone = 'UTC'")
            yield self._connection

        def close(self) -> None:
            if self._connection:
                self._connection.close()
                self._connection = None
            self.engine.dispose()

    class DuckdbFileDatasource(SQLDatasource):  # type: ignore[misc]
        type: Literal["duckdb_file"] = "duckdb_file"  # type: ignore[assignment]

        @property
        def execution_engine_type(self) -> type[SqlAlchemyExecutionEngine]:
            return DuckdbExecutionEngine

    return DuckdbFileDatasource


class Validator:
    """The checked file of one gate."""

    def __init__(self, datasource: Any) -> None:
        self._datasource = datasource

    def batch(self, name: str, query: str) -> Batch:
        """The rows of ``query`` as a batch; nothing is read yet."""
        return self._datasource.add_query_asset(name, query=query).add_batch_definition_whole_table(name).get_batch()


@contextmanager
def open_validator(settings: Settings) -> Iterator[Validator]:
    """The warehouse, read-only and under the configured limits, for the time of the block; no other connection may be open to it."""
    datasource_class = _datasource_class()
    import great_expectations as gx

    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)  # tells of a folder that nobody asked for
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    limits = {"memory_limit": settings.engine.memory_limit, "threads": settings.engine.threads}
    # the path goes beside the connection string: inside it, signs like % and $ would have a meaning
    arguments = {"database": str(settings.warehouse), "read_only": True, "config": limits}
    datasource = datasource_class(name="warehouse", connection_string="duckdb:///", kwargs={"connect_args": arguments})
    datasource._data_context = context
    engine = datasource.get_execution_engine()
    try:
        yield Validator(datasource)
    finally:
        engine.close()
