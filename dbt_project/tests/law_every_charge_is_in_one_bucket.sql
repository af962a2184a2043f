-- Law of money: every charge of the night is in exactly one bucket: counts and sums agree by day, source, period and account, and
-- no bucket stands twice.
with

charges as (

    select
        usage_date,
        source,
        billing_period,
        account_id,
        count(*) as charge_count,
        sum(source_cost) as source_cost,
        sum(billed_cost) as billed_cost,
        sum(effective_cost) as effective_cost,
        sum(net_cost) as net_cost,
        sum(list_cost) as list_cost,
        sum(contracted_cost) as contracted_cost
    from {{ ref('int_charges') }}
    group by usage_date, source, billing_period, account_id

),

buckets as (

    select
        usage_date,
        source,
        billing_period,
        account_id,
        sum(charge_count) as charge_count,
        sum(source_cost) as source_cost,
        sum(billed_cost) as billed_cost,
        sum(effective_cost) as effective_cost,
        sum(net_cost) as net_cost,
        sum(list_cost) as list_cost,
        sum(contracted_cost) as contracted_cost
    from {{ ref('fct_charge_bucket') }}
    where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    group by usage_date, source, billing_period, account_id

),

repeated as (

    select usage_date, bucket_key
    from {{ ref('fct_charge_bucket') }}
    where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    group by usage_date, bucket_key
    having count(*) > 1

)

select coalesce(charges.usage_date, buckets.usage_date) as usage_date, coalesce(charges.source, buckets.source) as subject, 'charges <> buckets' as broken
from charges
full outer join buckets
    on charges.usage_date = buckets.usage_date
    and charges.source = buckets.source
    and charges.billing_period = buckets.billing_period
    and coalesce(charges.account_id, '') = coalesce(buckets.account_id, '')
where {{ differs('charges', 'buckets', ['charge_count', 'source_cost'] + allocated_bases()) }}
union all
select usage_date, bucket_key, 'bucket stands twice'
from repeated
