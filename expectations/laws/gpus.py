"""GPU time: its seconds and dollars by class, by GPU and by holder."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import TYPE_CHECKING

from expectations import none_where
from expectations.laws.shared import GPU_CLASSES, activity_ratio_law, is_one_of, money

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation


# each class's seconds are rounded down to a millionth, as their sum is: the classes together lack less than this
ROUNDING_SECONDS = f"{len(GPU_CLASSES) / 1_000_000:.6f}"
GPU_STATES = ("held_idle", "unallocated_idle", "no_activity_value", "stale_telemetry", "never_observed")


def fct_gpu_utilization(days: Collection[dt.date]) -> list[Expectation]:
    """Seconds and dollars of each GPU-hour by class."""
    seconds = " + ".join(f"{name}_seconds" for name in GPU_CLASSES)
    dollars = " + ".join(f"{name}_cost_usd" for name in GPU_CLASSES)
    key = "usage_hour, node, gpu_key"
    return [
        none_where(
            "the seconds by class sum to billed_seconds",
            f"not coalesce(billed_seconds - ({seconds}) between 0 and {ROUNDING_SECONDS}, false)",
            f"{key}, billed_seconds, {seconds} as class_seconds",
            column="billed_seconds",
        ),
        none_where(
            "the dollars by class sum to cost_usd",
            f"cost_usd is distinct from {dollars}",
            f"{key}, cost_usd, {dollars} as class_cost_usd",
            column="cost_usd",
        ),
        activity_ratio_law(key),
    ]


def fct_workload_hourly(days: Collection[dt.date]) -> list[Expectation]:
    """Holders by the hour: their seconds are the sum of the classes."""
    seconds = " + ".join(f"{name}_seconds" for name in GPU_CLASSES)
    return [
        *money(("cost_usd", *(f"{name}_cost_usd" for name in GPU_CLASSES))),
        none_where(
            "gpu_seconds is the sum of its classes",
            f"gpu_seconds <> {seconds}",
            "usage_date, usage_hour, node_key, workload_key, gpu_seconds",
            column="gpu_seconds",
        ),
    ]


def fct_idle_gpu(days: Collection[dt.date]) -> list[Expectation]:
    """Idle GPUs: only what was seen idle has idle dollars."""
    idle = "gpu_state in ('held_idle', 'unallocated_idle')"
    return [
        *is_one_of("gpu_state", GPU_STATES),
        none_where(
            "a GPU is idle since some hour exactly where it was seen idle",
            f"({idle}) <> (idle_since_hour is not null) or (idle_cost_usd is not null and not ({idle}))",
            "gpu_key, gpu_state, idle_since_hour",
            column="idle_since_hour",
        ),
    ]
