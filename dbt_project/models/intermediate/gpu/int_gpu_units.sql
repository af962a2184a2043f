-- Grain: day x telemetry identity of a GPU (as labelled) x node it was on -> its one key there. A unit is a whole GPU, or a
-- MIG instance of one. The device is named by UUID where any of its series has one, else by PCI bus id, else by index.
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
        max(blocks.gpu_model) as gpu_model
    from blocks
    inner join {{ ref('int_gpu_block_nodes') }} as block_nodes
        on blocks.usage_date = block_nodes.usage_date
        and blocks.hostname = block_nodes.hostname
        and blocks.block_from = block_nodes.block_from
        and blocks.block_from + 60 * blocks.slot_seconds = block_nodes.block_to
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
        case
            when mig_profile is null then 28
            else {{ int_div(mig_slices('mig_profile') ~ ' * 28', mig_slices_of_model('gpu_model')) }}
        end as unit_share
    from named

),

units as (

    select
        *,
        case when mig_instance_id is null then gpu_key else concat(gpu_key, '#', mig_instance_id) end as unit_key
    from keyed

),

instance_shares as (

    select usage_date, gpu_key, unit_key, max(unit_share) as unit_share, count(distinct unit_share) as shares
    from units
    where mig_instance_id is not null
    group by usage_date, gpu_key, unit_key

),

-- a GPU whose instances of one day do not fit beside each other was cut anew within the day: its telemetry is set aside, its day is
-- unknown (and counted in fct_data_quality)
reconfigured as (

    select usage_date, gpu_key
    from instance_shares
    group by usage_date, gpu_key
    having sum(unit_share) > 28 or max(shares) > 1

)

select units.*, reconfigured.gpu_key is not null as is_reconfigured
from units
left join reconfigured on units.usage_date = reconfigured.usage_date and units.gpu_key = reconfigured.gpu_key
