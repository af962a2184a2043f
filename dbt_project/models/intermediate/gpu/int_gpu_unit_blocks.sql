-- Grain: day x unit x block x series x label. A block is plain when nothing in it needs single samples: one label, no edge of an
-- interval inside, no slot sampled twice. Only the others are looked at sample by sample.
with

blocks as (

    select * from {{ ref('int_gpu_blocks') }}
    where usage_date in (select usage_date from {{ ref('int_days') }})

),

units as (

    select * from {{ ref('int_gpu_units') }}

),

edges as (

    select * from {{ ref('int_holder_edges') }}

),

keyed as (

    select
        blocks.*,
        units.node_key,
        units.gpu_key,
        units.unit_key,
        blocks.block_from + 60 * blocks.slot_seconds as block_to
    from blocks
    inner join {{ ref('int_gpu_block_nodes') }} as block_nodes
        on blocks.usage_date = block_nodes.usage_date
        and blocks.hostname = block_nodes.hostname
        and blocks.block_from = block_nodes.block_from
        and blocks.block_from + 60 * blocks.slot_seconds = block_nodes.block_to
    inner join units
        on blocks.usage_date = units.usage_date
        and blocks.hostname = units.hostname
        and block_nodes.node_key = units.node_key
        and blocks.gpu_uuid is not distinct from units.gpu_uuid
        and blocks.pci_bus_id is not distinct from units.pci_bus_id
        and blocks.gpu_index is not distinct from units.gpu_index
        and blocks.mig_profile is not distinct from units.mig_profile
        and blocks.mig_instance_id is not distinct from units.mig_instance_id
        and not units.is_reconfigured

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

select * from flagged
