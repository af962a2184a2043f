-- Law of money: per bucket and cost basis the allocations sum to the bucket exactly, and there is no allocation without a bucket.
with

buckets as (

    select * from {{ ref('fct_charge_bucket') }}
    where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})

),

allocated as (

    select
        usage_date,
        bucket_key,
        sum(billed_cost) as billed_cost,
        sum(effective_cost) as effective_cost,
        sum(net_cost) as net_cost,
        sum(list_cost) as list_cost,
        sum(contracted_cost) as contracted_cost
    from {{ ref('fct_cost_allocation') }}
    where stage = 'allocated' and usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    group by usage_date, bucket_key

)

select
    coalesce(buckets.usage_date, allocated.usage_date) as usage_date,
    coalesce(buckets.bucket_key, allocated.bucket_key) as bucket_key,
    buckets.billed_cost - allocated.billed_cost as billed_residual,
    buckets.effective_cost - allocated.effective_cost as effective_residual,
    buckets.net_cost - allocated.net_cost as net_residual,
    buckets.list_cost - allocated.list_cost as list_residual,
    buckets.contracted_cost - allocated.contracted_cost as contracted_residual
from buckets
full outer join allocated on buckets.usage_date = allocated.usage_date and buckets.bucket_key = allocated.bucket_key
where buckets.bucket_key is null
    or allocated.bucket_key is null
    or {{ differs('buckets', 'allocated', allocated_bases()) }}
