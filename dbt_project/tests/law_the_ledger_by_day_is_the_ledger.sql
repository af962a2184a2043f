-- Law of money: the ledger by day holds the ledger's dollars and GPU-seconds, per day and stage, in every basis; showback holds those of the ledger by day,
-- per month.
{%- set by_day = ['allocation_count', 'gpu_seconds', 'billed_cost_usd', 'cost_usd', 'net_cost_usd', 'list_cost_usd', 'contracted_cost_usd'] %}
{%- set by_month = by_day + ['list_missing_cost_usd'] %}
{%- set ledger_names = {'billed_cost_usd': 'billed_cost', 'cost_usd': 'effective_cost', 'net_cost_usd': 'net_cost', 'list_cost_usd': 'list_cost', 'contracted_cost_usd': 'contracted_cost'} %}
with

ledger as (

    select usage_date, stage, count(*) as allocation_count, {{ sums_of(by_day[1:], ledger_names) }}
    from {{ ref('fct_cost_allocation') }}
    where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    group by usage_date, stage

),

daily as (

    select usage_date, stage, {{ sums_of(by_day) }}
    from {{ ref('fct_cost_daily') }}
    where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    group by usage_date, stage

),

months as (

    select cast({{ dbt.date_trunc('month', 'usage_date') }} as date) as usage_month, {{ sums_of(by_month) }}
    from {{ ref('fct_cost_daily') }}
    group by cast({{ dbt.date_trunc('month', 'usage_date') }} as date)

),

showback as (

    select usage_month, {{ sums_of(by_month) }}
    from {{ ref('fct_showback') }}
    group by usage_month

)

select coalesce(ledger.usage_date, daily.usage_date) as usage_date, coalesce(ledger.stage, daily.stage) as stage
from ledger
full outer join daily on ledger.usage_date = daily.usage_date and ledger.stage = daily.stage
where {{ differs('ledger', 'daily', by_day) }}
union all
select coalesce(months.usage_month, showback.usage_month), 'showback'
from months
full outer join showback on months.usage_month = showback.usage_month
where {{ differs('months', 'showback', by_month) }}
