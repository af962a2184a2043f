-- Grain: day x unit whose sharing is split by what each holder uses x hour x holder: the mean of the holder's own values, rounded half up
-- (KiB of memory, or the utilization of its processes, on whatever scale its series is: only proportions count). A holder's own are the samples that bear its label.
{{ config(materialized='incremental', incremental_strategy='replace_days', meta={'days': 'dirty_telemetry_days'}) }}

with

days as (

    select days.*
    from {{ ref('int_days') }} as days
    inner join {{ source('ops', 'dirty_telemetry_days') }} as dirty on days.usage_date = dirty.usage_date

),

measured_units as (

    select distinct usage_date, unit_key, split from {{ ref('int_gpu_fleet') }}
    where is_declared and split in ('memory', 'process_utilization')

),

blocks as (

    select distinct
        blocks.usage_date, blocks.source, blocks.slot_seconds, blocks.hostname, blocks.gpu_uuid, blocks.pci_bus_id, blocks.gpu_index, blocks.mig_profile,
        blocks.mig_instance_id, blocks.block_from, blocks.node_key, blocks.unit_key, measured_units.split
    from {{ ref('int_gpu_unit_blocks') }} as blocks
    inner join measured_units on blocks.usage_date = measured_units.usage_date and blocks.unit_key = measured_units.unit_key

),

staged as (

    {{ staged('gpu_samples', gpu_sample_columns()) }}

),

sampled as (

    select
        *,
        {{ epoch_seconds('sampled_at') }} as sampled_second,
        {{ holder_label() }} as holder_label
    from staged
    where sampled_at >= (select cast(min({{ timestamp_of('block_from') }}) as timestamp) from blocks) and (hpc_job is not null or pod is not null)

),

valued as (

    select
        blocks.usage_date,
        blocks.node_key,
        blocks.unit_key,
        sampled.sampled_second,
        sampled.holder_label,
        sampled.pod_uid,
        case when blocks.split = 'memory' then sampled.fb_used_kib else {{ int_div('sampled.gpu_util_millionths + 50', '100') }} end as holder_value
    from sampled
    inner join blocks on {{ sample_of_block('sampled', 'blocks', unit_labels()) }}
    inner join days
        on blocks.usage_date = days.usage_date and sampled.sampled_second >= days.day_from and sampled.sampled_second < days.day_to

),

held as (

    -- as in the claims: a label speaks for the attempt in whose interval it was told; one that nobody knows, for itself
    select
        valued.usage_date,
        valued.unit_key,
        valued.sampled_second - valued.sampled_second % 3600 as hour_from,
        coalesce(label_stints.attempt_key, concat('unregistered/', valued.holder_label)) as attempt_key,
        valued.holder_value
    from valued
    left join {{ ref('int_label_stints') }} as label_stints
        on valued.usage_date = label_stints.usage_date
        and valued.node_key = label_stints.node_key
        and valued.holder_label = label_stints.holder_label
        and valued.pod_uid is not distinct from label_stints.pod_uid
    where valued.holder_value is not null
        and (label_stints.stint_key is null or (valued.sampled_second >= label_stints.started_second and valued.sampled_second < label_stints.ended_second))

)

select
    usage_date, unit_key, hour_from, attempt_key,
    cast({{ int_div('2 * sum(holder_value) + count(*)', '2 * count(*)') }} as bigint) as holder_value
from held
group by usage_date, unit_key, hour_from, attempt_key
