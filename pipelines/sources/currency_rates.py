"""Currency rates: what one unit of a billing currency is in US dollars, by day.

Belongs here: the columns and spellings of such a table. Does not: the conversion of charges (dbt); days without a rate and
contradicting rows (expectations/raw.py).
"""

from __future__ import annotations

from pipelines.ingestion.file_source import Converted, FileSource, Incoming
from pipelines.ingestion.prices import currency_code, no_price, whole_or_refused
from pipelines.ingestion.records import land_records, open_records
from pipelines.landing import Staging
from pipelines.source import Column, RawTable

RATES = RawTable(
    "rates",
    "One currency's rate from one UTC day on.",
    (
        Column("currency", "VARCHAR", "ISO 4217 code of the currency."),
        Column("rate_to_usd", "MONEY", "US dollars for one unit of the currency; above 0."),
        Column("valid_from", "TIMESTAMP", "First UTC day of the rate, at midnight."),
        Column("valid_to", "TIMESTAMP", "First UTC day on which it no longer holds, at midnight; NULL: until the currency's next rate."),
    ),
)

ALIASES = {
    "currency": ("currency", "currency_code"),
    "rate_to_usd": ("rate_to_usd", "rate", "usd"),
    "valid_from": ("valid_from", "date", "from"),
    "valid_to": ("valid_to", "to"),
}


class CurrencyRates(FileSource):
    """A file (CSV, JSON, Parquet) of dated exchange rates."""

    kind = "currency_rates"
    description = "Dated exchange rates: US dollars for one unit of a billing currency."
    tables = (RATES,)
    formats = ("csv", "tsv", "json", "parquet")

    def convert(self, incoming: Incoming, staging: Staging) -> Converted:
        """One table of rates; refused as a whole where a row cannot be used."""
        with open_records(incoming) as records:
            records.require([ALIASES["currency"], ALIASES["rate_to_usd"], ALIASES["valid_from"]], incoming.where)
            landed = land_records(
                records,
                incoming,
                staging,
                RATES,
                aliases=ALIASES,
                expressions={
                    "currency": currency_code(records.text(*ALIASES["currency"])),
                    "rate_to_usd": f"trim({records.text(*ALIASES['rate_to_usd'])})",
                },
                unusable={
                    "currency is not three letters": "NOT coalesce(regexp_full_match(currency, '[A-Z]{3}'), false)",
                    "no rate_to_usd, or not a decimal number": no_price("rate_to_usd"),
                    "rate_to_usd is not above 0": "TRY_CAST(rate_to_usd AS DECIMAL(38, 12)) <= 0",
                    "a US dollar is 1 US dollar": "currency = 'USD' AND TRY_CAST(rate_to_usd AS DECIMAL(38, 12)) <> 1",
                    "no valid_from, or not a date": "valid_from IS NULL",
                    "valid_from or valid_to is not a day: a rate holds for whole UTC days": (
                        "valid_from <> date_trunc('day', valid_from) OR valid_to <> date_trunc('day', valid_to)"
                    ),
                    "valid_to is not after valid_from": "valid_to <= valid_from",
                },
                span=("valid_from", "valid_to"),
            )
            return whole_or_refused(landed, incoming)
