"""OpenAI's own account of an organization: saved answers of its Usage API (completions, embeddings) and of its Costs API.

Belongs here: the raw table, and that no page of an answer is missing. Does not: unwrapping pages (ingestion/openai_pages.py); what of
it counts and what it cost (dbt); calling the API, which needs an administrator's key.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import replace

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.file_source import Converted, FileSource, Incoming
from pipelines.ingestion.openai_pages import READ, open_results, spans_of_pages
from pipelines.ingestion.records import land_records
from pipelines.ingestion.tabular import literal
from pipelines.landing import Landing, Staging
from pipelines.source import Column, Delivery, RawTable, Window

RESULTS = RawTable(
    "results",
    "One result of one time bucket of a page; a bucket in which nothing happened has one row without result_number.",
    (
        Column("file_name", "VARCHAR", "The file under the location; of two that tell the same, the last name counts."),
        Column("result_object", "VARCHAR", "What the result is, as OpenAI names it; of an empty bucket that of its page."),
        Column("result_number", "BIGINT", "Position within the bucket; NULL: the bucket is empty."),
        Column("grouped_by", "VARCHAR", "The dimensions that any result of the page names: what its query was grouped by."),
        Column("bucket_start", "TIMESTAMP", "Start of the bucket, UTC."),
        Column("bucket_end", "TIMESTAMP", "End of the bucket, UTC, exclusive."),
        Column("project_id", "VARCHAR", "OpenAI's project; NULL where the query was not grouped by it."),
        Column("model", "VARCHAR", "Model that answered; NULL where the query was not grouped by it, and of costs."),
        Column("user_id", "VARCHAR", "OpenAI's user."),
        Column("api_key_id", "VARCHAR", "API key."),
        Column("batch", "VARCHAR", "Whether these are batch jobs, as told."),
        Column("service_tier", "VARCHAR", "Service tier."),
        Column("api_source", "VARCHAR", "Product that the requests came from."),
        Column("input_tokens", "BIGINT", "Input tokens, cached ones included."),
        Column("input_cached_tokens", "BIGINT", "Part of input_tokens served from the prompt cache."),
        Column("output_tokens", "BIGINT", "Generated tokens."),
        Column("num_model_requests", "BIGINT", "Requests to the model; how many of them failed is not told."),
        Column("line_item", "VARCHAR", "Line of the invoice, such as `gpt-4o-2024-08-06, input`."),
        Column("amount", "MONEY", "Amount of a cost, US dollars, as it is written in the file."),
        Column("currency", "VARCHAR", "Its currency: usd."),
    ),
)


class OpenaiUsage(FileSource):
    """Saved pages (JSON) or lines of pages or buckets (JSON lines)."""

    kind = "openai_usage"
    description = "Usage and costs of an organization as OpenAI's own APIs tell them: saved pages."
    tables = (RESULTS,)
    formats = ("json",)

    def convert(self, incoming: Incoming, staging: Staging) -> Converted:
        """One file of pages or buckets."""
        with open_results(incoming) as records:
            spans = spans_of_pages(records.con, incoming.where)
            known = ", ".join(literal(name) for name in READ)
            return land_records(
                records,
                replace(incoming, origin={**incoming.origin, "pages": spans}),
                staging,
                RESULTS,
                aliases={},
                expressions={"file_name": literal(incoming.key), "grouped_by": "nullif(grouped_by, '')"},
                unusable={"usage of another API than completions and embeddings: not read": f"result_object NOT IN ({known})"},
                notes={"more cached tokens than input tokens: kept as told": "input_cached_tokens > input_tokens"},
                span=("bucket_start", "bucket_start"),
            )

    def fetch(self, window: Window, landing: Landing) -> Iterable[Delivery]:
        """Land every file; then refuse an answer of which a page is missing."""
        yield from super().fetch(window, landing)
        missing = _missing_pages(landing.chosen(self.name))
        if missing:
            file, instant = missing[0]
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise DeliveryRefused(
                f"a page says that more follows after {instant:%Y-%m-%d %H:%M} UTC, and no file has what begins then{more}",
                where=f"{self.config.location.rstrip('/')}/{file}" if not self.config.location.endswith(file) else self.config.location,
                remedy="ask again with `page` = its next_page until has_more is false, and save every page beside it",
            )


def _missing_pages(deliveries: Sequence[Delivery]) -> list[tuple[str, dt.datetime]]:
    """(file, end) of each page that another should follow and none does: no page tells the same thing of the moment at which it ends."""
    pages = [(d.period, *page) for d in deliveries for file in d.files for page in file.origin.get("pages", ())]
    missing = []
    for file, kind, _, end, more in pages:
        if more and not any(first <= end < last and (other == kind or None in (other, kind)) for _, other, first, last, _ in pages):
            missing.append((file, dt.datetime.fromtimestamp(end, dt.UTC)))
    return missing
