-- Grain: day x source x billing period x currency: what the buckets hold and what the ledger placed.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

buckets as (

    select
        usage_date, source, billing_period, currency,
        sum(charge_count) as charge_count,
        sum(source_cost) as source_cost,
        sum(billed_cost) as billed_cost,
        sum(effective_cost) as effective_cost,
        sum(list_cost) as list_cost
    from {{ ref('int_charge_buckets') }}
    group by usage_date, source, billing_period, currency

),

ledger as (

    select
        usage_date, source, billing_period, currency,
        sum(billed_cost) as billed_cost,
        sum(effective_cost) as effective_cost,
        sum(list_cost) as list_cost,
        sum(case when cost_class = 'quarantined' then effective_cost else 0 end) as quarantined_cost
    from {{ ref('fct_cost_allocation') }}
    where stage = 'allocated' and usage_date in (select usage_date from {{ ref('int_days') }})
    group by usage_date, source, billing_period, currency

),

reconciled as (

    select
        buckets.usage_date,
        buckets.source,
        buckets.billing_period,
        buckets.currency,
        cast(buckets.charge_count as bigint) as charge_count,
        cast(buckets.source_cost as decimal(38, 12)) as source_cost,
        cast(buckets.billed_cost as decimal(38, 12)) as billed_cost,
        cast(buckets.effective_cost as decimal(38, 12)) as effective_cost,
        cast(coalesce(ledger.effective_cost, 0) as decimal(38, 12)) as allocated_effective_cost,
        cast(coalesce(ledger.quarantined_cost, 0) as decimal(38, 12)) as quarantined_cost,
        cast(buckets.billed_cost - coalesce(ledger.billed_cost, 0) as decimal(38, 12)) as billed_residual,
        cast(buckets.effective_cost - coalesce(ledger.effective_cost, 0) as decimal(38, 12)) as effective_residual,
        cast(buckets.list_cost - coalesce(ledger.list_cost, 0) as decimal(38, 12)) as list_residual
    from buckets
    left join ledger
        on buckets.usage_date = ledger.usage_date
        and buckets.source = ledger.source
        and buckets.billing_period = ledger.billing_period
        and buckets.currency is not distinct from ledger.currency

)

select * from reconciled
