-- Grain: day x unit x elementary stretch of whole seconds inside one hour: who held it, on what evidence, and whether it is covered
-- by observation. Stretches of a unit tile its day without gap or overlap.
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

pool_nodes as (

    select distinct usage_date, node_key from claims where priority = 5

),

own_cuts as (

    select usage_date, node_key, unit_key, from_second as cut_second, 0 as is_edge from coverage
    union all
    select usage_date, node_key, unit_key, to_second, 0 from coverage
    union all
    select usage_date, node_key, unit_key, from_second, case when priority = 2 or from_second <> started_second then 0 else 1 end from claims where unit_key is not null
    union all
    select usage_date, node_key, unit_key, to_second, case when priority = 2 then 0 else 1 end from claims where unit_key is not null
    union all
    -- where a label's interval begins or ends, the label's meaning changes: an edge
    select claims.usage_date, claims.node_key, claims.unit_key, stints.ended_second, 1
    from claims
    inner join {{ ref('int_workload_attempts') }} as stints on claims.stint_key = stints.stint_key and claims.to_second = stints.ended_second
    where claims.priority = 2
    union all
    -- a fill never passes the end of the node
    select fleet.usage_date, fleet.node_key, fleet.unit_key, validity.to_second, 1
    from fleet
    inner join {{ ref('int_node_validity') }} as validity on fleet.usage_date = validity.usage_date and fleet.node_key = validity.node_key
    union all
    select fleet.usage_date, fleet.node_key, fleet.unit_key, hours.hour_from, 0
    from fleet
    inner join hours on fleet.usage_date = hours.usage_date

),

pool_cuts as (

    select own_cuts.usage_date, own_cuts.node_key, own_cuts.cut_second
    from own_cuts
    inner join pool_nodes on own_cuts.usage_date = pool_nodes.usage_date and own_cuts.node_key = pool_nodes.node_key
    union
    select usage_date, node_key, from_second from claims where priority = 5
    union
    select usage_date, node_key, to_second from claims where priority = 5

),

cuts as (

    select usage_date, unit_key, cut_second, is_edge from own_cuts
    union all
    select fleet.usage_date, fleet.unit_key, pool_cuts.cut_second, 0
    from fleet
    inner join pool_cuts on fleet.usage_date = pool_cuts.usage_date and fleet.node_key = pool_cuts.node_key

),

cut_points as (

    select usage_date, unit_key, cut_second, max(is_edge) as is_edge
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
        cut_points.cut_second as from_second,
        lead(cut_points.cut_second, 1, days.day_to) over (partition by cut_points.usage_date, cut_points.unit_key order by cut_points.cut_second) as to_second,
        max(case when cut_points.is_edge = 1 then cut_points.cut_second end) over (
            partition by cut_points.usage_date, cut_points.unit_key order by cut_points.cut_second rows between unbounded preceding and current row
        ) as latest_edge_second
    from cut_points
    inner join fleet on cut_points.usage_date = fleet.usage_date and cut_points.unit_key = fleet.unit_key
    inner join days on cut_points.usage_date = days.usage_date
    where cut_points.cut_second >= days.day_from and cut_points.cut_second < days.day_to

),

claimed as (

    select
        stretches.*,
        claims.workload_key,
        claims.attempt_key,
        claims.evidence,
        claims.priority,
        row_number() over (
            partition by stretches.usage_date, stretches.unit_key, stretches.from_second
            order by claims.priority, claims.started_second desc, claims.attempt_key
        ) as choice,
        sum(case when claims.priority = 1 then 1 else 0 end) over (
            partition by stretches.usage_date, stretches.unit_key, stretches.from_second
        ) as naming_intervals
    from stretches
    left join claims
        on stretches.usage_date = claims.usage_date
        and stretches.unit_key = claims.unit_key
        and stretches.from_second >= claims.from_second
        and stretches.from_second < claims.to_second

),

held as (

    select * from claimed
    where choice = 1

),

free_units as (

    select
        held.usage_date,
        held.node_key,
        held.unit_key,
        held.from_second,
        row_number() over (partition by held.usage_date, held.node_key, held.from_second order by held.unit_key) as free_rank
    from held
    inner join pool_nodes on held.usage_date = pool_nodes.usage_date and held.node_key = pool_nodes.node_key
    where held.attempt_key is null and not held.is_remainder

),

pool_moments as (

    select distinct usage_date, node_key, from_second from free_units

),

pool_demand as (

    select
        pool_moments.usage_date,
        pool_moments.node_key,
        pool_moments.from_second,
        claims.attempt_key,
        claims.workload_key,
        sum(attempts.gpu_count) over (
            partition by pool_moments.usage_date, pool_moments.node_key, pool_moments.from_second order by claims.started_second, claims.stint_key
            rows between unbounded preceding and current row
        ) as last_rank,
        attempts.gpu_count
    from pool_moments
    inner join claims
        on pool_moments.usage_date = claims.usage_date
        and pool_moments.node_key = claims.node_key
        and claims.priority = 5
        and pool_moments.from_second >= claims.from_second
        and pool_moments.from_second < claims.to_second
    inner join {{ ref('int_workload_attempts') }} as attempts on claims.stint_key = attempts.stint_key

),

pool_holders as (

    select free_units.usage_date, free_units.unit_key, free_units.from_second, pool_demand.attempt_key, pool_demand.workload_key
    from free_units
    inner join pool_demand
        on free_units.usage_date = pool_demand.usage_date
        and free_units.node_key = pool_demand.node_key
        and free_units.from_second = pool_demand.from_second
        and free_units.free_rank <= pool_demand.last_rank
        and free_units.free_rank > pool_demand.last_rank - pool_demand.gpu_count

),

covered as (

    select
        held.*,
        coverage.unit_key is not null
        and (not coverage.is_fill or coalesce(held.latest_edge_second, 0) <= coverage.anchor_second) as is_covered,
        coalesce(coverage.is_fill, false) as is_fill
    from held
    left join coverage
        on held.usage_date = coverage.usage_date
        and held.unit_key = coverage.unit_key
        and held.from_second >= coverage.from_second
        and held.from_second < coverage.to_second

),

segments as (

    select
        covered.usage_date,
        covered.node_key,
        covered.gpu_key,
        covered.unit_key,
        covered.unit_share,
        covered.is_remainder,
        covered.from_second,
        covered.to_second,
        covered.from_second - covered.from_second % 3600 as hour_from,
        coalesce(covered.workload_key, pool_holders.workload_key) as workload_key,
        coalesce(covered.attempt_key, pool_holders.attempt_key) as attempt_key,
        coalesce(covered.evidence, case when pool_holders.attempt_key is not null then 'count_only' else 'none' end) as evidence,
        covered.is_covered,
        covered.is_covered and covered.is_fill as is_filled,
        covered.naming_intervals > 1 as is_contested,
        case when covered.unit_key <> covered.gpu_key then 'mig' else 'none' end as sharing,
        false as is_unmeasured,
        cast(null as {{ dbt.type_string() }}) as segment_reason
    from covered
    left join pool_holders
        on covered.usage_date = pool_holders.usage_date
        and covered.unit_key = pool_holders.unit_key
        and covered.from_second = pool_holders.from_second

)

select * from segments
