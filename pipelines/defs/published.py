"""The release as an asset: what BI reads, with its dollars per day plotted over time.

Belongs here: what a publication tells. Does not: publishing (publish.py), the figures (dbt_project).
"""

import datetime as dt
from typing import Any

import dagster as dg

from pipelines import nightly
from pipelines.doctor import STALE_AFTER
from pipelines.orchestration import dbt_manifest
from pipelines.orchestration.days import DAILY, ONE_RUN
from pipelines.orchestration.failures import explained
from pipelines.orchestration.staged_night import StagedNight
from pipelines.settings import Settings

RELEASE = dg.AssetKey(["published", "release"])
# Fails when the doctor calls the release stale; warns two hours after a night that did not end.
FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=STALE_AFTER, warn_window=dt.timedelta(hours=26))


@dg.definitions
def published() -> dg.Definitions:
    """The release, after every published model."""
    content = dbt_manifest.manifest()

    @dg.asset(
        key=RELEASE,
        deps=dbt_manifest.published_keys(content),
        description="The audited release that BI reads: one DuckDB file and Parquet, swapped as a whole. Its dollars are those of the partition's day.",
        group_name="published",
        owners=dbt_manifest.owners(content, "published"),
        kinds={"duckdb", "parquet"},
        partitions_def=DAILY,
        backfill_policy=ONE_RUN,
        freshness_policy=FRESHNESS,
    )
    def release(context: dg.AssetExecutionContext, night: dg.ResourceParam[StagedNight]) -> dg.MaterializeResult:
        with explained():
            done = night.reach("publish", context.log.info)
        asked = set(night.window.days())
        told = about(done)
        for day in sorted(asked):
            context.add_asset_metadata(dollars(night.settings, day), partition_key=day.isoformat())
        for day in sorted(done.planned.dirty_days - asked):
            if DAILY.has_partition_key(day.isoformat()):  # a restated day has new dollars too
                context.log_event(
                    dg.AssetMaterialization(RELEASE, partition=day.isoformat(), metadata={**told, **dollars(night.settings, day)})
                )
        return dg.MaterializeResult(metadata=told)

    return dg.Definitions(assets=[release])


def dollars(settings: Settings, day: dt.date) -> dict[str, dg.MetadataValue]:
    """One day's billed, attributed, unattributed and residual dollars, as numbers that the UI plots. The release has them exactly."""
    return {name: dg.MetadataValue.float(float(amount)) for name, amount in nightly.money(settings, {day}).items()}


def about(done: nightly.Night) -> dict[str, Any]:
    """What is told about the release as a whole."""
    return {
        "release_id": done.release.release_id,
        "is_new": done.release.is_new,
        "computed_days": len(done.planned.dirty_days),
        "published_days": len(done.planned.known_days),
        "path": dg.MetadataValue.path(str(done.release.folder)),
    }
