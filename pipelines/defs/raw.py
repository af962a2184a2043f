"""The raw assets: one per raw table of each source kind, keyed as dbt names it in ``source('<kind>', '<table>')``.

Belongs here: how landed deliveries look in the asset graph. Does not: ingestion (pipelines/ingestion, pipelines/sources). A new
source kind appears here by itself.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from pipelines.orchestration import dbt_manifest
from pipelines.orchestration.days import DAILY, ONE_RUN
from pipelines.orchestration.failures import RETRIES, explained
from pipelines.orchestration.relations import COLUMN_SCHEMA, ROW_COUNT, column_schema
from pipelines.orchestration.staged_night import StagedNight
from pipelines.source import Delivery, Source, Window, source_kinds

MAX_EXAMPLES = 20  # of rejected rows in one materialization; the delivery's marker has them all


@dg.definitions
def raw() -> dg.Definitions:
    """Every source kind that is found in ``pipelines.sources``."""
    owners = dbt_manifest.owners(dbt_manifest.manifest(), "staging")
    return dg.Definitions(assets=[raw_assets(kind, source, owners) for kind, source in source_kinds().items()])


def raw_assets(kind: str, source: type[Source], owners: Sequence[str]) -> dg.AssetsDefinition:
    """The raw tables of ``kind``, landed together."""
    specs = [
        dg.AssetSpec(
            key=[kind, table.name],
            description=f"{table.description}\n\n{source.description}",
            group_name="raw",
            owners=list(owners),
            kinds={"python", "parquet"},
            metadata={COLUMN_SCHEMA: column_schema(table)},
        )
        for table in source.tables
    ]

    @dg.multi_asset(
        name=f"ingest_{kind}", specs=specs, can_subset=True, partitions_def=DAILY, backfill_policy=ONE_RUN, retry_policy=RETRIES
    )
    def ingest(context: dg.AssetExecutionContext, night: dg.ResourceParam[StagedNight]) -> Iterator[dg.MaterializeResult]:
        with explained():
            deliveries = night.ingest(kind, context.log.info)
        configured = [entry["name"] for entry in night.settings.values.sources if entry.get("kind") == kind]
        for key in sorted(context.selected_asset_keys):
            for day, metadata in landed_by_day(key.path[-1], deliveries, night.window).items():
                context.add_asset_metadata(metadata, asset_key=key, partition_key=day)
            yield dg.MaterializeResult(asset_key=key, metadata=landed(deliveries, configured))

    return ingest


def landed(deliveries: Sequence[Delivery], configured: Sequence[str]) -> dict[str, Any]:
    """What is told about every delivery of a source kind that counts now."""
    rejected = [{"source": d.source, "period": d.period, **entry} for d in deliveries for entry in d.rejected]
    told: dict[str, Any] = {
        "sources": ", ".join(configured) or "none is configured: no rows",
        "deliveries": len(deliveries),
        "rejected_rows": sum(int(entry["rows"]) for entry in rejected),
    }
    return told | ({"rejected": dg.MetadataValue.json(rejected[:MAX_EXAMPLES])} if rejected else {})


def landed_by_day(table: str, deliveries: Sequence[Delivery], window: Window) -> dict[str, dict[str, Any]]:
    """Per day of the window: rows and deliveries that can touch it. A monthly bill counts whole on each of its days."""
    found = {}
    for day in window.days():
        touching = [d for d in deliveries if d.covers and d.covers[0] <= day <= d.covers[1]]
        rows = sum(file.rows for d in touching for file in d.files if file.table == table)
        found[day.isoformat()] = {ROW_COUNT: rows, "deliveries_of_the_day": len(touching)}
    return found
