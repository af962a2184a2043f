-- Grain: day x telemetry identity of a GPU (as labelled) -> the node it is on and its one key there. A unit is a whole GPU, or a
-- MIG instance of one. The device is named by UUID where any of its series has one, else by PCI bus id, else by index.
with

blocks as (

    select distinct usage_date, hostname, gpu_uuid, pci_bus_id, gpu_index, mig_profile, mig_instance_id, gpu_model, block_from
    from {{ ref('int_gpu_blocks') }}
    where usage_date in (select usage_date from {{ ref('int_days') }})

),

identities as (

    select
        usage_date,
        hostname,
        gpu_uuid,
        pci_bus_id,
        gpu_index,
        mig_profile,
        mig_instance_id,
        max(gpu_model) as gpu_model,
        min(block_from) as first_second
    from blocks
    group by usage_date, hostname, gpu_uuid, pci_bus_id, gpu_index, mig_profile, mig_instance_id

),

names as (

    select * from {{ ref('int_node_names') }}

),

located as (

    select
        identities.*,
        coalesce(names.node_key, concat(identities.hostname, '|')) as node_key,
        names.node_key is not null as is_known_node,
        row_number() over (
            partition by identities.usage_date, identities.hostname, identities.gpu_uuid, identities.pci_bus_id, identities.gpu_index,
                identities.mig_profile, identities.mig_instance_id
            order by names.name_rank, names.valid_from_second desc, names.node_key
        ) as choice
    from identities
    left join names
        on identities.usage_date = names.usage_date
        and identities.hostname = names.node_name
        and identities.first_second < names.valid_to_second
        and identities.first_second + 86400 > names.valid_from_second

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
        concat(node_key, '|', lower(coalesce(gpu_uuid, pci_bus_id, gpu_index, 'gpu'))) as gpu_key,
        case
            when mig_profile is null then 28
            else {{ int_div(mig_slices('mig_profile') ~ ' * 28', mig_slices_of_model('gpu_model')) }}
        end as unit_share
    from located
    where choice = 1

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
