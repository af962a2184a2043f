-- Grain: day x node x stretch of the day: the node's size then. Stretches tile the day: where the inventory does not have the node, the
-- size that it had before holds, else the one that it has next. Rows of one source and the same validity that name different GPU
-- models are parts of one machine; any other second row tells the machine again, and the latest holds.
with

days as (

    select * from {{ ref('int_days') }}

),

staged as (

    {{ staged('nodes', node_columns()) }}

),

told as (

    select
        days.usage_date,
        days.day_from,
        days.day_to,
        concat(lower(staged.hostname), '|', {{ last_segment('staged.resource_id') }}) as node_key,
        staged.source,
        staged.gpu_count,
        staged.gpu_model,
        staged.vcpus,
        staged.memory_gib,
        staged.gpu_sharing,
        staged.gpu_replicas,
        staged.pool,
        staged.labels,
        staged.gpus,
        staged.volumes,
        staged.aliases,
        coalesce({{ epoch_seconds('staged.valid_from') }}, 0) as since_second,
        coalesce({{ epoch_seconds('staged.valid_to') }}, 9223372036) as until_second
    from staged
    inner join days
        on coalesce({{ epoch_seconds('staged.valid_from') }}, 0) < days.day_to
        and coalesce({{ epoch_seconds('staged.valid_to') }}, 9223372036) > days.day_from

),

edges as (

    select usage_date, day_to, node_key, day_from as edge_second from told
    union
    select usage_date, day_to, node_key, since_second from told where since_second > day_from
    union
    select usage_date, day_to, node_key, until_second from told where until_second < day_to

),

pieces as (

    select
        usage_date,
        node_key,
        edge_second as from_second,
        lead(edge_second, 1, day_to) over (partition by usage_date, node_key order by edge_second) as to_second
    from edges

),

-- which row tells of a piece: one that holds in it, else the last before it, else the first after it
near as (

    select
        pieces.from_second,
        pieces.to_second,
        told.*,
        case when told.until_second <= pieces.from_second then 1 when told.since_second > pieces.from_second then 2 else 0 end as distance
    from pieces
    inner join told on pieces.usage_date = told.usage_date and pieces.node_key = told.node_key

),

ranked as (

    select
        *,
        row_number() over (
            partition by usage_date, node_key, from_second
            order by
                distance,
                case distance when 1 then -until_second when 2 then since_second else 0 end,
                since_second desc, source, gpu_count desc, gpu_model, gpu_sharing, gpu_replicas, pool, labels, gpus, volumes, aliases
        ) as recency
    from near

),

parts as (

    select
        ranked.*,
        row_number() over (
            partition by ranked.usage_date, ranked.node_key, ranked.from_second, ranked.gpu_model order by ranked.recency
        ) as telling
    from ranked
    inner join ranked as latest
        on latest.recency = 1
        and ranked.usage_date = latest.usage_date
        and ranked.node_key = latest.node_key
        and ranked.from_second = latest.from_second
        and ranked.source = latest.source
        and ranked.since_second = latest.since_second
        and ranked.until_second = latest.until_second

),

listed as (

    select element_source as gpus, {{ json_text('element', 'model') }} as gpu_model, count(*) as gpu_count
    from {{ json_elements('(select distinct gpus from parts) as lists', 'gpus') }} as gpu_elements
    where {{ json_text('element', 'model') }} is not null
    group by element_source, {{ json_text('element', 'model') }}

),

listed_counts as (

    select gpus, sum(gpu_count) as gpu_count
    from listed
    group by gpus

),

-- the models of a row: those of its listed GPUs, and its own for the rest; a list that is longer than its count tells nothing
models as (

    select parts.usage_date, parts.node_key, parts.from_second, listed.gpu_model, listed.gpu_count
    from parts
    inner join listed_counts on parts.gpus = listed_counts.gpus and listed_counts.gpu_count <= parts.gpu_count
    inner join listed on parts.gpus = listed.gpus
    where parts.telling = 1
    union all
    select
        parts.usage_date, parts.node_key, parts.from_second, parts.gpu_model,
        parts.gpu_count - case when listed_counts.gpu_count <= parts.gpu_count then listed_counts.gpu_count else 0 end
    from parts
    left join listed_counts on parts.gpus = listed_counts.gpus
    where parts.telling = 1

),

prices as (

    {{ price_list_models('models') }}

),

priced as (

    select
        models.usage_date,
        models.node_key,
        models.from_second,
        sum(models.gpu_count) as gpu_count,
        case when count(prices.weight) = count(*) then sum(models.gpu_count * prices.weight) end as gpu_price_weight,
        min(prices.weight) < max(prices.weight) as is_mixed
    from models
    left join prices on models.gpu_model = prices.gpu_model
    where models.gpu_count > 0
    group by models.usage_date, models.node_key, models.from_second

),

sizes as (

    select
        parts.usage_date,
        parts.node_key,
        parts.from_second,
        parts.to_second,
        cast(coalesce(max(priced.gpu_count), 0) as bigint) as gpu_count,
        max(parts.vcpus) as vcpus,
        max(parts.memory_gib) as memory_gib,
        -- micro-dollars of all its GPUs by the policy's price list; NULL where the list does not know one of them
        cast(max(priced.gpu_price_weight) as bigint) as gpu_price_weight,
        coalesce(bool_or(priced.is_mixed), false) as is_mixed
    from parts
    left join priced on parts.usage_date = priced.usage_date and parts.node_key = priced.node_key and parts.from_second = priced.from_second
    where parts.telling = 1
    group by parts.usage_date, parts.node_key, parts.from_second, parts.to_second

)

select * from sizes
