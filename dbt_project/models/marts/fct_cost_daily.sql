-- Grain: day x stage x source x account x people x owner x what it is for x class x component x reason x pricing x GPU model x pool: the ledger by day,
-- small enough that whatever spans days (budgets, forecasts, levers, showback) never reads the ledger's history.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

{%- set keys = ['usage_date', 'billing_period', 'stage', 'rule_id', 'source', 'provider', 'account_id', 'team', 'owner_team', 'owner_basis', 'model', 'environment', 'project', 'workload_type', 'service',
    'cost_class', 'component', 'reason', 'pricing_category', 'charge_category', 'gpu_model', 'pool'] %}

with

ledger as (

    select * from {{ ref('fct_cost_allocation') }}
    where usage_date in (select usage_date from {{ ref('int_days') }})

),

pool_owners as (

    {{ bucket_owners(ref('int_bucket_nodes'), ref('int_nodes'), ref('int_tag_sets')) }}

),

owned as (

    select
        ledger.*,
        pool_owners.gpu_model,
        coalesce(ledger.team, pool_owners.team) as owner_team,
        case
            when ledger.workload_key is null and pool_owners.team is not null then 'pool'
            when ledger.team is not null and ledger.workload_key is not null then 'workload'
            when ledger.team is not null then 'tag'
            when pool_owners.team is not null then 'pool'
            when ledger.account_id is not null then 'account'
            else 'none'
        end as owner_basis
    from ledger
    left join pool_owners on ledger.usage_date = pool_owners.usage_date and ledger.bucket_key = pool_owners.bucket_key

),

summed as (

    select
        {{ keys | join(', ') }},
        cast(count(*) as bigint) as allocation_count,
        cast(sum(gpu_seconds) as decimal(38, 6)) as gpu_seconds,
        cast(sum(billed_cost) as decimal(38, 12)) as billed_cost_usd,
        cast(sum(effective_cost) as decimal(38, 12)) as cost_usd,
        cast(sum(net_cost) as decimal(38, 12)) as net_cost_usd,
        cast(sum(list_cost) as decimal(38, 12)) as list_cost_usd,
        cast(sum(contracted_cost) as decimal(38, 12)) as contracted_cost_usd,
        cast(sum(case when list_cost is null then effective_cost else 0 end) as decimal(38, 12)) as list_missing_cost_usd
    from owned
    group by {{ keys | join(', ') }}

)

select * from summed
