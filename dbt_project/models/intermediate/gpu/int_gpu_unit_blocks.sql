-- Grain: day x unit x block x series x label. A block is plain when nothing in it needs single samples: one label, no edge of an
-- interval inside, no slot sampled twice. Only the others are looked at sample by sample.
with

blocks as (

    select * from {{ ref('int_gpu_blocks') }}
    where usage_date in (select usage_date from {{ ref('int_days') }})

),

layouts as (

    select * from {{ ref('int_mig_layouts') }}

),

units as (

    -- samples of what is no part of the GPU's MIG layout are set aside: the bare device of a GPU with instances, an instance of the day before
    select units.*, laid_out.is_recut
    from {{ ref('int_gpu_units') }} as units
    left join (select usage_date, unit_key, max(case when is_recut then 1 else 0 end) as is_recut from layouts group by usage_date, unit_key) as laid_out
        on units.usage_date = laid_out.usage_date and units.unit_key = laid_out.unit_key
    left join (select distinct usage_date, gpu_key from layouts) as mig_gpus on units.usage_date = mig_gpus.usage_date and units.gpu_key = mig_gpus.gpu_key
    where laid_out.unit_key is not null or (mig_gpus.gpu_key is null and units.mig_instance_id is null)

),

edges as (

    select usage_date, node_key, edge_second from {{ ref('int_holder_edges') }}
    union
    select usage_date, node_key, from_second from layouts where is_recut
    union
    select usage_date, node_key, to_second from layouts where is_recut

),

keyed as (

    select
        blocks.*,
        units.node_key,
        units.gpu_key,
        units.unit_key,
        units.is_recut,
        blocks.block_from + 60 * blocks.slot_seconds as block_to
    from blocks
    inner join {{ ref('int_gpu_block_nodes') }} as block_nodes on {{ node_of_block('blocks', 'block_nodes') }}
    inner join units
        on blocks.usage_date = units.usage_date
        and blocks.hostname = units.hostname
        and block_nodes.node_key = units.node_key
        and {{ same_labels('blocks', 'units', unit_labels()) }}

),

edged_blocks as (

    select distinct keyed.usage_date, keyed.node_key, keyed.block_from, keyed.slot_seconds
    from keyed
    inner join edges
        on keyed.usage_date = edges.usage_date
        and keyed.node_key = edges.node_key
        and edges.edge_second > keyed.block_from
        and edges.edge_second < keyed.block_to

),

judged as (

    select
        usage_date,
        unit_key,
        block_from,
        min(slot_seconds) as least_slot_seconds,
        max(slot_seconds) as most_slot_seconds,
        min(coalesce(holder_label, '') || '|' || coalesce(pod_uid, '')) as least_label,
        max(coalesce(holder_label, '') || '|' || coalesce(pod_uid, '')) as most_label,
        max(case
            when sm_active_samples <> bit_count(sm_active_mask)
                or gr_engine_active_samples <> bit_count(gr_engine_active_mask)
                or gpu_util_samples <> bit_count(gpu_util_mask)
                or fb_used_samples <> bit_count(fb_used_mask)
                or has_off_scale_values then 1 else 0
        end) as has_repeats
    from keyed
    group by usage_date, unit_key, block_from

),

flagged as (

    select
        keyed.*,
        judged.has_repeats = 0
        and judged.least_label = judged.most_label
        and judged.least_slot_seconds = judged.most_slot_seconds
        and edged_blocks.block_from is null as is_plain
    from keyed
    inner join judged
        on keyed.usage_date = judged.usage_date
        and keyed.unit_key = judged.unit_key
        and keyed.block_from = judged.block_from
    left join edged_blocks
        on keyed.usage_date = edged_blocks.usage_date
        and keyed.node_key = edged_blocks.node_key
        and keyed.block_from = edged_blocks.block_from
        and keyed.slot_seconds = edged_blocks.slot_seconds

)

-- where the layout changed within the day, a unit's samples count while it is there; int_gpu_details looks at those of blocks that a change cuts
select flagged.*
from flagged
left join layouts
    on flagged.is_recut = 1
    and flagged.usage_date = layouts.usage_date
    and flagged.unit_key = layouts.unit_key
    and flagged.first_sampled_second >= layouts.samples_from_second
    and flagged.first_sampled_second < layouts.to_second
where coalesce(flagged.is_recut, 0) = 0 or not flagged.is_plain or layouts.unit_key is not null
