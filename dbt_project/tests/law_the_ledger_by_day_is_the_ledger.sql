-- Law of money: the ledger by day holds the ledger's dollars and GPU-seconds, per day and stage, in every basis.
with

ledger as (

    select
        usage_date, stage, count(*) as allocation_count, sum(gpu_seconds) as gpu_seconds, sum(billed_cost) as billed, sum(effective_cost) as effective, sum(net_cost) as net,
        sum(list_cost) as list, sum(contracted_cost) as contracted
    from {{ ref('fct_cost_allocation') }}
    where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    group by usage_date, stage

),

daily as (

    select
        usage_date, stage, sum(allocation_count) as allocation_count, sum(gpu_seconds) as gpu_seconds, sum(billed_cost_usd) as billed, sum(cost_usd) as effective, sum(net_cost_usd) as net,
        sum(list_cost_usd) as list, sum(contracted_cost_usd) as contracted
    from {{ ref('fct_cost_daily') }}
    where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    group by usage_date, stage

)

select coalesce(ledger.usage_date, daily.usage_date) as usage_date, coalesce(ledger.stage, daily.stage) as stage
from ledger
full outer join daily on ledger.usage_date = daily.usage_date and ledger.stage = daily.stage
where ledger.allocation_count is distinct from daily.allocation_count
    or ledger.gpu_seconds is distinct from daily.gpu_seconds
    or ledger.billed is distinct from daily.billed
    or ledger.effective is distinct from daily.effective
    or ledger.net is distinct from daily.net
    or ledger.list is distinct from daily.list
    or ledger.contracted is distinct from daily.contracted
