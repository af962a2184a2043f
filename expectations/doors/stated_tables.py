"""Small tables that people write: never two answers to one question, all files together.

Belongs here: what must be true of the raw rows. Does not: what the rows mean (dbt staging).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations import no_rows, none_where
from expectations.doors.shared import DATED_RATES, HOLDS, Door, filled

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation


def rate_card__rates(door: Door) -> list[Expectation]:
    """Rate cards, all files together: never two answers to what a node-hour costs."""
    place = "lower(provider) as for_provider, lower(pool) as for_pool, trim(regexp_replace(lower(gpu_model), '[^a-z0-9]+', ' ', 'g')) as for_model"
    ambiguous = _begin_at_once(place, "concat(hourly_rate, ' ', currency, ' per ', rate_unit)", "prices")
    days = "(select usage_date from ops.dirty_days)"
    query = f"{DATED_RATES} select r.currency, d.usage_date as day_without_rate, min(_file) as _file, min(_row) as _row from {{batch}} as r"  # noqa: S608
    unrated = (
        f"{query} inner join {days} as d on coalesce(r.valid_from < d.usage_date + interval 1 day, true) and coalesce(r.valid_to > d.usage_date, true)"
        f" left join dated on dated.currency = r.currency and {HOLDS} where r.currency <> 'USD' and dated.currency is null group by 1, 2 order by 1, 2"
    )
    return [
        filled("rate_unit"),
        filled("hourly_rate"),
        no_rows("no two prices begin at once for the same provider, pool and GPU model", ambiguous, column="hourly_rate"),
        no_rows("a price has a rate to US dollars on every day (add a source of kind currency_rates)", unrated, column="currency"),
    ]


def currency_rates__rates(door: Door) -> list[Expectation]:
    """Exchange rates, all files together: one rate for a currency on a day."""
    positive = "coalesce(try_cast(rate_to_usd as decimal(38, 12)) > 0, false)"
    return [
        filled("currency"),
        none_where("a rate is above 0", f"not {positive}", "_file, _row, currency, rate_to_usd", column="rate_to_usd"),
        no_rows("a currency has one rate on a day", _two_on_a_day("currency"), column="valid_from"),
    ]


def carbon_factors__factors(door: Door) -> list[Expectation]:
    """Carbon factors, all files together: never two answers to what a kWh emits."""
    place = "lower(provider) as for_provider, lower(region) as for_region, lower(zone) as for_zone, lower(cluster) as for_cluster"
    ambiguous = _begin_at_once(place, "concat(grams_co2e_per_kwh, ' by ', stated_source)", "factors")
    return [
        filled("grams_co2e_per_kwh"),
        filled("stated_source"),
        no_rows("no two carbon factors begin at once for the same place", ambiguous, column="grams_co2e_per_kwh"),
    ]


def model_quality__measurements(door: Door) -> list[Expectation]:
    """Evaluations, all files together: one figure for one question at one instant, and one direction for a metric of a model."""
    key = "model, model_version, metric, evaluation_set, measured_at"
    figures = "string_agg(distinct cast(try_cast(quality as decimal(38, 12)) as varchar), ', ' order by cast(try_cast(quality as decimal(38, 12)) as varchar))"
    contradicting = (
        f"select {key}, {figures} as qualities, min(_file) as _file, min(_row) as _row from {{batch}}"  # noqa: S608
        f" group by {key} having count(distinct try_cast(quality as decimal(38, 12))) > 1 order by all"
    )
    two_ways = (
        "select model, metric, min(_file) as _file, min(_row) as _row from {batch} group by model, metric"
        " having count(distinct is_higher_better) > 1 order by all"
    )
    return [
        *(filled(column) for column in ("model", "model_version", "metric", "evaluation_set", "quality")),
        no_rows("one quality of a version, metric and evaluation set at one instant", contradicting, column="quality"),
        no_rows("higher or lower is better: one of them for a metric of a model", two_ways, column="is_higher_better"),
    ]


def revenue__rates(door: Door) -> list[Expectation]:
    """Revenue, all files together: an endpoint (and model) earns one rate on a day. An open rate ends where the next begins."""
    return [
        filled("endpoint"),
        filled("revenue_per_1k_usd"),
        no_rows("an endpoint and model earn one rate on a day", _two_on_a_day("endpoint", "model"), column="valid_from"),
    ]


def _begin_at_once(place: str, answer: str, answers: str) -> str:
    """SQL: the entries for one place (columns with names) that begin at one instant, several of them; NULL is a place too."""
    return (
        f"select {place}, valid_from as since, string_agg({answer}, ', ' order by _file, _row) as {answers},"  # noqa: S608
        f" min(_file) as _file, min(_row) as _row from {{batch}} group by all having count(*) > 1 order by all"
    )


def _two_on_a_day(*key: str) -> str:
    """SQL: the rows of one key whose days another row has too. An open one ends where the next begins."""
    same = " and ".join(f"one.{column} is not distinct from two.{column}" for column in key)
    return (
        f"select {', '.join(f'one.{column}' for column in key)}, one.valid_from, one.valid_to, two.valid_from as other_valid_from, one._file, one._row"  # noqa: S608
        f" from {{batch}} as one inner join {{batch}} as two on {same} and (one._file, one._row) <> (two._file, two._row)"
        " and one.valid_from <= two.valid_from and (two.valid_from = one.valid_from or two.valid_from < one.valid_to) order by all"
    )
