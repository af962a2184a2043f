-- Law of money: the idle and unexplained dollars of the night's days, and with them the explained classes, are the ledger before distribution,
-- by account and class, in dollars and GPU-seconds; and every (class, reason) of the ledger has its place in the mapping of idle kinds. What nobody
-- used of commitments is the same by commitment, and with what was used what was committed.
with

ledger as (

    select *, {{ idle_kind('cost_class', 'reason') }} as idle_kind
    from {{ ref('fct_cost_allocation') }}
    where stage = 'allocated' and usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})

),

expected as (

    select
        usage_date, coalesce(provider, '') as provider, coalesce(account_id, '') as account, cost_class, idle_kind,
        sum(effective_cost) as cost, sum(billed_cost) as billed_cost, coalesce(sum(gpu_seconds), 0) as gpu_seconds
    from ledger
    where idle_kind is not null
    group by usage_date, coalesce(provider, ''), coalesce(account_id, ''), cost_class, idle_kind

),

published as (

    select
        usage_date, coalesce(provider, '') as provider, coalesce(account_id, '') as account, cost_class, idle_kind,
        sum(cost_usd) as cost, sum(billed_cost_usd) as billed_cost, coalesce(sum(gpu_seconds), 0) as gpu_seconds
    from {{ ref('fct_idle_cost') }}
    where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    group by usage_date, coalesce(provider, ''), coalesce(account_id, ''), cost_class, idle_kind

)

select coalesce(expected.usage_date, published.usage_date) as usage_date, coalesce(expected.idle_kind, published.idle_kind) as subject, 'dollars' as broken
from expected
full outer join published
    on expected.usage_date = published.usage_date
    and expected.provider = published.provider
    and expected.account = published.account
    and expected.cost_class = published.cost_class
    and expected.idle_kind = published.idle_kind
where expected.cost is distinct from published.cost
    or expected.billed_cost is distinct from published.billed_cost
    or expected.gpu_seconds is distinct from published.gpu_seconds
union all
select distinct usage_date, concat(cost_class, '/', coalesce(reason, '')), 'no kind' as broken
from ledger
where idle_kind = 'unmapped'
union all
select usage_date, source, 'unused commitments' as broken
from (
    select usage_date, source, effective_cost as cost
    from {{ ref('fct_charge_bucket') }}
    where fixed_cost_class = 'unused_commitment' and usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    union all
    select usage_date, source, -unused_cost_usd
    from {{ ref('fct_commitment_daily') }}
    where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
) as unused
group by usage_date, source
having sum(cost) <> 0
union all
select usage_date, source, 'used and unused are not what was committed' as broken
from {{ ref('fct_commitment_daily') }}
where committed_cost_usd <> used_cost_usd + unused_cost_usd and usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
