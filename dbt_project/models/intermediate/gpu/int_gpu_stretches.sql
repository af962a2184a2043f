-- Grain: day x unit x elementary stretch of whole seconds inside one hour: between two of its ends nothing changes: who claims the unit,
-- whether it is covered, what the pool of its node has. `latest_edge_second`: a fill behind a sample before it has stopped there.
with

days as (

    select * from {{ ref('int_days') }}

),

fleet as (

    select * from {{ ref('int_gpu_fleet') }}

),

coverage as (

    select * from {{ ref('int_gpu_coverage') }}

),

claims as (

    select * from {{ ref('int_gpu_claims') }}

),

hours as (

    select days.usage_date, days.day_from + slots.slot_number * 3600 as hour_from
    from days
    inner join {{ ref('int_slot_numbers') }} as slots on slots.slot_number < 24

),

-- `edge_second`: the edge itself, which for what began or ended before the day lies before the cut at the day's start
own_cuts as (

    select usage_date, node_key, unit_key, from_second as cut_second, cast(null as bigint) as edge_second from coverage
    union all
    select usage_date, node_key, unit_key, to_second, null from coverage
    union all
    select usage_date, node_key, unit_key, from_second, case when priority <> 2 then started_second end from claims where unit_key is not null
    union all
    select usage_date, node_key, unit_key, to_second, case when priority <> 2 then to_second end from claims where unit_key is not null
    union all
    select edges.usage_date, edges.node_key, edges.unit_key, days.day_from, edges.edge_second
    from {{ ref('int_gpu_lead_in_edges') }} as edges
    inner join days on edges.usage_date = days.usage_date
    union all
    -- where a label's interval begins or ends, the label's meaning changes: an edge
    select claims.usage_date, claims.node_key, claims.unit_key, stints.ended_second, stints.ended_second
    from claims
    inner join {{ ref('int_workload_attempts') }} as stints on claims.stint_key = stints.stint_key and claims.to_second = stints.ended_second
    where claims.priority = 2
    union all
    -- a fill never passes the end of the node
    select fleet.usage_date, fleet.node_key, fleet.unit_key, validity.to_second, validity.to_second
    from fleet
    inner join {{ ref('int_node_validity') }} as validity on fleet.usage_date = validity.usage_date and fleet.node_key = validity.node_key
    union all
    -- nor the time in which the unit is there, where a GPU was cut anew
    select fleet.usage_date, fleet.node_key, fleet.unit_key, fleet.from_second, case when fleet.from_second > days.day_from then fleet.from_second end
    from fleet
    inner join days on fleet.usage_date = days.usage_date
    union all
    select fleet.usage_date, fleet.node_key, fleet.unit_key, hours.hour_from, null
    from fleet
    inner join hours on fleet.usage_date = hours.usage_date

),

pool_cuts as (

    select own_cuts.usage_date, own_cuts.node_key, own_cuts.cut_second
    from own_cuts
    inner join (select distinct usage_date, node_key from claims where priority = 5) as pool_nodes
        on own_cuts.usage_date = pool_nodes.usage_date and own_cuts.node_key = pool_nodes.node_key
    union
    select usage_date, node_key, from_second from claims where priority = 5
    union
    select usage_date, node_key, to_second from claims where priority = 5

),

cuts as (

    select usage_date, unit_key, cut_second, edge_second from own_cuts
    union all
    select fleet.usage_date, fleet.unit_key, pool_cuts.cut_second, null
    from fleet
    inner join pool_cuts on fleet.usage_date = pool_cuts.usage_date and fleet.node_key = pool_cuts.node_key

),

cut_points as (

    select usage_date, unit_key, cut_second, max(edge_second) as edge_second
    from cuts
    group by usage_date, unit_key, cut_second

),

stretches as (

    select
        cut_points.usage_date,
        fleet.node_key,
        fleet.gpu_key,
        cut_points.unit_key,
        fleet.unit_share,
        fleet.is_remainder,
        fleet.sharing,
        fleet.segment_reason,
        cut_points.cut_second as from_second,
        least(
            lead(cut_points.cut_second, 1, fleet.to_second) over (partition by cut_points.usage_date, cut_points.unit_key order by cut_points.cut_second),
            fleet.to_second
        ) as to_second,
        max(cut_points.edge_second) over (
            partition by cut_points.usage_date, cut_points.unit_key order by cut_points.cut_second rows between unbounded preceding and current row
        ) as latest_edge_second
    from cut_points
    inner join fleet
        on cut_points.usage_date = fleet.usage_date
        and cut_points.unit_key = fleet.unit_key
        and cut_points.cut_second >= fleet.from_second
        and cut_points.cut_second < fleet.to_second

)

select * from stretches
