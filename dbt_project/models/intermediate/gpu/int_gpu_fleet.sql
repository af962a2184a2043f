-- Grain: day x unit that attribution knows of: seen by telemetry, named by an interval or by the inventory, or only counted by the
-- inventory (then it is a numbered stand-in, and its time is unknown). Slices outside any MIG instance are a unit of their own.
with

units as (

    select * from {{ ref('int_gpu_units') }}

),

nodes as (

    select * from {{ ref('int_nodes') }}

),

device_names as (

    select * from {{ ref('int_gpu_device_names') }}

),

observed_gpus as (

    select usage_date, node_key, gpu_key, sum(case when mig_instance_id is not null and not is_reconfigured then unit_share else 0 end) as instance_share
    from (select distinct usage_date, node_key, gpu_key, unit_key, mig_instance_id, unit_share, is_reconfigured from units) as distinct_units
    group by usage_date, node_key, gpu_key

),

instances as (

    select distinct usage_date, node_key, gpu_key, unit_key, unit_share, false as is_remainder
    from units
    where mig_instance_id is not null and not is_reconfigured

),

whole_or_rest as (

    -- the device itself, or what its instances leave of it
    select usage_date, node_key, gpu_key, gpu_key as unit_key, 28 - instance_share as unit_share, instance_share > 0 as is_remainder
    from observed_gpus
    where instance_share < 28

),

named_gpus as (

    select distinct device_names.usage_date, device_names.node_key, device_names.gpu_key, device_names.gpu_key as unit_key, 28 as unit_share, false as is_remainder
    from device_names
    left join observed_gpus
        on device_names.usage_date = observed_gpus.usage_date
        and device_names.gpu_key = observed_gpus.gpu_key
    where observed_gpus.gpu_key is null

),

known_units as (

    select * from instances
    union all
    select * from whole_or_rest
    union all
    select * from named_gpus

),

known_counts as (

    select usage_date, node_key, count(distinct gpu_key) as known_gpus
    from known_units
    group by usage_date, node_key

),

missing_units as (

    select
        nodes.usage_date,
        nodes.node_key,
        concat(nodes.node_key, '|unseen-', cast(slots.slot_number + 1 as {{ dbt.type_string() }})) as gpu_key,
        concat(nodes.node_key, '|unseen-', cast(slots.slot_number + 1 as {{ dbt.type_string() }})) as unit_key,
        28 as unit_share,
        false as is_remainder
    from nodes
    left join known_counts on nodes.usage_date = known_counts.usage_date and nodes.node_key = known_counts.node_key
    inner join {{ ref('int_slot_numbers') }} as slots on slots.slot_number < nodes.gpu_count - coalesce(known_counts.known_gpus, 0)

),

fleet as (

    select * from known_units
    union all
    select * from missing_units

)

select * from fleet
