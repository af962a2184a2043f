-- Grain: billing window x GPU x hour x holder x class: its weight (parts of a GPU x seconds x millionths) and its GPU-seconds. The
-- classes of attribution rules, section 5; the weights of one window sum to GPUs x billed seconds exactly.
with

measured as (

    select * from {{ ref('int_gpu_window_seconds') }}

),

windows as (

    select * from {{ ref('int_node_billed_stretches') }}

),

judged as (

    select
        *,
        {{ gpu_judgement() }} as judgement,
        case
            when segment_reason is not null then segment_reason
            when evidence = 'count_only' then 'count_only'
            when not is_covered then 'no_samples'
            when activity_ppm is null then 'no_activity_value'
            when attempt_key is null and activity_ppm > {{ parameter('idle_threshold_ppm') }} then 'active_unlabelled'
        end as reason
    from measured

),

classed as (

    {{ gpu_class_weights('judged', ['window_key', 'usage_date', 'node_key', 'gpu_key', 'hour_from', 'workload_key', 'attempt_key', 'evidence', 'activity_rung', 'rung_coverage_ppm', 'sharing', 'is_unmeasured', 'reason']) }}
    union all
    select window_key, usage_date, node_key, concat(node_key, '|unplaced'), window_from - window_from % 3600, cast(null as {{ dbt.type_string() }}),
        cast(null as {{ dbt.type_string() }}), 'none', cast(null as {{ dbt.type_string() }}), cast(null as bigint), 'none', false, 'billed_window_mismatch',
        'unknown', {{ wide_int(gpu_parts()) }} * gpu_count * unplaced_seconds * 1000000
    from windows
    where unplaced_seconds > 0

),

classes as (

    select
        window_key,
        usage_date,
        node_key,
        gpu_key,
        hour_from,
        workload_key,
        attempt_key,
        cost_class,
        reason,
        {{ one_or_mixed('evidence') }} as evidence,
        {{ one_or_mixed('activity_rung') }} as activity_rung,
        sharing,
        is_unmeasured,
        -- coverage of the rung, to be divided by the weight: means of coverage are weighted by what they cover
        cast(sum({{ wide_int('weight') }} * rung_coverage_ppm) as decimal(38, 0)) as rung_coverage_weight,
        {{ wide_int('sum(weight)') }} as weight
    from classed
    where weight > 0
    group by window_key, usage_date, node_key, gpu_key, hour_from, workload_key, attempt_key, cost_class, reason, sharing, is_unmeasured

)

select * from classes
