-- Grain: day x node x holder x class: what the ledger holds of the node's price (GPU and host components) in the hours that a rate card
-- estimates too.
with

estimated_hours as (

    select distinct usage_date, node_key, hour_from
    from {{ ref('int_estimated_classes') }}
    where is_priced and rate_rule is not null

),

buckets as (

    select distinct bucket_nodes.usage_date, bucket_nodes.node_key, bucket_nodes.bucket_key
    from {{ ref('int_bucket_nodes') }} as bucket_nodes
    inner join estimated_hours
        on bucket_nodes.usage_date = estimated_hours.usage_date
        and bucket_nodes.node_key = estimated_hours.node_key
        and estimated_hours.hour_from < bucket_nodes.window_to
        and estimated_hours.hour_from + 3600 > bucket_nodes.window_from
    where bucket_nodes.compute_kind is not null

),

compared as (

    select
        buckets.usage_date,
        buckets.node_key,
        allocations.workload_key,
        allocations.attempt_key,
        allocations.cost_class,
        cast(sum(allocations.effective_cost) as decimal(38, 12)) as effective_cost
    from buckets
    inner join {{ ref('int_bucket_allocations') }} as allocations
        on buckets.usage_date = allocations.usage_date and buckets.bucket_key = allocations.bucket_key
    group by buckets.usage_date, buckets.node_key, allocations.workload_key, allocations.attempt_key, allocations.cost_class

)

select * from compared
