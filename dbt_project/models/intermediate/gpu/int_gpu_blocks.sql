-- Grain: day x GPU series x block of sixty slots: which slots were observed, and the activity of each rung in whole millionths.
-- The occupancy state: a night works from it and reads samples again only for days whose telemetry changed. A day also owns the
-- last blocks of the day before (its lead-in), so that it can be computed alone.
{{ config(materialized='incremental', incremental_strategy='replace_days', meta={'days': 'dirty_telemetry_days'}) }}

with

days as (

    {{ bounded_days(source('ops', 'dirty_telemetry_days')) }}

),

staged as (

    {{ staged('gpu_samples', gpu_sample_columns()) }}

),

wanted as (

    select *, {{ epoch_seconds('sampled_at') }} as sampled_second
    from staged
    where {{ sampled_for_days() }}

),

blocks as (

    select
        source,
        slot_seconds,
        lower(hostname) as hostname,
        gpu_uuid,
        pci_bus_id,
        gpu_index,
        mig_profile,
        mig_instance_id,
        namespace,
        pod,
        pod_uid,
        hpc_job,
        exporter,
        {{ block_start('sampled_second', 'slot_seconds') }} as block_from,
        max(gpu_model) as gpu_model,
        min(sampled_second) as first_sampled_second,
        bit_or({{ slot_bit() }}) as observed_mask,
        cast(count(sm_active_millionths) as bigint) as sm_active_samples,
        coalesce(bit_or(case when sm_active_millionths is not null then {{ slot_bit() }} end), 0) as sm_active_mask,
        cast(sum(sm_active_millionths) as bigint) as sm_active_millionths,
        cast(count(gr_engine_active_millionths) as bigint) as gr_engine_active_samples,
        coalesce(bit_or(case when gr_engine_active_millionths is not null then {{ slot_bit() }} end), 0) as gr_engine_active_mask,
        cast(sum(gr_engine_active_millionths) as bigint) as gr_engine_active_millionths,
        cast(count(gpu_util_millionths) as bigint) as gpu_util_samples,
        coalesce(bit_or(case when gpu_util_millionths is not null then {{ slot_bit() }} end), 0) as gpu_util_mask,
        cast(sum(gpu_util_millionths) as bigint) as gpu_util_millionths,
        cast(count(fb_used_kib) as bigint) as fb_used_samples,
        coalesce(bit_or(case when fb_used_kib is not null then {{ slot_bit() }} end), 0) as fb_used_mask,
        coalesce(bit_or(case when fb_used_kib <= {{ parameter('no_process_memory_kib') }} then {{ slot_bit() }} end), 0) as small_memory_mask,
        cast(sum(fb_used_kib) as bigint) as fb_used_kib,
        cast(max(fb_used_kib) as bigint) as peak_fb_used_kib,
        {{ scale_evidence() }},
        cast(sum(discarded_values) as bigint) as discarded_values,
        cast(sum(discarded_meter_values) as bigint) as discarded_meter_values,
        cast(count(*) as bigint) as sample_count
    from wanted
    group by
        source, slot_seconds, lower(hostname), gpu_uuid, pci_bus_id, gpu_index, mig_profile, mig_instance_id, namespace, pod, pod_uid,
        hpc_job, exporter, {{ block_start('sampled_second', 'slot_seconds') }}

),

owned as (

    select
        days.usage_date,
        blocks.*,
        {{ digest(['source', 'exporter']) }} as series_key,
        {{ holder_label() }} as holder_label
    from blocks
    inner join days on {{ block_of_day('blocks', 'days') }}

),

-- what is known of a whole series (one exporter on one host) on the day, and then of its source
series_evidence as (

    select
        *,
        {{ series_evidence() }}
    from owned
    window series as (partition by usage_date, source, hostname, exporter)

),

source_evidence as (

    select
        *,
        {{ source_evidence() }}
    from series_evidence
    window by_source as (partition by usage_date, source)

),

readings as (

    select
        *,
        {{ scale_readings() }}
    from source_evidence

),

read_blocks as (

    select
        usage_date, source, slot_seconds, hostname, gpu_uuid, pci_bus_id, gpu_index, mig_profile, mig_instance_id, namespace, pod, pod_uid, hpc_job,
        exporter, block_from, gpu_model, first_sampled_second, observed_mask,
        {%- for rung in activity_rungs() %}
        {{ rung }}_samples,
        {{ rung }}_mask,
        {{ as_ppm(rung, rung ~ '_millionths') }} as {{ rung }}_ppm,
        {{ reads_otherwise(rung) }},
        {%- endfor %}
        is_gpu_util_scale_unclear,
        fb_used_samples,
        fb_used_mask,
        small_memory_mask,
        fb_used_kib,
        peak_fb_used_kib,
        -- values of the other scale stand among those of this block: only its samples tell which
        {{ off_scale_values() }} > 0 as has_off_scale_values,
        {{ off_scale_values() }} as off_scale_values,
        discarded_values + {{ off_scale_values() }} as discarded_values,
        discarded_meter_values,
        sample_count,
        series_key,
        holder_label
    from readings

)

select * from read_blocks
