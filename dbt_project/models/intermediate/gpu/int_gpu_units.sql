-- Grain: day x telemetry identity of a GPU (as labelled) x node it was on -> its one key there. A unit is a whole GPU, or a
-- MIG instance of one (the same instance id under another profile is another). The device is named by UUID where any of its series
-- has one, else by PCI bus id, else by index.
with

blocks as (

    select * from {{ ref('int_gpu_blocks') }}
    where usage_date in (select usage_date from {{ ref('int_days') }})

),

identities as (

    select
        blocks.usage_date,
        blocks.hostname,
        block_nodes.node_key,
        block_nodes.is_known_node,
        blocks.gpu_uuid,
        blocks.pci_bus_id,
        blocks.gpu_index,
        blocks.mig_profile,
        blocks.mig_instance_id,
        max(blocks.gpu_model) as gpu_model,
        -- from the start of the slot of its first sample to the end of the slot of its last
        min({{ int_div('blocks.first_sampled_second', 'blocks.slot_seconds') }} * blocks.slot_seconds) as seen_from_second,
        max(blocks.block_from + (60 - bit_count((blocks.observed_mask & -blocks.observed_mask) - 1)) * blocks.slot_seconds) as seen_to_second
    from blocks
    inner join {{ ref('int_gpu_block_nodes') }} as block_nodes on {{ node_of_block('blocks', 'block_nodes') }}
    group by
        blocks.usage_date, blocks.hostname, block_nodes.node_key, block_nodes.is_known_node, blocks.gpu_uuid, blocks.pci_bus_id,
        blocks.gpu_index, blocks.mig_profile, blocks.mig_instance_id

),

-- another exporter's series may lack the UUID, or have the index only: what any series of the node tells of the same bus or index counts
named as (

    select
        *,
        max(gpu_uuid) over (partition by usage_date, node_key, {{ device_name('pci_bus_id') }}) as uuid_of_bus,
        max(gpu_uuid) over (partition by usage_date, node_key, gpu_index) as uuid_of_index,
        max(pci_bus_id) over (partition by usage_date, node_key, gpu_index) as bus_of_index
    from identities

),

keyed as (

    select
        usage_date,
        hostname,
        gpu_uuid,
        pci_bus_id,
        gpu_index,
        mig_profile,
        mig_instance_id,
        gpu_model,
        node_key,
        is_known_node,
        concat(node_key, '|', lower(coalesce(
            gpu_uuid,
            case when pci_bus_id is not null then uuid_of_bus end,
            case when gpu_index is not null then uuid_of_index end,
            pci_bus_id,
            case when gpu_index is not null then bus_of_index end,
            gpu_index,
            'gpu'
        ))) as gpu_key,
        seen_from_second,
        seen_to_second
    from named

),

units as (

    select
        *,
        case when mig_instance_id is null then gpu_key else concat(gpu_key, '#', mig_instance_id, '#', coalesce(mig_profile, '')) end as unit_key
    from keyed

)

select * from units
