"""Bills of the clouds. Money that is wrong blocks the night.

Belongs here: what must be true of the raw rows. Does not: what the rows mean (dbt staging).
"""

from __future__ import annotations

import csv
from functools import cache
from typing import TYPE_CHECKING

from expectations import literal, no_rows, none_where
from expectations.doors.shared import DATED_RATES, HOLDS, Door, filled
from pipelines.settings import REPOSITORY

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation


FOCUS_CHARGE_CATEGORIES = ("Usage", "Purchase", "Tax", "Credit", "Adjustment")
GCP_COST_TYPES = ("regular", "tax", "adjustment", "rounding_error")


def aws_cur__line_items(door: Door) -> list[Expectation]:
    """A bill of AWS."""
    import great_expectations.expectations as gxe

    known = ", ".join(literal(name) for name in aws_line_item_types())
    dollars = "sum(try_cast(line_item_unblended_cost as decimal(38, 12)))"
    return [
        filled("line_item_unblended_cost"),
        filled("line_item_usage_account_id"),
        filled("line_item_line_item_type"),
        gxe.ExpectColumnValuesToNotBeNull(column="bill_billing_period_start_date", severity="critical"),
        no_rows(
            "every line item type is known (a new one has no agreed meaning yet)",
            f"select line_item_line_item_type, count(*) as row_count, cast({dollars} as varchar) as dollars, min(_file) as _file, min(_row) as _row"  # noqa: S608
            f" from {{batch}} where line_item_line_item_type not in ({known}) group by 1 order by 1",
            column="line_item_line_item_type",
        ),
        _currency("line_item_currency_code", door.currencies),
        _rate_of_the_day("line_item_currency_code", "coalesce(line_item_usage_start_date, bill_billing_period_start_date)"),
    ]


def gcp_billing__rows(door: Door) -> list[Expectation]:
    """A bill of Google Cloud."""
    import great_expectations.expectations as gxe

    return [
        filled("cost"),
        filled("invoice_month"),
        gxe.ExpectColumnValuesToBeInSet(column="cost_type", value_set=list(GCP_COST_TYPES), severity="critical"),
        no_rows(
            "every credit type is known (a new one has no agreed meaning yet)",
            "with arrays as (select credits, count(*) as row_count, min(_file) as _file, min(_row) as _row from {batch} where credits <> '[]' group by 1),"  # noqa: S608
            " types as (select unnest(json_extract_string(credits, '$[*].type')) as credit_type,"
            " unnest(cast(json_extract_string(credits, '$[*].amount') as decimal(38, 12)[])) as amount, row_count, _file, _row from arrays)"
            " select coalesce(credit_type, '(none)') as credit_type, sum(row_count) as row_count, cast(sum(amount * row_count) as varchar) as dollars,"
            f" min(_file) as _file, min(_row) as _row from types where coalesce(credit_type, '(none)') not in ({_listed('gcp_credit_types')})"
            " group by 1 order by 1",
            column="credits",
        ),
        no_rows(
            "every adjustment type is known (a new one has no agreed meaning yet)",
            "select adjustment_info_type, count(*) as row_count, min(_file) as _file, min(_row) as _row from {batch}"  # noqa: S608
            f" where adjustment_info_type <> '' and adjustment_info_type not in ({_listed('gcp_adjustment_types')}) group by 1 order by 1",
            column="adjustment_info_type",
        ),
        no_rows(
            "no row is priced with a commitment and credited for one too (two commitment models: the discount would count twice)",
            'select _file, _row, consumption_model_description, credits from {batch} where credits like \'%"type":"COMMITTED_USAGE_DISCOUNT%\''
            " and coalesce(consumption_model_id, '') <> '7754-699E-0EBF' and lower(coalesce(consumption_model_description, '')) <> 'default'"
            " and coalesce(nullif(consumption_model_id, ''), nullif(consumption_model_description, '')) is not null",
            column="consumption_model_id",
        ),
        _currency("currency", door.currencies),
        _rate_of_the_day("currency", "coalesce(usage_start_time, try_strptime(invoice_month, '%Y%m'))"),
    ]


