"""The money: the ledger, what was delivered, and the tables that hold the same dollars again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import TYPE_CHECKING

from expectations import no_rows, none_where
from expectations.grains import GRAINS
from expectations.laws.shared import COST_CLASSES, GPU_CLASSES, exact, is_one_of, money, reason_where_missing, within

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation


ROUTES = ("telemetry", "tag", "rule", "none")
COMPONENTS = ("gpu", "host", "other")
REQUIRED_BASES = ("billed_cost", "effective_cost", "net_cost")
BASES = (*REQUIRED_BASES, "list_cost", "contracted_cost")


def fct_cost_allocation(days: Collection[dt.date]) -> list[Expectation]:
    """The ledger."""
    empty = (
        "select 'the ledger is empty' as finding from (select count(*) as row_count from {batch}) as counted"  # noqa: S608
        f" where row_count = 0 and exists (select 1 from published.fct_charge_bucket where {within(days)})"
    )
    left_over = " or ".join(f"coalesce(sum({basis}), 0) <> 0" for basis in BASES)
    unbalanced = (
        "select usage_date, distribution_key, sum(effective_cost) as left_over from {batch} where stage = 'distributed'"  # noqa: S608
        f" group by all having {left_over}"
    )
    return [
        no_rows("where there are charges there is a ledger", empty),
        *is_one_of("cost_class", COST_CLASSES),
        *is_one_of("route", ROUTES),
        *is_one_of("component", COMPONENTS),
        *money(REQUIRED_BASES),
        no_rows("what distribution rules hand out sums to zero", unbalanced, column="distribution_key"),
        _one_bill_for_a_node(),
    ]


def _one_bill_for_a_node() -> Expectation:
    """Its hours cost what the rate card says or what the provider charges, never both."""
    computed = (
        "select distinct ledger.usage_date, ledger.node, ledger.source, ledger.line_item_type = 'RateCard' as is_rated, ledger.window_start,"
        " ledger.window_end from {batch} as ledger inner join published.fct_charge_bucket as bucket on ledger.usage_date = bucket.usage_date"
        " and ledger.bucket_key = bucket.bucket_key where ledger.stage = 'allocated' and ledger.node is not null and bucket.compute_kind is not null"
    )
    query = (
        f"with computed as ({computed}) select rated.node, rated.window_start as usage_hour, rated.source as rate_card, charged.source as bill"  # noqa: S608
        " from computed as rated inner join computed as charged on rated.usage_date = charged.usage_date and rated.node = charged.node"
        " and rated.window_start < charged.window_end and rated.window_end > charged.window_start"
        " where rated.is_rated and not charged.is_rated order by all"
    )
    return no_rows("a node is billed by a rate card or by a provider, never by both", query, column="node")


def fct_charge_bucket(days: Collection[dt.date]) -> list[Expectation]:
    """What was delivered: per basis the ledger's rows sum to it exactly."""
    return [*money(REQUIRED_BASES), *(_nothing_left(basis, days) for basis in BASES)]


def _nothing_left(basis: str, days: Collection[dt.date]) -> Expectation:
    ledger = f"select usage_date, bucket_key, sum({basis}) as allocated from published.fct_cost_allocation where stage = 'allocated' and {within(days)} group by all"  # noqa: S608
    query = (
        f"with buckets as (select usage_date, bucket_key, sum({basis}) as delivered from {{batch}} group by all), ledger as ({ledger})"  # noqa: S608
        " select coalesce(buckets.usage_date, ledger.usage_date) as usage_date, coalesce(buckets.bucket_key, ledger.bucket_key) as bucket_key,"
        " cast(delivered as varchar) as delivered, cast(allocated as varchar) as allocated,"
        " cast(coalesce(delivered, 0) - coalesce(allocated, 0) as varchar) as residual"
        " from buckets full join ledger on buckets.usage_date = ledger.usage_date and buckets.bucket_key = ledger.bucket_key"
        " where delivered is distinct from allocated or buckets.bucket_key is null or ledger.bucket_key is null order by 1, 2"
    )
    return no_rows(f"per bucket the ledger's {basis} sums to the bucket's exactly", query, column=basis)


