"""Revenue: what 1,000 requests to an endpoint earn, as the business states it, by UTC day.

Belongs here: the columns and spellings of the file, and what makes a row usable. Does not: the revenue of a day and the margin (dbt);
rates that contradict each other (expectations/raw.py sees all files at once).
"""

from __future__ import annotations

from pipelines.ingestion.file_source import Converted, FileSource, Incoming
from pipelines.ingestion.prices import no_price, whole_or_refused
from pipelines.ingestion.records import land_records, open_records
from pipelines.landing import Staging
from pipelines.source import Column, RawTable

RATES = RawTable(
    "rates",
    "What 1,000 successful requests to one endpoint earn over one stretch of UTC days.",
    (
        Column("endpoint", "VARCHAR", "The serving endpoint, as fct_inference_unit_cost names it."),
        Column("model", "VARCHAR", "The model that answers; NULL: any. A row with the model goes before one without."),
        Column(
            "revenue_per_1k_usd", "MONEY", "US dollars earned by 1,000 successful requests; not negative; 0 says that they earn nothing."
        ),
        Column("valid_from", "TIMESTAMP", "First UTC day of the rate, at midnight."),
        Column("valid_to", "TIMESTAMP", "First UTC day on which it no longer holds, at midnight; NULL: until the next rate of the same."),
    ),
)

ALIASES = {
    "endpoint": ("endpoint", "service"),
    "model": ("model", "model_name"),
    "revenue_per_1k_usd": ("revenue_per_1k_usd", "revenue_usd_per_1k", "revenue_per_1k"),
    "valid_from": ("valid_from", "from", "date"),
    "valid_to": ("valid_to", "to"),
}


class Revenue(FileSource):
    """A file (CSV, JSON, Parquet) of dated revenue per 1,000 requests."""

    kind = "revenue"
    description = "Dated revenue per 1,000 requests of an endpoint, in US dollars."
    tables = (RATES,)
    formats = ("csv", "tsv", "json", "parquet")

    def convert(self, incoming: Incoming, staging: Staging) -> Converted:
        """One table of rates; refused as a whole where a row cannot be used."""
        with open_records(incoming) as records:
            amount = "revenue_per_1k_usd"
            records.require([ALIASES["endpoint"], ALIASES[amount], ALIASES["valid_from"]], incoming.where)
            landed = land_records(
                records,
                incoming,
                staging,
                RATES,
                aliases=ALIASES,
                expressions={
                    "endpoint": f"nullif(trim({records.text(*ALIASES['endpoint'])}), '')",
                    "model": f"nullif(trim({records.text(*ALIASES['model'])}), '')",
                    amount: f"trim({records.text(*ALIASES[amount])})",
                },
                unusable={
                    "no endpoint": "endpoint IS NULL",
                    f"no {amount}, or not a decimal number": no_price(amount),
                    f"{amount} is negative": f"TRY_CAST({amount} AS DOUBLE) < 0",
                    f"{amount} has more than six decimals": (
                        f"TRY_CAST({amount} AS DECIMAL(38, 12)) <> round(TRY_CAST({amount} AS DECIMAL(38, 12)), 6)"
                        f" OR TRY_CAST({amount} AS DECIMAL(38, 12)) = 0 AND TRY_CAST({amount} AS DOUBLE) <> 0"
                    ),
                    "no valid_from, or not a day": "valid_from IS NULL",
                    "valid_from or valid_to is not a day: a rate holds for whole UTC days": (
                        "valid_from <> date_trunc('day', valid_from) OR valid_to <> date_trunc('day', valid_to)"
                    ),
                    "valid_to is not after valid_from": "valid_to <= valid_from",
                },
                span=("valid_from", "valid_to"),
            )
            return whole_or_refused(landed, incoming)
