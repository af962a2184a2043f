"""Currency rates: what one unit of a billing currency is in US dollars, by day.

Belongs here: the columns and spellings of such a table. Does not: the conversion of charges (dbt); days without a rate and
contradicting rows (expectations/doors).
"""

from __future__ import annotations

from pipelines.ingestion.records import Records
from pipelines.ingestion.stated_tables import NO_INTERVAL, Reading, StatedTable, currency_code, no_number, no_whole_days
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


class CurrencyRates(StatedTable):
    """A file of dated exchange rates."""

    kind = "currency_rates"
    description = "Dated exchange rates: US dollars for one unit of a billing currency."
    tables = (RATES,)
    aliases = ALIASES
    required = ("currency", "rate_to_usd", "valid_from")

    def reading(self, records: Records) -> Reading:
        """Rates of currencies."""
        return Reading(
            {"currency": currency_code(records.text(*ALIASES["currency"])), "rate_to_usd": self.amount(records, "rate_to_usd")},
            {
                "currency is not three letters": "NOT coalesce(regexp_full_match(currency, '[A-Z]{3}'), false)",
                "no rate_to_usd, or not a decimal number": no_number("rate_to_usd"),
                "rate_to_usd is not above 0": "TRY_CAST(rate_to_usd AS DECIMAL(38, 12)) <= 0",
                "a US dollar is 1 US dollar": "currency = 'USD' AND TRY_CAST(rate_to_usd AS DECIMAL(38, 12)) <> 1",
                "no valid_from, or not a date": "valid_from IS NULL",
                **no_whole_days("a rate"),
                **NO_INTERVAL,
            },
        )
