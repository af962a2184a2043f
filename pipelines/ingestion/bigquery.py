"""BigQuery tables, read and never written: schema, small answers, and rows streamed to Parquet.

Belongs here: the client, its credentials, query jobs with a cost ceiling, errors with a remedy. Does not: what the rows mean.

What it may do is what ``roles/bigquery.dataViewer`` on the table and ``roles/bigquery.jobUser`` on the paying project allow.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from pipelines.errors import ApportionError, UsageError

SCHEME = "bigquery://"
PAGE_ROWS = 20_000  # some 30 MB of nested rows as JSON; the service itself cuts pages at 10 MB
_PROJECT = re.compile(r"[a-z0-9.:-]{1,128}")
_PART = re.compile(r"[A-Za-z0-9_-]{1,1024}")


@dataclass(frozen=True)
class TableName:
    """``project.dataset.table``, each part plain."""

    project: str
    dataset: str
    table: str

    @classmethod
    def parse(cls, location: str) -> TableName:
        """From ``bigquery://project.dataset.table``; UsageError for anything else."""
        parts = location.removeprefix(SCHEME).rsplit(".", 2)
        plain = len(parts) == 3 and _PROJECT.fullmatch(parts[0]) and all(map(_PART.fullmatch, parts[1:]))
        if not location.startswith(SCHEME) or not plain:
            raise UsageError(f"not a BigQuery table: {location}", remedy="use bigquery://<project>.<dataset>.<table>")
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.project}.{self.dataset}.{self.table}"


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class BigQueryTable:
    """One table.

    Args:
        endpoint_url: another API endpoint; on a loopback address (an emulator) no credentials are looked for.
        billing_project: the project that runs and pays the query jobs; default the table's own.
        maximum_bytes_billed: a query that would read more is refused by the service before it costs anything.
        read_client: a BigQueryReadClient to stream rows through the Storage Read API instead of REST.
    """

    def __init__(
        self,
        name: TableName,
        *,
        endpoint_url: str | None = None,
        billing_project: str | None = None,
        maximum_bytes_billed: int,
        read_client: Any = None,
    ) -> None:
        self.name = name
        self.endpoint_url = endpoint_url
        self.billing_project = billing_project or name.project
        self.maximum_bytes_billed = maximum_bytes_billed
        self.read_client = read_client

    @cached_property
    def client(self) -> Any:
        """The API client; credentials come from the usual chain."""
        from google.auth.credentials import AnonymousCredentials
        from google.auth.exceptions import DefaultCredentialsError
        from google.cloud import bigquery

        options: dict[str, Any] = {"project": self.billing_project}
        if self.endpoint_url:
            options["client_options"] = {"api_endpoint": self.endpoint_url}
            if is_loopback(self.endpoint_url):
                options["credentials"] = AnonymousCredentials()
        try:
            return bigquery.Client(**options)
        except DefaultCredentialsError as error:
            raise ApportionError(
                "no Google Cloud credentials found",
                where=str(self.name),
                remedy="set GOOGLE_APPLICATION_CREDENTIALS, or run where a service account is attached",
            ) from error

    def fields(self) -> dict[str, Any]:
        """The table's schema as dotted path -> SchemaField, records included (below a repeated record nothing is listed)."""
        found: dict[str, Any] = {}

        def walk(fields: Any, prefix: str) -> None:
            for field in fields:
                found[prefix + field.name] = field
                if field.mode != "REPEATED":
                    walk(field.fields, f"{prefix}{field.name}.")

        with _explained(self.name):
            walk(self.client.get_table(str(self.name)).schema, "")
        return found

    def rows(self, sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
        """A small answer."""
        with _explained(self.name):
            return [tuple(row) for row in self._query(sql, parameters).result()]

    def batches(self, sql: str, parameters: list[Any]) -> Iterator[pa.RecordBatch]:
        """A large answer, page by page in no particular order; memory stays at a few pages."""
        with _explained(self.name):
            result = self._query(sql, parameters).result(page_size=PAGE_ROWS)
            yield from result.to_arrow_iterable(bqstorage_client=self.read_client, max_queue_size=2, max_stream_count=1)

    def _query(self, sql: str, parameters: list[Any]) -> Any:
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(
            query_parameters=parameters, maximum_bytes_billed=self.maximum_bytes_billed, use_legacy_sql=False, use_query_cache=False
        )
        return self.client.query(sql, job_config=config)


@contextmanager
def _explained(name: TableName) -> Iterator[None]:
    """Turn the client's errors into ours."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except GoogleAuthError as error:
        raise ApportionError(
            f"Google Cloud credentials were not accepted: {error}", where=str(name), remedy="check GOOGLE_APPLICATION_CREDENTIALS"
        ) from error
    except exceptions.GoogleAPICallError as error:
        if "bytesBilledLimitExceeded" in str(error) or "limit for bytes billed" in str(error):
            remedy = "raise maximum_bytes_billed of this source, or ask for fewer days"
        elif isinstance(error, exceptions.NotFound):
            remedy = "correct `location`; the detailed export's table is called gcp_billing_export_resource_v1_<billing account>"
        elif isinstance(error, exceptions.Forbidden):
            remedy = "grant roles/bigquery.dataViewer on the table and roles/bigquery.jobUser on the project that pays (billing_project)"
        else:
            remedy = "run again; if it stays, read the message of the service above"
        raise ApportionError(f"BigQuery refused: {error.message}", where=str(name), remedy=remedy) from error
