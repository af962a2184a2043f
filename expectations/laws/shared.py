"""Laws that several tables have.

Belongs here: the shapes of a law. Does not: one table's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from expectations import no_rows, none_where

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation


COST_CLASSES = (
    "used", "held_idle", "unallocated_idle", "stranded", "unknown", "not_measured", "unused_commitment", "commitment_true_up",
    "tax_and_fees", "credit", "rounding", "quarantined", "unattributed",
)  # fmt: skip
GPU_CLASSES = ("used", "held_idle", "unallocated_idle", "stranded", "unattributed", "unknown")
MONEY_TYPE = "DECIMAL(38,12)"


def within(days: Collection[dt.date]) -> str:
    """SQL: the row is of one of ``days``."""
    listed = ", ".join(f"date '{day.isoformat()}'" for day in sorted(days))
    return f"usage_date in ({listed})" if listed else "false"


def money(columns: Sequence[str]) -> list[Expectation]:
    """Money that is never missing, in the exact type."""
    import great_expectations.expectations as gxe

    return [e for c in columns for e in (gxe.ExpectColumnValuesToNotBeNull(column=c, severity="critical"), exact(c))]


def exact(column: str) -> Expectation:
    """Money in the exact type."""
    query = f"select typeof({column}) as found_type from {{batch}} where typeof({column}) <> '{MONEY_TYPE}' limit 1"  # noqa: S608
    return no_rows(f"{column} is {MONEY_TYPE}", query, column=column)


def is_one_of(column: str, values: Sequence[str]) -> list[Expectation]:
    """One of the words that there are, and never none."""
    import great_expectations.expectations as gxe

    return [
        gxe.ExpectColumnValuesToNotBeNull(column=column, severity="critical"),
        gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values), severity="critical"),
    ]


def reason_where_missing(what: str, column: str, reason: str, shown: str) -> Expectation:
    """A figure is NULL with a reason, or there without one."""
    condition = f"({column} is null) <> ({reason} is not null)"
    return none_where(f"{what} is missing exactly where a reason is given", condition, shown, column=column)


def activity_ratio_law(key: str) -> Expectation:
    """A share of time, where it is known."""
    outside = "not (activity_ratio between 0 and 1) or isnan(activity_ratio)"
    return none_where("activity_ratio is between 0 and 1", outside, f"{key}, activity_ratio", column="activity_ratio")
