"""Carbon factors: what a kWh of electricity emits at a place, as somebody states it.

Belongs here: the columns and spellings of the file, and what makes a row usable. Does not: which factor a node takes (dbt). None is
shipped: a factor is a figure of yours or of your supplier, and its source stands on every row that it makes.
"""

from __future__ import annotations

from pipelines.ingestion.file_source import Converted, FileSource, Incoming
from pipelines.ingestion.prices import no_price, whole_or_refused
from pipelines.ingestion.records import land_records, open_records
from pipelines.landing import Staging
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


def _too_fine(column: str) -> str:
    return f"TRY_CAST({column} AS DECIMAL(38, 12)) <> round(TRY_CAST({column} AS DECIMAL(38, 12)), 6)"


class CarbonFactors(FileSource):
    """A file (CSV, JSON, Parquet) of dated carbon factors."""

    kind = "carbon_factors"
    description = "Dated carbon factors of electricity by place, each with its stated source."
    tables = (FACTORS,)
    formats = ("csv", "tsv", "json", "parquet")

    def convert(self, incoming: Incoming, staging: Staging) -> Converted:
        """One table of factors; refused as a whole where a row cannot be used."""
        with open_records(incoming) as records:
            records.require([ALIASES["grams_co2e_per_kwh"], ALIASES["stated_source"]], incoming.where)
            grams, pue = "grams_co2e_per_kwh", "pue"
            landed = land_records(
                records,
                incoming,
                staging,
                FACTORS,
                aliases=ALIASES,
                expressions={
                    grams: f"trim({records.text(*ALIASES[grams])})",
                    pue: f"nullif(trim({records.text(pue)}), '')",
                    "stated_source": f"nullif(trim({records.text(*ALIASES['stated_source'])}), '')",
                },
                unusable={
                    "no grams_co2e_per_kwh, or not a decimal number": no_price(grams),
                    "grams_co2e_per_kwh is not from 0 to 10,000": f"TRY_CAST({grams} AS DOUBLE) NOT BETWEEN 0 AND 10000",
                    "pue is not a decimal number": f"{pue} IS NOT NULL AND {no_price(pue)}",
                    "pue is not from 1 to 10": f"TRY_CAST({pue} AS DOUBLE) NOT BETWEEN 1 AND 10",
                    "more than six decimals": f"{_too_fine(grams)} OR {_too_fine(pue)}",
                    "no stated_source: a factor says whose figure it is": "stated_source IS NULL",
                    "no place: neither provider, region, zone nor cluster": (
                        "provider IS NULL AND region IS NULL AND zone IS NULL AND cluster IS NULL"
                    ),
                    "valid_from or valid_to is not a day: a factor holds for whole UTC days": (
                        "valid_from <> date_trunc('day', valid_from) OR valid_to <> date_trunc('day', valid_to)"
                    ),
                    "valid_to is not after valid_from": "valid_to <= valid_from",
                },
                span=("valid_from", "valid_to"),
            )
            return whole_or_refused(landed, incoming)
