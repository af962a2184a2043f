"""What checks of several kinds share."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from expectations import Severity, none_where

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation


# what staging makes of the exchange rates: a rate without an end holds until the currency's next one
DATED_RATES = (
    "with dated as (select currency, cast(valid_from as date) as since, coalesce(cast(valid_to as date),"
    " lead(cast(valid_from as date)) over (partition by currency order by valid_from), date '9999-12-31') as until from raw.currency_rates__rates)"
)
HOLDS = "d.usage_date >= dated.since and d.usage_date < dated.until"


@dataclass(frozen=True)
class Delivered:
    """What one delivery brought for one raw table; ``is_needed`` where the night must see it."""

    rows: int
    is_needed: bool


@dataclass(frozen=True)
class Door:
    """What the suites need to know: the currencies that have a rate to US dollars, the days to compute, and by relation and delivery what was landed."""

    currencies: tuple[str, ...]
    days: tuple[dt.date, ...]
    delivered: Mapping[str, Mapping[str, Delivered]]
    expects_telemetry: bool


def filled(column: str, severity: Severity = "critical") -> Expectation:
    """A text that is there."""
    return none_where(f"{column} is filled", f"{column} is null or {column} = ''", "_file, _row", column=column, severity=severity)
