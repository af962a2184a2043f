-- Law of money: for each tag key the dollars with and without it sum to the ledger of the day, source and account (the NULL account
-- included): no row falls through a grouping.
with

ledger as (

    select usage_date, source, coalesce(account_id, '') as account, sum(effective_cost) as cost, count(*) as allocation_count
    from {{ ref('fct_cost_allocation') }}
    where stage = 'allocated' and usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    group by usage_date, source, coalesce(account_id, '')

),

coverage as (

    select
        usage_date, source, coalesce(account_id, '') as account, tag_key, sum(cost_usd) as cost, sum(allocation_count) as allocation_count
    from {{ ref('fct_tag_coverage') }}
    where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    group by usage_date, source, coalesce(account_id, ''), tag_key

)

select coalesce(ledger.usage_date, coverage.usage_date) as usage_date, coalesce(ledger.source, coverage.source) as source, coverage.tag_key
from ledger
full outer join coverage
    on ledger.usage_date = coverage.usage_date and ledger.source = coverage.source and ledger.account = coverage.account
where ledger.cost is distinct from coverage.cost
    or ledger.allocation_count is distinct from coverage.allocation_count
