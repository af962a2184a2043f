-- Grain: day x node (one host name with one provider resource) that the inventory has on that day. A day sees only the inventory rows that
-- touch it, so that what is added for other days cannot change it.
with

days as (

    select * from {{ ref('int_days') }}

),

staged as (

    {{ staged('nodes', node_columns()) }}

),

keyed as (

    select
        days.usage_date,
        days.day_from,
        days.day_to,
        staged.*,
        concat(lower(staged.hostname), '|', {{ last_segment('staged.resource_id') }}) as node_key,
        {{ epoch_seconds('staged.valid_from') }} as row_from_second,
        {{ epoch_seconds('staged.valid_to') }} as row_to_second
    from staged
    inner join days
        on (staged.valid_from is null or {{ epoch_seconds('staged.valid_from') }} < days.day_to)
        and (staged.valid_to is null or {{ epoch_seconds('staged.valid_to') }} > days.day_from)

),

ranked as (

    select
        *,
        row_number() over (
            partition by usage_date, node_key order by coalesce(row_from_second, 0) desc, source, gpu_count desc, gpu_model, gpu_sharing, gpu_replicas, pool, labels, gpus, volumes, aliases
        ) as recency,
        count(row_from_second) over (partition by usage_date, node_key) = count(*) over (partition by usage_date, node_key) as has_from,
        count(row_to_second) over (partition by usage_date, node_key) = count(*) over (partition by usage_date, node_key) as has_to,
        min(row_from_second) over (partition by usage_date, node_key) as least_from_second,
        max(row_to_second) over (partition by usage_date, node_key) as most_to_second
    from keyed

),

nodes as (

    select
        usage_date,
        node_key,
        lower(hostname) as hostname,
        {{ last_segment('resource_id') }} as resource_id,
        source,
        provider,
        gpu_count,
        gpu_model,
        gpu_sharing,
        gpu_replicas,
        vcpus,
        memory_gib,
        pool,
        cluster,
        zone,
        labels,
        aliases,
        volumes,
        gpus,
        case when has_from then least_from_second end as valid_from_second,
        case when has_to then most_to_second end as valid_to_second
    from ranked
    where recency = 1

)

select * from nodes