def focus__rows(door: Door) -> list[Expectation]:
    """A bill in FOCUS."""
    known = ", ".join(literal(name) for name in FOCUS_CHARGE_CATEGORIES)
    dollars = "sum(try_cast(billed_cost as decimal(38, 12)))"
    return [
        filled("billed_cost"),
        filled("effective_cost"),
        no_rows(
            "every charge category is one of the specification's",
            f"select charge_category, count(*) as row_count, cast({dollars} as varchar) as billed, min(_file) as _file, min(_row) as _row"  # noqa: S608
            f" from {{batch}} where coalesce(charge_category, '') not in ({known}) group by 1 order by 1",
            column="charge_category",
        ),
        no_rows(
            "only what a commitment pays for costs something else than it bills (elsewhere effective cost will not sum to the invoice)",
            "select billed_cost, effective_cost, _file, _row from {batch} where charge_category in ('Usage', 'Credit', 'Purchase')"
            " and commitment_discount_id is null and contract_applied is null"
            " and not (charge_category = 'Purchase' and (charge_frequency is not distinct from 'One-Time' or try_cast(effective_cost as double) = 0))"
            " and try_cast(billed_cost as decimal(38, 12)) <> try_cast(effective_cost as decimal(38, 12)) order by _file, _row",
            column="effective_cost",
            severity="warning",
        ),
        _currency("billing_currency", door.currencies),
        _rate_of_the_day("billing_currency", "coalesce(charge_period_start, billing_period_start)"),
    ]


@cache
def aws_line_item_types() -> tuple[str, ...]:
    """The line item types whose meaning is settled: the seed that dbt reads too."""
    return _settled("aws_line_item_types")


@cache
def _settled(seed: str) -> tuple[str, ...]:
    """The first column of a seed of dbt: names whose meaning is settled."""
    with (REPOSITORY / "dbt_project" / "seeds" / f"{seed}.csv").open(newline="", encoding="utf-8") as handle:
        return tuple(row[0] for row in list(csv.reader(handle))[1:])


def _listed(seed: str) -> str:
    return ", ".join(literal(name) for name in _settled(seed))


def _rate_of_the_day(column: str, instant: str) -> Expectation:
    """Every charge of the night's days in another currency than dollars has a rate on its own day (``instant``: SQL of its time)."""
    charged = (
        f"select {column} as currency, cast({instant} as date) as usage_date, count(*) as row_count, min(_file) as _file, min(_row) as _row"  # noqa: S608
        f" from {{batch}} where {column} in (select currency from raw.currency_rates__rates where currency <> 'USD')"
        f" and cast({instant} as date) in (select usage_date from ops.dirty_days) group by 1, 2"
    )
    query = (
        f"{DATED_RATES} select d.currency, d.usage_date as day_without_rate, d.row_count, d._file, d._row from ({charged}) as d"  # noqa: S608
        f" left join dated on dated.currency = d.currency and {HOLDS} where dated.currency is null order by 1, 2"
    )
    return no_rows("a charge has its currency's rate to US dollars on its own day (kind currency_rates)", query, column=column)


def _currency(column: str, currencies: tuple[str, ...]) -> Expectation:
    known = ", ".join(literal(name) for name in currencies)
    query = f"select _file, _row, {column} from {{batch}} where coalesce({column}, '') not in ({known})"  # noqa: S608
    return no_rows(
        f"the currency has a rate to US dollars ({', '.join(currencies)}); add a source of kind currency_rates", query, column=column
    )


def openai_usage__results(door: Door) -> list[Expectation]:
    """OpenAI's account of an organization."""
    counts = ("input_tokens", "input_cached_tokens", "output_tokens", "num_model_requests")
    return [
        no_rows(
            "every query is grouped: usage by model, costs by line item (else dollars and tokens cannot meet)",
            "select result_object, grouped_by, _file, _row from {batch} where result_number is not null"
            " and not (coalesce(grouped_by, '') like '%model%' or coalesce(grouped_by, '') like '%line_item%') order by _file, _row",
            column="grouped_by",
            severity="warning",
        ),
        no_rows(
            "a cost has an amount in US dollars",
            "select amount, currency, _file, _row from {batch} where result_object = 'organization.costs.result' and result_number is not null"
            " and (coalesce(amount, '') = '' or currency is distinct from 'usd') order by _file, _row",
            column="amount",
        ),
        no_rows(
            "a bucket is part of one UTC day",
            "select bucket_start, bucket_end, _file, _row from {batch} where bucket_start is null or bucket_end is null or bucket_end <= bucket_start"
            " or date_trunc('day', bucket_end - interval 1 microsecond) <> date_trunc('day', bucket_start) order by _file, _row",
            column="bucket_start",
        ),
        none_where("no count is negative", " or ".join(f"{name} < 0" for name in counts), "_file, _row", column="num_model_requests"),
        no_rows(
            "cached tokens are part of the input tokens",
            "select input_tokens, input_cached_tokens, _file, _row from {batch} where input_cached_tokens > input_tokens order by _file, _row",
            column="input_cached_tokens",
            severity="warning",
        ),
    ]
