"""Rate cards: what a GPU-hour or node-hour costs where no bill says so, or does not yet.

Belongs here: the columns and spellings of a rate card. Does not: which rule prices which node (dbt, room `rates`); contradicting
rules (expectations/doors).
"""

from __future__ import annotations

from pipelines.ingestion.records import Records
from pipelines.ingestion.stated_tables import NO_INTERVAL, Reading, StatedTable, currency_code, no_number, truth
from pipelines.source import Column, RawTable

RATES = RawTable(
    "rates",
    "One price over one validity interval, for the nodes of a provider, GPU model and pool.",
    (
        Column("provider", "VARCHAR", "The provider whose nodes it prices, as the inventory writes it; NULL: any."),
        Column("gpu_model", "VARCHAR", "GPU model, or consecutive words of it (A100); NULL: any."),
        Column("pool", "VARCHAR", "Node pool, as the inventory writes it; NULL: any."),
        Column("rate_unit", "VARCHAR", "gpu_hour or node_hour: what the price is for."),
        Column("hourly_rate", "MONEY", "The price of one such hour, in the currency; not negative."),
        Column("currency", "VARCHAR", "ISO 4217 code; USD where the file names none."),
        Column("valid_from", "TIMESTAMP", "First instant of the price, UTC; NULL: from the beginning."),
        Column("valid_to", "TIMESTAMP", "First instant at which it no longer holds, UTC; NULL: still valid."),
        Column("is_bill", "BOOLEAN", "Whether the rate card is the bill of these nodes: it becomes charges, not estimates."),
    ),
)

ALIASES = {
    "pool": ("pool", "node_pool"),
    "rate_unit": ("rate_unit", "unit", "per"),
    "hourly_rate": ("hourly_rate", "rate", "price", "amount"),
}


class RateCard(StatedTable):
    """A file of dated prices."""

    kind = "rate_card"
    description = "Dated rate card: $ per GPU-hour or node-hour, as an estimate until the bill comes or as the bill itself."
    tables = (RATES,)
    aliases = ALIASES
    required = ("rate_unit", "hourly_rate")

    def reading(self, records: Records) -> Reading:
        """Prices; one that does not say that it is the bill is an estimate."""
        said = records.text("is_bill")
        is_bill = f"CASE WHEN {said} IS NULL THEN false ELSE {truth(said)} END"
        expressions = {
            **{column: self.text(records, column) for column in ("provider", "gpu_model", "pool")},
            "rate_unit": f"regexp_replace(lower(trim({records.text(*ALIASES['rate_unit'])})), '[^a-z]+', '_', 'g')",
            "hourly_rate": self.amount(records, "hourly_rate"),
            "currency": f"coalesce({currency_code(records.text('currency'))}, 'USD')",
            "is_bill": is_bill,
        }
        unusable = {
            "rate_unit is neither gpu_hour nor node_hour": "coalesce(rate_unit, '') NOT IN ('gpu_hour', 'node_hour')",
            "no hourly_rate, or not a decimal number": no_number("hourly_rate"),
            "hourly_rate is negative": "TRY_CAST(hourly_rate AS DOUBLE) < 0",
            "currency is not three letters": "NOT regexp_full_match(currency, '[A-Z]{3}')",
            "gpu_model has no letter and no digit": "NOT regexp_matches(gpu_model, '[A-Za-z0-9]')",
            **NO_INTERVAL,
        }
        return Reading(expressions, unusable, given={"is_bill": (said, is_bill)})
