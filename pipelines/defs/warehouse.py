"""The dbt models as assets, and the dbt tests as their checks. One dbt invocation computes all of them.

Belongs here: what dbt did, told to Dagster. Does not: models (dbt_project), the invocation (pipelines/dbt.py).
"""

from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, dbt_assets
from dagster_dbt.asset_utils import get_asset_check_key_for_test

from pipelines.dbt import LawBroken, ModelFailed, NodeResult
from pipelines.orchestration import dbt_manifest
from pipelines.orchestration.days import DAILY, ONE_RUN
from pipelines.orchestration.failures import explained
from pipelines.orchestration.relations import ROW_COUNT, row_counts
from pipelines.orchestration.staged_night import StagedNight
from pipelines.settings import Settings

TRANSLATOR = DagsterDbtTranslator()
MATERIALIZED = ("model", "seed", "snapshot")


@dg.definitions
def warehouse() -> dg.Definitions:
    """Every model and seed of the dbt project."""
    content = dbt_manifest.manifest()

    @dbt_assets(
        manifest=content,
        name="transform",
        exclude="resource_type:unit_test",
        partitions_def=DAILY,
        backfill_policy=ONE_RUN,
        dagster_dbt_translator=TRANSLATOR,
    )
    def transform(
        context: dg.AssetExecutionContext, night: dg.ResourceParam[StagedNight]
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        with explained():
            try:
                results = night.reach("transform", context.log.info).dbt_results
            except (ModelFailed, LawBroken) as error:
                yield from selected(context, checks(content, error.results))
                raise
        yield from selected(context, materializations(content, results, night.settings))
        yield from selected(context, checks(content, results))

    return dg.Definitions(assets=[transform])


def selected(context: dg.AssetExecutionContext, results: Iterable[Any]) -> Iterator[Any]:
    """Those results that this run asked for."""
    for result in results:
        if isinstance(result, dg.AssetCheckResult):
            if result.check_name and dg.AssetCheckKey(result.asset_key, result.check_name) in context.selected_asset_check_keys:
                yield result
        elif result.asset_key in context.selected_asset_keys:
            yield result


def materializations(content: dict[str, Any], results: Iterable[NodeResult], settings: Settings) -> Iterator[dg.MaterializeResult]:
    """One per model or seed that dbt built."""
    built = {r.unique_id: r for r in results if r.resource_type in MATERIALIZED and r.status == "success"}
    relations = {unique_id: (content["nodes"][unique_id]["schema"], content["nodes"][unique_id]["alias"]) for unique_id in built}
    rows = row_counts(settings, relations.values())
    for unique_id, result in built.items():
        metadata: dict[str, Any] = {"seconds": result.seconds, "unique_id": unique_id}
        if relations[unique_id] in rows:
            metadata[ROW_COUNT] = rows[relations[unique_id]]
        yield dg.MaterializeResult(asset_key=TRANSLATOR.get_asset_spec(content, unique_id, None).key, metadata=metadata)


def checks(content: dict[str, Any], results: Iterable[NodeResult]) -> Iterator[dg.AssetCheckResult]:
    """One per dbt test that ran."""
    for result in results:
        key = get_asset_check_key_for_test(content, TRANSLATOR, result.unique_id, None) if result.resource_type == "test" else None
        if key is not None and result.status != "skipped":
            severity = dg.AssetCheckSeverity.WARN if result.status == "warn" else dg.AssetCheckSeverity.ERROR
            yield dg.AssetCheckResult(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=result.status == "pass",
                severity=severity,
                metadata={"status": result.status, "message": result.message, "seconds": result.seconds},
            )
