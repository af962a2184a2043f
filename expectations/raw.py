"""What a delivery must be like at the door: the raw relations that the night is about to read.

Belongs here: what must be true of ``raw.<kind>__<table>``. Does not: what the rows mean (dbt staging).

Every table of every source kind gets the checks that its declaration implies (each landed row is read, money can be read). A
function here named ``<kind>__<table>`` adds what that table needs besides. Money that is wrong blocks the night; telemetry and
labels that are missing become `unknown` in the figures, so they warn.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from expectations import Severity, TableSuite, literal, no_rows
from pipelines.settings import REPOSITORY
from pipelines.source import RawTable, source_kinds
from pipelines.warehouse import quote_name

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

ROW = ("_file", "_row")  # the columns that name a raw row
FOCUS_CHARGE_CATEGORIES = ("Usage", "Purchase", "Tax", "Credit", "Adjustment")
GCP_COST_TYPES = ("regular", "tax", "adjustment", "rounding_error")


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


def raw_suites(door: Door) -> list[TableSuite]:
    """One suite per raw table that has landed rows, and one over all telemetry."""
    suites = []
    for kind, source in source_kinds().items():
        for table in source.tables:
            name = f"{kind}__{table.name}"
            landed = door.delivered.get(name, {})
            if not landed:
                continue
            own = globals().get(name)
            expectations = [_every_landed_row_is_read(landed), *_money_is_readable(table), *(own(door) if own else [])]
            suites.append(TableSuite(f"raw.{name}", f"select * from raw.{quote_name(name)}", expectations, ROW))  # noqa: S608
    if door.expects_telemetry and door.days:
        query = "select sample_at from raw.dcgm__samples_wide union all select sample_at from raw.dcgm__samples_long"
        suites.append(TableSuite("raw.dcgm", query, [_telemetry_of_every_day(door.days)]))
    return suites


def aws_cur__line_items(door: Door) -> list[Expectation]:
    """A bill of AWS."""
    import great_expectations.expectations as gxe

    known = ", ".join(literal(name) for name in aws_line_item_types())
    dollars = "sum(try_cast(line_item_unblended_cost as decimal(38, 12)))"
    return [
        _filled("line_item_unblended_cost"),
        _filled("line_item_usage_account_id"),
        _filled("line_item_line_item_type"),
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
        _filled("cost"),
        _filled("invoice_month"),
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


def rate_card__rates(door: Door) -> list[Expectation]:
    """Rate cards, all files together: never two answers to what a node-hour costs."""
    ambiguous = (
        "select lower(provider) as for_provider, lower(pool) as for_pool, trim(regexp_replace(lower(gpu_model), '[^a-z0-9]+', ' ', 'g')) as for_model,"
        " valid_from as since,"
        " string_agg(concat(hourly_rate, ' ', currency, ' per ', rate_unit), ', ' order by _file, _row) as prices,"
        " min(_file) as _file, min(_row) as _row from {batch} group by 1, 2, 3, 4 having count(*) > 1 order by all"
    )
    days = "(select usage_date from ops.dirty_days)"
    query = (
        f"{_DATED_RATES} select r.currency, d.usage_date as day_without_rate, min(_file) as _file, min(_row) as _row from {{batch}} as r"  # noqa: S608
    )
    unrated = (
        f"{query} inner join {days} as d on coalesce(r.valid_from < d.usage_date + interval 1 day, true) and coalesce(r.valid_to > d.usage_date, true)"
        f" left join dated on dated.currency = r.currency and {_HOLDS} where r.currency <> 'USD' and dated.currency is null group by 1, 2 order by 1, 2"
    )
    return [
        _filled("rate_unit"),
        _filled("hourly_rate"),
        no_rows("no two prices begin at once for the same provider, pool and GPU model", ambiguous, column="hourly_rate"),
        no_rows("a price has a rate to US dollars on every day (add a source of kind currency_rates)", unrated, column="currency"),
    ]


def currency_rates__rates(door: Door) -> list[Expectation]:
    """Exchange rates, all files together: one rate for a currency on a day."""
    overlapping = (
        "select one.currency, one.valid_from, one.valid_to, two.valid_from as other_valid_from, one._file, one._row from {batch} as one"
        " inner join {batch} as two on one.currency = two.currency and (one._file, one._row) <> (two._file, two._row)"
        " and one.valid_from <= two.valid_from and (two.valid_from = one.valid_from or two.valid_from < one.valid_to) order by all"
    )
    query = "select _file, _row, currency, rate_to_usd from {batch} where not coalesce(try_cast(rate_to_usd as decimal(38, 12)) > 0, false)"
    return [
        _filled("currency"),
        no_rows("a rate is above 0", query, column="rate_to_usd"),
        no_rows("a currency has one rate on a day", overlapping, column="valid_from"),
    ]


def carbon_factors__factors(door: Door) -> list[Expectation]:
    """Carbon factors, all files together: never two answers to what a kWh emits."""
    ambiguous = (
        "select lower(provider) as for_provider, lower(region) as for_region, lower(zone) as for_zone, lower(cluster) as for_cluster, valid_from as since,"
        " string_agg(concat(grams_co2e_per_kwh, ' by ', stated_source), ', ' order by _file, _row) as factors,"
        " min(_file) as _file, min(_row) as _row from {batch} group by 1, 2, 3, 4, 5 having count(*) > 1 order by all"
    )
    return [
        _filled("grams_co2e_per_kwh"),
        _filled("stated_source"),
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
        *(_filled(column) for column in ("model", "model_version", "metric", "evaluation_set", "quality")),
        no_rows("one quality of a version, metric and evaluation set at one instant", contradicting, column="quality"),
        no_rows("higher or lower is better: one of them for a metric of a model", two_ways, column="is_higher_better"),
    ]


def revenue__rates(door: Door) -> list[Expectation]:
    """Revenue, all files together: an endpoint (and model) earns one rate on a day. An open rate ends where the next begins."""
    overlapping = (
        "select one.endpoint, one.model, one.valid_from, one.valid_to, two.valid_from as other_valid_from, one._file, one._row from {batch} as one"
        " inner join {batch} as two on one.endpoint = two.endpoint and one.model is not distinct from two.model"
        " and (one._file, one._row) <> (two._file, two._row)"
        " and one.valid_from <= two.valid_from and (two.valid_from = one.valid_from or two.valid_from < one.valid_to) order by all"
    )
    return [
        _filled("endpoint"),
        _filled("revenue_per_1k_usd"),
        no_rows("an endpoint and model earn one rate on a day", overlapping, column="valid_from"),
    ]


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
        no_rows(
            "no count is negative",
            f"select _file, _row from {{batch}} where {' or '.join(f'{name} < 0' for name in counts)} order by _file, _row",  # noqa: S608
            column="num_model_requests",
        ),
        no_rows(
            "cached tokens are part of the input tokens",
            "select input_tokens, input_cached_tokens, _file, _row from {batch} where input_cached_tokens > input_tokens order by _file, _row",
            column="input_cached_tokens",
            severity="warning",
        ),
    ]


def focus__rows(door: Door) -> list[Expectation]:
    """A bill in FOCUS."""
    known = ", ".join(literal(name) for name in FOCUS_CHARGE_CATEGORIES)
    dollars = "sum(try_cast(billed_cost as decimal(38, 12)))"
    return [
        _filled("billed_cost"),
        _filled("effective_cost"),
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


def dcgm__samples_wide(door: Door) -> list[Expectation]:
    """Telemetry, a column per metric."""
    return [_filled("hostname", "warning"), _present("sample_at", "warning")]


def dcgm__samples_long(door: Door) -> list[Expectation]:
    """Telemetry, a row per value."""
    return [_filled("metric", "warning"), _filled("hostname", "warning"), _present("sample_at", "warning")]


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
        _filled("hostname"),
        _filled("resource_id", "warning"),
        no_rows("gpu_count is not negative", "select _file, _row, gpu_count from {batch} where gpu_count < 0", column="gpu_count"),
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


def _every_landed_row_is_read(landed: Mapping[str, Delivered]) -> Expectation:
    told = ", ".join(f"({literal(key)}, {d.rows}, {str(d.is_needed).lower()})" for key, d in sorted(landed.items()))
    query = (
        f"with told as (select * from (values {told}) as t(delivery_id, landed_rows, is_needed)),"  # noqa: S608
        " found as (select _delivery_id, count(*) as read_rows from {batch} group by all)"
        " select coalesce(delivery_id, _delivery_id) as delivery_id, landed_rows, coalesce(read_rows, 0) as read_rows"
        " from told full join found on told.delivery_id = found._delivery_id"
        " where (read_rows is null and is_needed) or read_rows is distinct from landed_rows and read_rows is not null order by 1"
    )
    return no_rows("every landed row of a delivery is read, and no other", query)


def _money_is_readable(table: RawTable) -> list[Expectation]:
    """Text that staging can turn into a decimal: finite, and not larger than it has room for (costs 14 digits, quantities 26).

    The test goes by DOUBLE, which accepts the same numbers and is ten times as fast; the value itself is never read through it.
    """
    columns = [column.name for column in table.columns if column.type == "MONEY"]
    if not columns:
        return []
    unreadable = [
        f"{c} <> '' and not coalesce(abs(try_cast({c} as double)) < 1e{26 if 'usage_amount' in c or c.endswith('_quantity') else 14}, false)"
        for c in columns
    ]
    told = ", ".join(f"case when {test} then concat('{c}=', {c}) end" for c, test in zip(columns, unreadable, strict=True))
    query = f"select _file, _row, concat_ws('; ', {told}) as unreadable from {{batch}} where ({') or ('.join(unreadable)})"  # noqa: S608
    return [no_rows("money and quantities are finite decimal numbers", query, column="every MONEY column")]


def _telemetry_of_every_day(days: tuple[dt.date, ...]) -> Expectation:
    asked = ", ".join(f"(date '{day.isoformat()}')" for day in days)
    query = (
        f"select usage_date as day_without_samples from (values {asked}) as asked(usage_date)"  # noqa: S608
        " where usage_date not in (select cast(sample_at as date) from {batch} where sample_at is not null) order by 1"
    )
    return no_rows(
        "every day that is asked for has telemetry (without it GPU time is unknown)", query, column="sample_at", severity="warning"
    )


def _filled(column: str, severity: Severity = "critical") -> Expectation:
    query = f"select _file, _row from {{batch}} where {column} is null or {column} = ''"  # noqa: S608
    return no_rows(f"{column} is filled", query, column=column, severity=severity)


def _present(column: str, severity: Severity) -> Expectation:
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValuesToNotBeNull(column=column, severity=severity)


# what staging makes of the exchange rates: a rate without an end holds until the currency's next one
_DATED_RATES = (
    "with dated as (select currency, cast(valid_from as date) as since, coalesce(cast(valid_to as date),"
    " lead(cast(valid_from as date)) over (partition by currency order by valid_from), date '9999-12-31') as until from raw.currency_rates__rates)"
)
_HOLDS = "d.usage_date >= dated.since and d.usage_date < dated.until"


def _rate_of_the_day(column: str, instant: str) -> Expectation:
    """Every charge of the night's days in another currency than dollars has a rate on its own day (``instant``: SQL of its time)."""
    charged = (
        f"select {column} as currency, cast({instant} as date) as usage_date, count(*) as row_count, min(_file) as _file, min(_row) as _row"  # noqa: S608
        f" from {{batch}} where {column} in (select currency from raw.currency_rates__rates where currency <> 'USD')"
        f" and cast({instant} as date) in (select usage_date from ops.dirty_days) group by 1, 2"
    )
    query = (
        f"{_DATED_RATES} select d.currency, d.usage_date as day_without_rate, d.row_count, d._file, d._row from ({charged}) as d"  # noqa: S608
        f" left join dated on dated.currency = d.currency and {_HOLDS} where dated.currency is null order by 1, 2"
    )
    return no_rows("a charge has its currency's rate to US dollars on its own day (kind currency_rates)", query, column=column)


def _currency(column: str, currencies: tuple[str, ...]) -> Expectation:
    known = ", ".join(literal(name) for name in currencies)
    query = f"select _file, _row, {column} from {{batch}} where coalesce({column}, '') not in ({known})"  # noqa: S608
    return no_rows(
        f"the currency has a rate to US dollars ({', '.join(currencies)}); add a source of kind currency_rates", query, column=column
    )


def _ends_after_start() -> Expectation:
    query = "select _file, _row, started_at, ended_at from {batch} where ended_at < started_at"
    return no_rows("nothing ends before it starts", query, column="ended_at", severity="warning")
