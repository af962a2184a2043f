"""When a night runs: every asset, for yesterday, at 06:00 UTC.

Belongs here: the job and its schedule. Does not: what runs; both select everything, so that a new source changes nothing here.
"""

from __future__ import annotations

import dagster as dg

from pipelines.orchestration.days import DAILY

nightly = dg.define_asset_job(
    "nightly",
    selection=dg.AssetSelection.all(),
    partitions_def=DAILY,
    executor_def=dg.in_process_executor,
    description="Ingest, plan, check, transform, check again and publish, for one UTC day or a range of days in one run.",
    # A run whose process died begins anew from its first step. One that a step refused does not: a gate gives the same answer again,
    # and ingestion repeats its own requests.
    tags={"dagster/max_retries": "2", "dagster/retry_strategy": "ALL_STEPS", "dagster/retry_on_asset_or_op_failure": "false"},
)

# 06:00 UTC: late enough for the bills of the day before; a deployment turns it on in the UI.
nightly_schedule = dg.build_schedule_from_partitioned_job(
    nightly, name="nightly_schedule", hour_of_day=6, minute_of_hour=0, description="Yesterday (UTC), at 06:00 UTC."
)
