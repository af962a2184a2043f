-- Grain: day x unit x sample, only in blocks that are not plain. Part of the occupancy state: kept until telemetry, intervals or
-- inventory of the day change.
{{ config(materialized='incremental', incremental_strategy='replace_days', meta={'days': 'dirty_telemetry_days'}) }}

with

staged as (

    {{ staged('gpu_samples', gpu_sample_columns()) }}

),

blocks as (

    select
        usage_date, source, slot_seconds, hostname, gpu_uuid, pci_bus_id, gpu_index, mig_profile, mig_instance_id, block_from,
        node_key, unit_key, is_recut
    from {{ ref('int_gpu_unit_blocks') }}
    where not is_plain and usage_date in (select usage_date from {{ source('ops', 'dirty_telemetry_days') }})
    group by
        usage_date, source, slot_seconds, hostname, gpu_uuid, pci_bus_id, gpu_index, mig_profile, mig_instance_id, block_from,
        node_key, unit_key, is_recut

),

-- the scale that each series is on (its values of the day told it)
scales as (

    select distinct usage_date, source, hostname, exporter, is_sm_active_percent, is_gr_engine_active_percent, is_gpu_util_ratio
    from {{ ref('int_gpu_unit_blocks') }}
    where not is_plain and usage_date in (select usage_date from {{ source('ops', 'dirty_telemetry_days') }})

),

sampled as (

    select *, {{ epoch_seconds('sampled_at') }} as sampled_second
    from staged
    where sampled_at >= (select cast(min({{ timestamp_of('block_from') }}) as timestamp) from blocks)

),

details as (

    select
        blocks.usage_date,
        blocks.node_key,
        blocks.unit_key,
        sampled.slot_seconds,
        {{ int_div('sampled.sampled_second', 'sampled.slot_seconds') }} * sampled.slot_seconds as slot_from,
        {{ epoch_micros('sampled.sampled_at') }} as sampled_micros,
        sampled.sampled_second,
        {{ digest(['sampled.source', 'sampled.exporter']) }} as series_key,
        {{ holder_label('sampled') }} as holder_label,
        sampled.pod_uid,
        {{ sample_ppm('sm_active', 'scales') }},
        {{ sample_ppm('gr_engine_active', 'scales') }},
        {{ sample_ppm('gpu_util', 'scales') }},
        sampled.fb_used_kib,
        sampled.discarded_values
        {%- for rung in activity_rungs() %}
        + case when sampled.{{ rung }}_millionths > 1000000 and {{ is_ratio(rung, 'scales') }} then 1 else 0 end
        {%- endfor %} as discarded_values
    from sampled
    inner join blocks on {{ sample_of_block('sampled', 'blocks', unit_labels()) }}
    left join scales
        on blocks.usage_date = scales.usage_date
        and blocks.source = scales.source
        and blocks.hostname = scales.hostname
        and sampled.exporter is not distinct from scales.exporter
    -- where the MIG layout changed within the day, a unit's samples count while it is there
    left join {{ ref('int_mig_layouts') }} as layouts
        on blocks.is_recut = 1
        and blocks.usage_date = layouts.usage_date
        and blocks.unit_key = layouts.unit_key
        and sampled.sampled_second >= layouts.samples_from_second
        and sampled.sampled_second < layouts.to_second
    where coalesce(blocks.is_recut, 0) = 0 or layouts.unit_key is not null

)

select * from details
