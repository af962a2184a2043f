-- Grain: one node x one billing window, and how many of its seconds were billed (attribution rules, 4.2). gpu_count is the most that the node
-- has on the day.
with

bucket_nodes as (

    select * from {{ ref('int_bucket_nodes') }}
    where compute_kind is not null

),

buckets as (

    select bucket_key, usage_date, compute_seconds from {{ ref('int_charge_buckets') }}

),

nodes as (

    select * from {{ ref('int_nodes') }}

),

usage as (

    select
        bucket_nodes.usage_date,
        bucket_nodes.node_key,
        bucket_nodes.window_from,
        bucket_nodes.window_to,
        sum(case when bucket_nodes.compute_kind = 'instance' then buckets.compute_seconds end) as instance_seconds,
        sum(case when bucket_nodes.compute_kind = 'gpu' then buckets.compute_seconds end) as gpu_seconds,
        sum(case when bucket_nodes.compute_kind = 'core' then buckets.compute_seconds end) as core_seconds
    from bucket_nodes
    inner join buckets on bucket_nodes.bucket_key = buckets.bucket_key and bucket_nodes.usage_date = buckets.usage_date
    group by bucket_nodes.usage_date, bucket_nodes.node_key, bucket_nodes.window_from, bucket_nodes.window_to

),

validity as (

    select * from {{ ref('int_node_validity') }}

),

sizes as (

    select sizes.*, validity_of_day.node_key is not null as is_dated
    from {{ ref('int_node_sizes') }} as sizes
    left join (select distinct usage_date, node_key from validity) as validity_of_day
        on sizes.usage_date = validity_of_day.usage_date and sizes.node_key = validity_of_day.node_key

),

-- the seconds of the window that the node was there, by its size then
stretches as (

    select
        usage.usage_date,
        usage.node_key,
        usage.window_from,
        usage.window_to,
        greatest(usage.window_from, sizes.from_second, coalesce(validity.from_second, 0)) as from_second,
        least(usage.window_to, sizes.to_second, coalesce(validity.to_second, 9223372036))
        - greatest(usage.window_from, sizes.from_second, coalesce(validity.from_second, 0)) as seconds,
        sizes.gpu_count,
        sizes.vcpus,
        usage.gpu_seconds,
        usage.core_seconds
    from usage
    inner join sizes
        on usage.usage_date = sizes.usage_date
        and usage.node_key = sizes.node_key
        and sizes.from_second < usage.window_to
        and sizes.to_second > usage.window_from
    left join validity
        on sizes.usage_date = validity.usage_date
        and sizes.node_key = validity.node_key
        and validity.from_second < least(usage.window_to, sizes.to_second)
        and validity.to_second > greatest(usage.window_from, sizes.from_second)
    where usage.instance_seconds is null and (validity.node_key is not null or not sizes.is_dated)

),

-- where GPU-seconds or core-seconds are billed: the earliest seconds use them up, each as fast as the node's size then
running as (

    select
        *,
        coalesce(sum(seconds * gpu_count) over (
            partition by usage_date, node_key, window_from, window_to order by from_second
            rows between unbounded preceding and 1 preceding
        ), 0) as gpu_seconds_before,
        coalesce(sum(seconds * vcpus) over (
            partition by usage_date, node_key, window_from, window_to order by from_second
            rows between unbounded preceding and 1 preceding
        ), 0) as core_seconds_before
    from stretches

),

used_up as (

    select
        usage_date,
        node_key,
        window_from,
        window_to,
        sum(least(seconds, greatest(0, (gpu_seconds - gpu_seconds_before) / nullif(gpu_count, 0)))) as by_gpu_seconds,
        sum(least(seconds, greatest(0, (core_seconds - core_seconds_before) / nullif(vcpus, 0)))) as by_core_seconds,
        sum(seconds * gpu_count) as gpu_capacity,
        sum(seconds * vcpus) as core_capacity
    from running
    group by usage_date, node_key, window_from, window_to

),

-- what is billed beyond that stays billed: at the day's largest size
windows as (

    select
        {{ digest(['usage.usage_date', 'usage.node_key', 'usage.window_from', 'usage.window_to']) }} as window_key,
        usage.usage_date,
        usage.node_key,
        usage.window_from,
        usage.window_to,
        nodes.gpu_count,
        least(
            usage.window_to - usage.window_from,
            greatest(0, cast(round(coalesce(
                usage.instance_seconds,
                case when usage.gpu_seconds is not null
                    then coalesce(used_up.by_gpu_seconds, 0) + greatest(0, usage.gpu_seconds - coalesce(used_up.gpu_capacity, 0)) / nodes.gpu_count end,
                case when usage.core_seconds is not null and nodes.vcpus > 0
                    then coalesce(used_up.by_core_seconds, 0) + greatest(0, usage.core_seconds - coalesce(used_up.core_capacity, 0)) / nodes.vcpus end,
                0
            )) as bigint))
        ) as billed_seconds
    from usage
    inner join nodes on usage.usage_date = nodes.usage_date and usage.node_key = nodes.node_key
    left join used_up
        on usage.usage_date = used_up.usage_date
        and usage.node_key = used_up.node_key
        and usage.window_from = used_up.window_from
        and usage.window_to = used_up.window_to

)

select * from windows
