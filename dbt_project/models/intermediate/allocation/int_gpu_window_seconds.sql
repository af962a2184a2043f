-- Grain: billing window x segment of a unit (one row for each of its holders) inside its billed seconds: who holds it, whether it is known, how active. Segments of
-- GPUs above the inventory's count (a device told under two names) are left out, and counted in fct_data_quality.
with

segments as (

    select * from {{ ref('int_gpu_segments') }}

),

activity as (

    select * from {{ ref('int_gpu_activity') }}

),

windows as (

    select * from {{ ref('int_node_billed_stretches') }}

),

ranked_gpus as (

    select * from {{ ref('int_gpu_hour_ranks') }}

),

measured as (

    select
        windows.window_key,
        windows.usage_date,
        windows.node_key,
        segments.gpu_key,
        segments.unit_key,
        segments.unit_share,
        segments.is_remainder,
        segments.hour_from,
        segments.workload_key,
        segments.attempt_key,
        segments.evidence,
        segments.is_covered,
        activity.activity_ppm,
        activity.small_memory_ppm,
        {%- for rung in activity_rungs() %}
        activity.{{ rung }}_ppm,
        activity.{{ rung }}_coverage_ppm,
        {%- endfor %}
        activity.activity_rung,
        activity.rung_coverage_ppm,
        segments.sharing,
        segments.is_unmeasured,
        segments.segment_reason,
        least(segments.to_second, windows.billed_to) - greatest(segments.from_second, windows.billed_from) as seconds
    from windows
    inner join segments
        on windows.usage_date = segments.usage_date
        and windows.node_key = segments.node_key
        and segments.from_second < windows.billed_to
        and segments.to_second > windows.billed_from
    inner join ranked_gpus
        on segments.usage_date = ranked_gpus.usage_date
        and segments.node_key = ranked_gpus.node_key
        and segments.hour_from = ranked_gpus.hour_from
        and segments.gpu_key = ranked_gpus.gpu_key
        and ranked_gpus.gpu_rank <= windows.gpu_count
    left join activity
        on segments.usage_date = activity.usage_date
        and segments.unit_key = activity.unit_key
        and segments.hour_from = activity.hour_from
        and {{ activity_holder('segments') }} = activity.holder_key

)

select * from measured