def fct_cost_daily(days: Collection[dt.date]) -> list[Expectation]:
    """The ledger by day: the same dollars."""
    ledger = f"select usage_date, stage, sum(effective_cost) as cost from published.fct_cost_allocation where {within(days)} group by all"  # noqa: S608
    query = (
        f"with daily as (select usage_date, stage, sum(cost_usd) as cost from {{batch}} group by all), ledger as ({ledger})"  # noqa: S608
        " select coalesce(daily.usage_date, ledger.usage_date) as usage_date, coalesce(daily.stage, ledger.stage) as stage,"
        " cast(daily.cost as varchar) as daily_usd, cast(ledger.cost as varchar) as ledger_usd"
        " from daily full join ledger on daily.usage_date = ledger.usage_date and daily.stage = ledger.stage"
        " where daily.cost is distinct from ledger.cost order by 1, 2"
    )
    return [no_rows("the ledger by day sums to the ledger", query, column="cost_usd"), *is_one_of("cost_class", COST_CLASSES)]


def fct_showback(days: Collection[dt.date]) -> list[Expectation]:
    """Showback: the ledger by day once more, and nothing to filter by is NULL."""
    dimensions = GRAINS["fct_showback"]
    daily = "select date_trunc('month', usage_date) as usage_month, sum(cost_usd) as cost from published.fct_cost_daily group by all"
    query = (
        f"with shown as (select usage_month, sum(cost_usd) as cost from {{batch}} group by all), daily as ({daily})"  # noqa: S608
        " select coalesce(shown.usage_month, daily.usage_month) as usage_month, cast(shown.cost as varchar) as shown_usd,"
        " cast(daily.cost as varchar) as ledger_usd from shown full join daily on shown.usage_month = daily.usage_month"
        " where shown.cost is distinct from daily.cost order by 1"
    )
    unnamed = f"select * from {{batch}} where {' or '.join(f'{name} is null' for name in dimensions)}"  # noqa: S608
    return [
        no_rows("showback sums to the ledger by day", query, column="cost_usd"),
        no_rows("no dimension of showback is NULL", unnamed, column="team"),
        *is_one_of("cost_class", COST_CLASSES),
    ]


def fct_cost_estimate(days: Collection[dt.date]) -> list[Expectation]:
    """Estimates beside the ledger."""
    key = "usage_date, node_key, workload_key, attempt_key, cost_class, pricing_status"
    return [
        *is_one_of("cost_class", GPU_CLASSES),
        exact("estimated_cost_usd"),
        exact("effective_cost_usd"),
        reason_where_missing("an estimate", "estimated_cost_usd", "reason", f"{key}, estimated_cost_usd, reason"),
        none_where(
            "the difference is the ledger minus the estimate",
            "difference_usd is distinct from effective_cost_usd - estimated_cost_usd",
            f"{key}, difference_usd",
            column="difference_usd",
        ),
    ]


def fct_commitment_daily(days: Collection[dt.date]) -> list[Expectation]:
    """Commitments: used + unused is what was committed, to the last unit."""
    shown = "usage_date, commitment_kind, commitment_id, cast(committed_cost_usd as varchar) as committed_usd"
    torn = "committed_cost_usd is distinct from used_cost_usd + unused_cost_usd"
    return [none_where("used and unused are what was committed", torn, shown, column="committed_cost_usd"), exact("unused_cost_usd")]


def fct_reconciliation(days: Collection[dt.date]) -> list[Expectation]:
    """Delivered = published + not yet published, and nothing lost on the way."""
    return [
        none_where(
            f"{column} is 0",
            f"{column} is null or {column} <> 0",
            f"source, billing_period, usage_month, currency, account_id, invoice_id, {column}",
            column=column,
        )
        for column in ("delivery_residual", "allocation_residual_usd")
    ]


def fct_delivery_control(days: Collection[dt.date]) -> list[Expectation]:
    """What staging made of each delivery is what was landed."""
    columns = "source, period, delivery_id, currency"
    return [
        none_where(
            "staging_residual is 0",
            "staging_residual <> 0",
            f"{columns}, delivered_cost, staged_cost, staging_residual",
            column="staging_residual",
        ),
        none_where(
            "conversion_delta stays within half a unit of the twelfth place per row",
            "abs(conversion_delta) > delivered_rows * 0.0000000000005",
            f"{columns}, delivered_rows, conversion_delta",
            column="conversion_delta",
        ),
    ]
