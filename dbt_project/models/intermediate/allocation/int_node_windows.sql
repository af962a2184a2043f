-- Grain: one node x one billing window, and how many of its seconds were billed (attribution rules, 4.2).
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
                usage.gpu_seconds / nodes.gpu_count,
                usage.core_seconds / nullif(nodes.vcpus, 0),
                0
            )) as bigint))
        ) as billed_seconds
    from usage
    inner join nodes on usage.usage_date = nodes.usage_date and usage.node_key = nodes.node_key

)

select * from windows
