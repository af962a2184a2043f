"""The GCP billing export's BigQuery table, by day of export: what there is, and the rows of chosen days.

Belongs here: the two queries and their pruning. Does not: the client (bigquery.py), what is landed already (sources/gcp_billing.py).
"""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.bigquery import BigQueryTable
from pipelines.ingestion.gcp_schema import PATHS, REQUIRED

INGESTION_SLACK = dt.timedelta(days=2)  # a row lies in a partition at most this much older than its export_time


@dataclass(frozen=True)
class ExportDay:
    """What the table holds for one UTC day of export_time. ``last_export`` is ISO 8601 UTC with microseconds."""

    day: dt.date
    last_export: str
    rows: int


class ExportTable:
    """The table, asked by day of export.

    Args:
        partition_column: what the table is partitioned by: ``_PARTITIONTIME``, ``export_time`` or another TIMESTAMP column that is
            at most two days older than export_time.
    """

    def __init__(self, table: BigQueryTable, partition_column: str) -> None:
        self.table = table
        self.partition_column = partition_column

    @property
    def name(self) -> str:
        """``project.dataset.table``."""
        return str(self.table.name)

    @cached_property
    def columns(self) -> dict[str, str]:
        """Raw column -> path, for those the table has today; DeliveryRefused where it is another kind of table."""
        fields = self.table.fields()
        if missing := [PATHS[name] for name in REQUIRED if PATHS[name] not in fields]:
            raise DeliveryRefused(
                f"not a usage cost export: without {', '.join(missing)}",
                where=self.name,
                remedy="name the table gcp_billing_export_resource_v1_<billing account> (or gcp_billing_export_v1_...) itself, or a view with its columns",
            )
        return {name: path for name, path in PATHS.items() if path in fields}

    def export_days(self, since: dt.date) -> list[ExportDay]:
        """Every export day from ``since`` on that has rows, oldest first: one cheap query over two columns."""
        self.columns  # noqa: B018 - refuses another kind of table before it is asked
        condition = "export_time >= @since" if self._by_export_time else "(export_time >= @since or export_time is null)"
        rows = self.table.rows(
            f"""select date(export_time) as export_day, max(export_time) as last_export, count(*) as row_count
            from `{self.name}` where {condition}{self._pruned} group by export_day order by export_day""",  # noqa: S608 - checked names
            [_timestamp("since", since), *self._pruning(since)],
        )
        if rows and rows[0][0] is None:
            raise DeliveryRefused(
                f"{rows[0][2]} row(s) without export_time", where=self.name, remedy="name the export's own table, not a copy of it"
            )
        return [ExportDay(day, last.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), count) for day, last, count in rows]

    def read_days(self, days: list[dt.date], folder: Path) -> dict[dt.date, Path]:
        """Read the rows of ``days`` (ascending) in one query into one Parquet file per day in ``folder``; their order is arbitrary."""
        from google.cloud import bigquery

        columns = ", ".join(f"{path} as {name}" for name, path in self.columns.items())
        sql = f"""select {columns} from `{self.name}` where export_time >= @since and export_time < @until
            and date(export_time) in unnest(@days){self._pruned}"""  # noqa: S608 - names of our own schema and a checked table name
        parameters = [
            _timestamp("since", days[0]),
            _timestamp("until", days[-1] + dt.timedelta(days=1)),
            bigquery.ArrayQueryParameter("days", "DATE", days),
            *self._pruning(days[0]),
        ]
        paths: dict[dt.date, Path] = {}
        with ExitStack() as stack:
            writers: dict[dt.date, pq.ParquetWriter] = {}
            for batch in self.table.batches(sql, parameters):
                page = pa.Table.from_batches([batch])
                page_days = pc.cast(page["export_time"], pa.date32())
                for day in pc.unique(page_days).to_pylist():
                    if day not in writers:
                        paths[day] = folder / f"{day}.parquet"
                        writers[day] = stack.enter_context(pq.ParquetWriter(paths[day], page.schema, compression="zstd"))
                    writers[day].write_table(page.filter(pc.equal(page_days, pa.scalar(day, pa.date32()))))
        return paths

    @property
    def _by_export_time(self) -> bool:
        return self.partition_column == "export_time"

    @property
    def _pruned(self) -> str:
        return "" if self._by_export_time else f" and {self.partition_column} >= @partition_since"

    def _pruning(self, since: dt.date) -> list[Any]:
        return [] if self._by_export_time else [_timestamp("partition_since", since - INGESTION_SLACK)]


def _timestamp(name: str, day: dt.date) -> Any:
    from google.cloud import bigquery

    return bigquery.ScalarQueryParameter(name, "TIMESTAMP", dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC))
