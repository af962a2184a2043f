"""Telemetry, inventory and workloads. What is missing becomes `unknown` in the figures, so it warns.

Belongs here: what must be true of the raw rows. Does not: what the rows mean (dbt staging).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations import Severity, no_rows, none_where
from expectations.doors.shared import Door, filled

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation


def dcgm__samples_wide(door: Door) -> list[Expectation]:
    """Telemetry, a column per metric."""
    return [filled("hostname", "warning"), _present("sample_at", "warning")]


def dcgm__samples_long(door: Door) -> list[Expectation]:
    """Telemetry, a row per value."""
    return [filled("metric", "warning"), filled("hostname", "warning"), _present("sample_at", "warning")]


def nodes__nodes(door: Door) -> list[Expectation]:
    """The inventory."""
    overlapping = (
        "with checked as (select lower(hostname) as node, lower(resource_id) as resource, coalesce(valid_from, timestamp '0001-01-01') as since,"
        " coalesce(valid_to, timestamp '9999-12-31') as until, _file, _row from {batch})"
        " select one.node, one.resource, two.resource as other_resource, one._file, one._row from checked as one"
        " inner join checked as two on one.node = two.node and one.resource < two.resource and one.since < two.until and two.since < one.until"
        " order by all"
    )
    return [
        filled("hostname"),
        filled("resource_id", "warning"),
        none_where("gpu_count is not negative", "gpu_count < 0", "_file, _row, gpu_count", column="gpu_count"),
        no_rows("a hostname means one resource at a time", overlapping, column="hostname", severity="warning"),
    ]


def workloads__intervals(door: Door) -> list[Expectation]:
    """Intervals as Kubernetes or a file states them."""
    return [_present("started_at", "warning"), _ends_after_start()]


def slurm__jobs(door: Door) -> list[Expectation]:
    """Slurm's jobs; one that has not started has no start."""
    return [_ends_after_start()]


def mlflow__runs(door: Door) -> list[Expectation]:
    """MLflow's runs."""
    return [_present("started_at", "warning"), _ends_after_start()]


def _present(column: str, severity: Severity) -> Expectation:
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValuesToNotBeNull(column=column, severity=severity)


def _ends_after_start() -> Expectation:
    return none_where(
        "nothing ends before it starts", "ended_at < started_at", "_file, _row, started_at, ended_at", column="ended_at", severity="warning"
    )
