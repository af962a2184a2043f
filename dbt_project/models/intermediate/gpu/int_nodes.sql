-- Grain: day x node (one host name with one provider resource) that the inventory has on that day. A day sees only the inventory rows that
-- touch it, so that what is added for other days cannot change it. gpu_count is the most that it has on the day (int_node_sizes has it by
-- time), gpus is every GPU that any row lists; all else is the latest row's.
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

most_gpus as (

    select usage_date, node_key, max(gpu_count) as gpu_count
    from {{ ref('int_node_sizes') }}
    group by usage_date, node_key

),

-- JSON arrays joined as texts
gpu_lists as (

    select usage_date, node_key, concat('[', {{ ordered_text("substring(entry_key, 2, length(entry_key) - 2)", ',', 'entry_key') }}, ']') as gpus
    from (select distinct usage_date, node_key, gpus as entry_key from keyed where length(gpus) > 2) as lists
    group by usage_date, node_key

),

nodes as (

    select
        ranked.usage_date,
        ranked.node_key,
        lower(ranked.hostname) as hostname,
        {{ last_segment('ranked.resource_id') }} as resource_id,
        ranked.source,
        ranked.provider,
        most_gpus.gpu_count,
        ranked.gpu_model,
        ranked.gpu_sharing,
        ranked.gpu_replicas,
        ranked.vcpus,
        ranked.memory_gib,
        ranked.pool,
        ranked.cluster,
        ranked.zone,
        ranked.labels,
        ranked.aliases,
        ranked.volumes,
        coalesce(gpu_lists.gpus, ranked.gpus) as gpus,
        case when ranked.has_from then ranked.least_from_second end as valid_from_second,
        case when ranked.has_to then ranked.most_to_second end as valid_to_second
    from ranked
    inner join most_gpus on ranked.usage_date = most_gpus.usage_date and ranked.node_key = most_gpus.node_key
    left join gpu_lists on ranked.usage_date = gpu_lists.usage_date and ranked.node_key = gpu_lists.node_key
    where ranked.recency = 1

)

select * from nodes
