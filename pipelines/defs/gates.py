"""The two gates of a night as blocking asset checks: at the door over what came in, at the exit over what would go out.

Belongs here: which asset a gate's results are shown at, and that nothing passes a gate that refused. Does not: the expectations
(expectations/), their running (checks.py). A gate that refuses fails its step besides: a failed check alone fails no run.
"""

from collections.abc import Iterator

import dagster as dg

from pipelines.checks import CheckReport, CheckResult
from pipelines.orchestration import dbt_manifest
from pipelines.orchestration.failures import explained
from pipelines.orchestration.staged_night import StagedNight
from pipelines.source import source_kinds

DELIVERIES = dg.AssetKey(["ops", "deliveries"])
MAX_TOLD = 20  # failures written out in one check's metadata


@dg.definitions
def gates() -> dg.Definitions:
    """The door, after planning; the exit, after dbt."""
    raw_keys = [dg.AssetKey([kind, table.name]) for kind, source in source_kinds().items() for table in source.tables]
    published_keys = [dg.AssetKey(key) for key in dbt_manifest.published_keys(dbt_manifest.manifest())]
    what = "Great Expectations over the raw relations, before anything is computed from them."
    door_specs = [
        dg.AssetCheckSpec("door", asset=DELIVERIES, blocking=True, description=what),
        # planning comes after landing, so these show a table's part of the door; the deliveries' check above is what blocks
        *(dg.AssetCheckSpec("door", asset=key, additional_deps=[DELIVERIES], description=what) for key in raw_keys),
    ]
    exit_specs = [
        dg.AssetCheckSpec(
            "exit", asset=key, blocking=True, description="Great Expectations over the computed days, before they are published."
        )
        for key in published_keys
    ]

    @dg.multi_asset_check(name="check_door", specs=door_specs, can_subset=True)
    def door(context: dg.AssetCheckExecutionContext, night: dg.ResourceParam[StagedNight]) -> Iterator[dg.AssetCheckResult]:
        yield from passed_through(context, night, "door")

    @dg.multi_asset_check(name="check_exit", specs=exit_specs, can_subset=True)
    def exit_(context: dg.AssetCheckExecutionContext, night: dg.ResourceParam[StagedNight]) -> Iterator[dg.AssetCheckResult]:
        yield from passed_through(context, night, "exit")

    return dg.Definitions(asset_checks=[door, exit_])


def passed_through(context: dg.AssetCheckExecutionContext, night: StagedNight, gate: str) -> Iterator[dg.AssetCheckResult]:
    """Tell a gate's results, whether it refuses or not; then let its refusal fail the step."""
    wanted = context.selected_asset_check_keys
    try:
        with explained():
            night.reach(f"check_{gate}", context.log.info)
    finally:
        report: CheckReport | None = getattr(night.night, gate)
        for result in told(report) if report is not None else ():
            if dg.AssetCheckKey(result.asset_key, gate) in wanted:
                yield result


def told(report: CheckReport) -> Iterator[dg.AssetCheckResult]:
    """One result for each asset that a suite is about, and at the door one for the deliveries as a whole."""
    if report.gate == "door":
        yield outcome(DELIVERIES, report.gate, report.results)
    by_suite: dict[str, list[CheckResult]] = {}
    for result in report.results:
        by_suite.setdefault(result.suite, []).append(result)
    for suite, results in by_suite.items():
        yield outcome(asset_of(suite), report.gate, results)


def asset_of(suite: str) -> dg.AssetKey:
    """``raw.<kind>__<table>`` is about that raw asset, ``published.<table>`` about that model."""
    schema, _, relation = suite.partition(".")
    return dg.AssetKey(relation.split("__", 1)) if schema == "raw" else dg.AssetKey([schema, relation])


def outcome(asset: dg.AssetKey, gate: str, results: list[CheckResult] | tuple[CheckResult, ...]) -> dg.AssetCheckResult:
    """Failed where one expectation failed; an error, which blocks, where one of those was critical."""
    failed = [r for r in results if not r.success]
    is_critical = any(r.severity == "critical" for r in failed)
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=gate,
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR if is_critical or not failed else dg.AssetCheckSeverity.WARN,
        metadata={
            "expectations": len(results),
            "failed": len(failed),
            **{f"failure_{number}": str(r) for number, r in enumerate(failed[:MAX_TOLD], start=1)},
        },
    )
