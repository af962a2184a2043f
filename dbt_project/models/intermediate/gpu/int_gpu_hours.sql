-- Grain: day x node x GPU x hour x holder: seconds held, covered, measured and used, billed or not (weights in 28ths of a GPU).
with

segments as (

    select * from {{ ref('int_gpu_segments') }}

),

activity as (

    select * from {{ ref('int_gpu_activity') }}

),

windows as (

    select * from {{ ref('int_node_windows') }}

),

priced_hours as (

    -- hours of a node for which a bill has come
    select distinct windows.usage_date, windows.node_key, hours.hour_from
    from windows
    inner join (select distinct usage_date, node_key, hour_from from segments) as hours
        on windows.usage_date = hours.usage_date
        and windows.node_key = hours.node_key
        and hours.hour_from >= windows.window_from
        and hours.hour_from < windows.window_to

),

billed as (

    select usage_date, node_key, gpu_key, hour_from, coalesce(attempt_key, '') as holder_key, sum(unit_share * seconds) as billed_weight
    from {{ ref('int_gpu_window_seconds') }}
    group by usage_date, node_key, gpu_key, hour_from, coalesce(attempt_key, '')

),

summed as (

    select
        segments.usage_date,
        segments.node_key,
        segments.gpu_key,
        segments.hour_from,
        coalesce(segments.attempt_key, '') as holder_key,
        min(segments.workload_key) as workload_key,
        min(segments.attempt_key) as attempt_key,
        sum(segments.unit_share * (segments.to_second - segments.from_second)) as total_weight,
        sum(case when segments.is_covered then segments.unit_share * (segments.to_second - segments.from_second) else 0 end) as covered_weight,
        sum(case when segments.is_covered and activity.activity_ppm is not null and segments.evidence <> 'count_only'
            then segments.unit_share * (segments.to_second - segments.from_second) else 0 end) as measured_weight,
        sum(case when segments.is_covered and segments.evidence <> 'count_only'
            then segments.unit_share * (segments.to_second - segments.from_second) * activity.activity_ppm else 0 end) as used_weight,
        min(activity.activity_rung) as activity_rung,
        max(case when segments.is_contested then segments.to_second - segments.from_second else 0 end) as contested_seconds
    from segments
    left join activity
        on segments.usage_date = activity.usage_date
        and segments.unit_key = activity.unit_key
        and segments.hour_from = activity.hour_from
        and coalesce(segments.attempt_key, '') = activity.holder_key
    group by segments.usage_date, segments.node_key, segments.gpu_key, segments.hour_from, coalesce(segments.attempt_key, '')

),

hours as (

    select
        summed.*,
        coalesce(billed.billed_weight, 0) as billed_weight,
        priced_hours.hour_from is not null as is_priced
    from summed
    left join billed
        on summed.usage_date = billed.usage_date
        and summed.node_key = billed.node_key
        and summed.gpu_key = billed.gpu_key
        and summed.hour_from = billed.hour_from
        and summed.holder_key = billed.holder_key
    left join priced_hours
        on summed.usage_date = priced_hours.usage_date
        and summed.node_key = priced_hours.node_key
        and summed.hour_from = priced_hours.hour_from

)

select * from hours
