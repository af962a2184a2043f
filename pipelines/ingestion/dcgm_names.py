"""The names that DCGM metrics have had, read from the one table of them: dbt_project/seeds/dcgm_metric_names.csv.

Belongs here: which name is which measure, which names look like activity and are none. Does not: labels (sources/dcgm.py), values
and their scale (dbt).

Names of old and new exporters, of collectors that spell them with dots, and of writers that add `_total` or a unit: the table's column
`documented_by` says who delivers each. Names are compared in lower case.
"""

from __future__ import annotations

import csv
import re
from functools import cache

from pipelines.ingestion.tabular import literal
from pipelines.settings import REPOSITORY

TABLE = REPOSITORY / "dbt_project" / "seeds" / "dcgm_metric_names.csv"
_PREFIXES = ("dcgm_", "dcgm.", "gpu.dcgm.", "gpu_dcgm_")
_ACTIVITY = re.compile(r"(util|utilization|active|activity|busy)(_total|_ratio|_percent|_pct)?$")
# one part of the GPU, not the GPU: pipes, memory, codecs, links; `violation` counters are times
_PART = re.compile(
    r"pipe|tensor|imma|hmma|dfma|fp(16|32|64)|int_active|dram|mem|nvdec|nvjpg|nvofa|enc_|dec_|encoder|decoder|codec|occupancy|"
    r"violation|nvlink|c2c|pcie|link"
)


@cache
def measures() -> dict[str, tuple[str, float]]:
    """Name in lower case -> (the measure, what its value is multiplied by)."""
    with TABLE.open(newline="", encoding="utf-8") as handle:
        return {row["metric_name"]: (row["measure"], float(row["factor"])) for row in csv.DictReader(handle)}


def column_names(measure: str) -> tuple[str, ...]:
    """The names that a column of a wide file may have for ``measure``, best first: those whose values need no conversion."""
    return tuple(name for name, (of, factor) in measures().items() if of == measure and factor == 1)


def is_dcgm(name: str) -> bool:
    """Whether a metric of this name comes from DCGM."""
    return name.lower().startswith(_PREFIXES)


def is_unknown_activity(name: str) -> bool:
    """Whether a DCGM metric looks like the activity of a GPU under a name that the table does not have."""
    lower = name.lower()
    return is_dcgm(lower) and lower not in measures() and bool(_ACTIVITY.search(lower)) and not _PART.search(lower)


def unknown_activity_sql(metric: str) -> str:
    """SQL: ``is_unknown_activity`` of a column of metric names."""
    known = ", ".join(literal(name) for name in measures())
    prefixed = " OR ".join(f"starts_with(lower({metric}), {literal(prefix)})" for prefix in _PREFIXES)
    return (
        f"({prefixed}) AND regexp_matches(lower({metric}), {literal(_ACTIVITY.pattern)})"
        f" AND NOT regexp_matches(lower({metric}), {literal(_PART.pattern)}) AND lower({metric}) NOT IN ({known})"
    )
