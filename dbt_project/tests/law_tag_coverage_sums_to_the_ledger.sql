-- Law of money: for each tag key the dollars and rows with and without it sum to the ledger of the day, source and account (the NULL account
-- included), and the charges to those of the bill: no row falls through a grouping, and no charge counts twice.
with

ledger as (

    select usage_date, source, coalesce(account_id, '') as account, sum(effective_cost) as cost, count(*) as allocation_count
    from {{ ref('fct_cost_allocation') }}
    where stage = 'allocated' and usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    group by usage_date, source, coalesce(account_id, '')

),

charges as (

    select usage_date, source, coalesce(account_id, '') as account, sum(charge_count) as charge_count
    from {{ ref('fct_charge_bucket') }}
    where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    group by usage_date, source, coalesce(account_id, '')

),

coverage as (

    select
        usage_date, source, coalesce(account_id, '') as account, tag_key, sum(cost_usd) as cost, sum(allocation_count) as allocation_count,
        sum(charge_count) as charge_count
    from {{ ref('fct_tag_coverage') }}
    where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    group by usage_date, source, coalesce(account_id, ''), tag_key

)

select coalesce(ledger.usage_date, coverage.usage_date) as usage_date, coalesce(ledger.source, coverage.source) as source, coverage.tag_key
from ledger
full outer join coverage
    on ledger.usage_date = coverage.usage_date and ledger.source = coverage.source and ledger.account = coverage.account
left join charges on coverage.usage_date = charges.usage_date and coverage.source = charges.source and coverage.account = charges.account
where ledger.cost is distinct from coverage.cost
    or ledger.allocation_count is distinct from coverage.allocation_count
    or charges.charge_count is distinct from coverage.charge_count
