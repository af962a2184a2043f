-- Grain: day x node x GPU x hour x holder: seconds held, covered, measured and used, billed or not (weights in parts of a GPU x seconds).
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

node_hours as (

    select distinct usage_date, node_key, hour_from from segments

),

nodes as (

    select * from {{ ref('int_nodes') }}

),

validity as (

    select * from {{ ref('int_node_validity') }}

),

-- a rate card that is the bill is there at once: it says nothing of how far the provider's own bill has come
rated_nodes as (

    select distinct cast(usage_start as date) as usage_date, resource_id from {{ ref('int_rated_charges') }}

),

-- how far the bill of the day's nodes has come, by provider
frontiers as (

    select windows.usage_date, nodes.provider, max(windows.window_to) as billed_to
    from windows
    inner join nodes on windows.usage_date = nodes.usage_date and windows.node_key = nodes.node_key
    left join rated_nodes on nodes.usage_date = rated_nodes.usage_date and nodes.resource_id = rated_nodes.resource_id
    where rated_nodes.resource_id is null
    group by windows.usage_date, nodes.provider

),

-- a node's hour is priced when its bill has come, or when no bill will: the provider's bill has passed the hour without one, or
-- the inventory does not have the node in it. Every other hour awaits its bill.
priced_hours as (

    select node_hours.usage_date, node_hours.node_key, node_hours.hour_from
    from node_hours
    inner join windows
        on node_hours.usage_date = windows.usage_date
        and node_hours.node_key = windows.node_key
        and node_hours.hour_from >= windows.window_from
        and node_hours.hour_from < windows.window_to
    union
    select node_hours.usage_date, node_hours.node_key, node_hours.hour_from
    from node_hours
    inner join nodes on node_hours.usage_date = nodes.usage_date and node_hours.node_key = nodes.node_key
    inner join frontiers on nodes.usage_date = frontiers.usage_date and nodes.provider is not distinct from frontiers.provider
    where node_hours.hour_from < frontiers.billed_to
    union
    select node_hours.usage_date, node_hours.node_key, node_hours.hour_from
    from node_hours
    inner join nodes on node_hours.usage_date = nodes.usage_date and node_hours.node_key = nodes.node_key
    left join validity
        on node_hours.usage_date = validity.usage_date
        and node_hours.node_key = validity.node_key
        and node_hours.hour_from < validity.to_second
        and node_hours.hour_from + 3600 > validity.from_second
    where validity.node_key is null and (nodes.valid_from_second is not null or nodes.valid_to_second is not null)

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
        sum(case when segments.is_contested then segments.to_second - segments.from_second else 0 end) as contested_seconds
    from segments
    left join activity
        on segments.usage_date = activity.usage_date
        and segments.unit_key = activity.unit_key
        and segments.hour_from = activity.hour_from
        and {{ activity_holder('segments') }} = activity.holder_key
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
