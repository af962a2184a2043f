"""Revenue: what 1,000 requests to an endpoint earn, as the business states it, by UTC day.

Belongs here: the columns and spellings of the file, and what makes a row usable. Does not: the revenue of a day and the margin (dbt);
rates that contradict each other (expectations/doors sees all files at once).
"""

from __future__ import annotations

from pipelines.ingestion.records import Records
from pipelines.ingestion.stated_tables import NO_INTERVAL, Reading, StatedTable, no_number, no_whole_days, too_fine
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


class Revenue(StatedTable):
    """A file of dated revenue per 1,000 requests."""

    kind = "revenue"
    description = "Dated revenue per 1,000 requests of an endpoint, in US dollars."
    tables = (RATES,)
    aliases = ALIASES
    required = ("endpoint", "revenue_per_1k_usd", "valid_from")

    def reading(self, records: Records) -> Reading:
        """Rates of endpoints."""
        amount = "revenue_per_1k_usd"
        return Reading(
            {"endpoint": self.text(records, "endpoint"), "model": self.text(records, "model"), amount: self.amount(records, amount)},
            {
                "no endpoint": "endpoint IS NULL",
                f"no {amount}, or not a decimal number": no_number(amount),
                f"{amount} is negative": f"TRY_CAST({amount} AS DOUBLE) < 0",
                f"{amount} has more than six decimals": (
                    f"{too_fine(amount)} OR TRY_CAST({amount} AS DECIMAL(38, 12)) = 0 AND TRY_CAST({amount} AS DOUBLE) <> 0"
                ),
                "no valid_from, or not a day": "valid_from IS NULL",
                **no_whole_days("a rate"),
                **NO_INTERVAL,
            },
        )
