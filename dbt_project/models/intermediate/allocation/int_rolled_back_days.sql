-- Grain: day x workload attempt whose work was thrown away: GPU time that it held behind its last checkpoint, and the dollars of that time.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

outcomes as (

    select * from {{ ref('int_attempt_outcomes') }}
    where rolled_back_from_second is not null

),

held as (

    select
        segments.usage_date,
        segments.workload_key,
        segments.attempt_key,
        sum(segments.unit_share * greatest(0, segments.to_second - greatest(segments.from_second, outcomes.rolled_back_from_second))) as rolled_back_weight
    from {{ ref('int_gpu_segments') }} as segments
    inner join outcomes on segments.usage_date = outcomes.usage_date and segments.attempt_key = outcomes.attempt_key
    group by segments.usage_date, segments.workload_key, segments.attempt_key

),

costs as (

    select
        allocations.usage_date,
        allocations.workload_key,
        allocations.attempt_key,
        sum({{ rolled_back_part('allocations.effective_cost', 'shares.rolled_back_weight', 'shares.held_weight') }}) as rolled_back_cost
    from {{ ref('int_bucket_allocations') }} as allocations
    inner join {{ ref('int_rolled_back_shares') }} as shares
        on allocations.usage_date = shares.usage_date
        and allocations.bucket_key = shares.bucket_key
        and allocations.attempt_key = shares.attempt_key
    group by allocations.usage_date, allocations.workload_key, allocations.attempt_key

)

select
    coalesce(held.usage_date, costs.usage_date) as usage_date,
    coalesce(held.workload_key, costs.workload_key) as workload_key,
    coalesce(held.attempt_key, costs.attempt_key) as attempt_key,
    {{ wide_int('coalesce(held.rolled_back_weight, 0)') }} as rolled_back_weight,
    cast(coalesce(costs.rolled_back_cost, 0) as decimal(38, 12)) as rolled_back_cost
from held
full outer join costs
    on held.usage_date = costs.usage_date and held.workload_key = costs.workload_key and held.attempt_key = costs.attempt_key
