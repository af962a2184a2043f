"""Carbon factors: what a kWh of electricity emits at a place, as somebody states it.

Belongs here: the columns and spellings of the file, and what makes a row usable. Does not: which factor a node takes (dbt). None is
shipped: a factor is a figure of yours or of your supplier, and its source stands on every row that it makes.
"""

from __future__ import annotations

from pipelines.ingestion.records import Records
from pipelines.ingestion.stated_tables import NO_INTERVAL, Reading, StatedTable, no_number, no_whole_days, too_fine
from pipelines.source import Column, RawTable

FACTORS = RawTable(
    "factors",
    "Grams of CO2e for a kWh at one place over one stretch of UTC days. What it leaves empty of the place is any.",
    (
        Column("provider", "VARCHAR", "Provider, as the inventory of nodes has it: aws, gcp, or any name."),
        Column("region", "VARCHAR", "Region; a zone of it (us-east-1a, us-central1-a) lies in it."),
        Column("zone", "VARCHAR", "Availability zone, as the inventory has it."),
        Column("cluster", "VARCHAR", "Cluster, as the inventory has it."),
        Column("valid_from", "TIMESTAMP", "First UTC day of the factor, at midnight; NULL: from the beginning."),
        Column("valid_to", "TIMESTAMP", "First UTC day on which it no longer holds, at midnight; NULL: still valid."),
        Column("grams_co2e_per_kwh", "MONEY", "Grams of CO2e for a kWh; from 0 to 10,000, six decimals at most."),
        Column("pue", "MONEY", "Power usage effectiveness of the data centre, 1 to 10; NULL: not stated."),
        Column("stated_source", "VARCHAR", "Whose figure it is: publication, table, year, basis (location or market)."),
    ),
)

ALIASES = {
    "region": ("region", "location"),
    "zone": ("zone", "availability_zone"),
    "valid_from": ("valid_from", "from", "date"),
    "valid_to": ("valid_to", "to"),
    "grams_co2e_per_kwh": ("grams_co2e_per_kwh", "gco2e_per_kwh", "g_co2e_per_kwh"),
    "stated_source": ("stated_source", "source", "factor_source"),
}


class CarbonFactors(StatedTable):
    """A file of dated carbon factors."""

    kind = "carbon_factors"
    description = "Dated carbon factors of electricity by place, each with its stated source."
    tables = (FACTORS,)
    aliases = ALIASES
    required = ("grams_co2e_per_kwh", "stated_source")

    def reading(self, records: Records) -> Reading:
        """Factors of places."""
        grams, pue = "grams_co2e_per_kwh", "pue"
        return Reading(
            {grams: self.amount(records, grams), pue: self.text(records, pue), "stated_source": self.text(records, "stated_source")},
            {
                "no grams_co2e_per_kwh, or not a decimal number": no_number(grams),
                "grams_co2e_per_kwh is not from 0 to 10,000": f"TRY_CAST({grams} AS DOUBLE) NOT BETWEEN 0 AND 10000",
                "pue is not a decimal number": f"{pue} IS NOT NULL AND {no_number(pue)}",
                "pue is not from 1 to 10": f"TRY_CAST({pue} AS DOUBLE) NOT BETWEEN 1 AND 10",
                "more than six decimals": f"{too_fine(grams)} OR {too_fine(pue)}",
                "no stated_source: a factor says whose figure it is": "stated_source IS NULL",
                "no place: neither provider, region, zone nor cluster": (
                    "provider IS NULL AND region IS NULL AND zone IS NULL AND cluster IS NULL"
                ),
                **no_whole_days("a factor"),
                **NO_INTERVAL,
            },
        )
