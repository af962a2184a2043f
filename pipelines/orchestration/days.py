"""The partitions: UTC days, and the window that a run asks for.

Belongs here: partition definitions and the reading of partition keys. Does not: which of the days are computed (planning.py).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping

import dagster as dg

from pipelines.errors import UsageError
from pipelines.source import Window

FIRST_DAY = dt.date(2026, 1, 1)  # the earliest partition; a night on the command line may go back further
DAILY = dg.DailyPartitionsDefinition(start_date=FIRST_DAY.isoformat(), timezone="UTC")
ONE_RUN = dg.BackfillPolicy.single_run()  # a range is one night: one plan, one dbt invocation, one release

PARTITION, RANGE_START, RANGE_END = "dagster/partition", "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def window_of_tags(tags: Mapping[str, str]) -> Window:
    """The days that a run's tags ask for. Raises UsageError for a run without a partition, and for a key that is no UTC day."""
    if RANGE_START in tags or RANGE_END in tags:
        first, last = day_of_key(tags.get(RANGE_START, "")), day_of_key(tags.get(RANGE_END, ""))
    elif PARTITION in tags:
        first = last = day_of_key(tags[PARTITION])
    else:
        raise UsageError("the run names no day", remedy="materialise for a partition, or for a range of partitions")
    if first > last:
        raise UsageError(f"the range begins at {first}, after its end {last}", remedy="swap them")
    return Window(first, last)


def day_of_key(key: str) -> dt.date:
    """The day of a partition key, which is written YYYY-MM-DD and nothing else. Raises UsageError."""
    try:
        if _DAY.fullmatch(key):
            return dt.date.fromisoformat(key)
    except ValueError:
        pass
    raise UsageError(f"partition key {key[:40]!a} is not a UTC day", remedy="write it as YYYY-MM-DD")
