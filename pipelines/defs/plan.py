"""The plan of a night as assets: the bookkeeping and the policy that dbt reads as sources.

Belongs here: their place in the graph, after every raw table. Does not: which days a night computes (planning.py).
"""

from collections.abc import Iterator

import dagster as dg

from pipelines.orchestration import dbt_manifest
from pipelines.orchestration.days import DAILY, ONE_RUN
from pipelines.orchestration.failures import explained
from pipelines.orchestration.relations import ROW_COUNT, row_counts
from pipelines.orchestration.staged_night import StagedNight
from pipelines.source import source_kinds

PLANNED_SOURCES = ("ops", "policy")


@dg.definitions
def planned() -> dg.Definitions:
    """The dbt sources that planning writes."""
    content = dbt_manifest.manifest()
    raw_keys = [dg.AssetKey([kind, table.name]) for kind, source in source_kinds().items() for table in source.tables]
    specs = [
        dg.AssetSpec(
            key=[table["source_name"], table["name"]],
            deps=raw_keys if table["source_name"] == "ops" else [],
            description=table["description"],
            group_name="plan",
            owners=dbt_manifest.owners(content, "staging"),
            kinds={"python", "duckdb"},
        )
        for name in PLANNED_SOURCES
        for table in dbt_manifest.sources(content, name)
    ]

    @dg.multi_asset(name="plan", specs=specs, can_subset=True, partitions_def=DAILY, backfill_policy=ONE_RUN)
    def plan(context: dg.AssetExecutionContext, night: dg.ResourceParam[StagedNight]) -> Iterator[dg.MaterializeResult]:
        with explained():
            decided = night.reach("plan", context.log.info).planned
        days = {
            "days_to_compute": len(decided.dirty_days),
            "telemetry_days_to_compute": len(decided.dirty_telemetry_days),
            "published_days": len(decided.known_days),
            "is_full_refresh": decided.full_refresh,
        }
        keys = sorted(context.selected_asset_keys)
        rows = row_counts(night.settings, ((key.path[0], key.path[1]) for key in keys))
        for key in keys:
            metadata = {ROW_COUNT: rows[(key.path[0], key.path[1])], **(days if key.path[0] == "ops" else {})}
            yield dg.MaterializeResult(asset_key=key, metadata=metadata)

    return dg.Definitions(assets=[plan])
