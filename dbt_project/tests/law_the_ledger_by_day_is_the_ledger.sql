-- Law of money: the ledger by day holds the ledger's dollars and GPU-seconds, per day and stage, in every basis; showback holds those of the ledger by day,
-- per month.
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

),

months as (

    select
        cast({{ dbt.date_trunc('month', 'usage_date') }} as date) as usage_month, sum(allocation_count) as allocation_count, sum(gpu_seconds) as gpu_seconds,
        sum(billed_cost_usd) as billed, sum(cost_usd) as effective, sum(net_cost_usd) as net, sum(list_cost_usd) as list, sum(contracted_cost_usd) as contracted,
        sum(list_missing_cost_usd) as list_missing
    from {{ ref('fct_cost_daily') }}
    group by cast({{ dbt.date_trunc('month', 'usage_date') }} as date)

),

showback as (

    select
        usage_month, sum(allocation_count) as allocation_count, sum(gpu_seconds) as gpu_seconds, sum(billed_cost_usd) as billed, sum(cost_usd) as effective,
        sum(net_cost_usd) as net, sum(list_cost_usd) as list, sum(contracted_cost_usd) as contracted, sum(list_missing_cost_usd) as list_missing
    from {{ ref('fct_showback') }}
    group by usage_month

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
union all
select coalesce(months.usage_month, showback.usage_month), 'showback'
from months
full outer join showback on months.usage_month = showback.usage_month
where months.allocation_count is distinct from showback.allocation_count
    or months.gpu_seconds is distinct from showback.gpu_seconds
    or months.billed is distinct from showback.billed
    or months.effective is distinct from showback.effective
    or months.net is distinct from showback.net
    or months.list is distinct from showback.list
    or months.contracted is distinct from showback.contracted
    or months.list_missing is distinct from showback.list_missing
