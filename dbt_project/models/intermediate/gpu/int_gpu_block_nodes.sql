-- Grain: day x telemetry host name x block -> the node that bore this name then. A name may pass to another machine within a day: the
-- node whose validity covers most of the block has it.
with

blocks as (

    select distinct usage_date, hostname, block_from, block_from + 60 * slot_seconds as block_to
    from {{ ref('int_gpu_blocks') }}
    where usage_date in (select usage_date from {{ ref('int_days') }})

),

ranked as (

    select
        blocks.usage_date,
        blocks.hostname,
        blocks.block_from,
        blocks.block_to,
        coalesce(names.node_key, concat(blocks.hostname, '|')) as node_key,
        names.node_key is not null as is_known_node,
        row_number() over (
            partition by blocks.usage_date, blocks.hostname, blocks.block_from, blocks.block_to
            order by
                greatest(0, least(names.valid_to_second, blocks.block_to) - greatest(names.valid_from_second, blocks.block_from)) desc,
                names.name_rank, names.valid_from_second desc, names.node_key
        ) as choice
    from blocks
    left join {{ ref('int_node_names') }} as names on blocks.usage_date = names.usage_date and blocks.hostname = names.node_name

)

select usage_date, hostname, block_from, block_to, node_key, is_known_node
from ranked
where choice = 1
