-- Grain: day x unit x elementary stretch of whole seconds inside one hour x holder (or none): who held how many parts of the unit, on what
-- evidence, and whether it is covered by observation. The rows of a stretch sum to the unit; the stretches of a unit tile its time.
with

stretches as (

    select * from {{ ref('int_gpu_stretches') }}

),

coverage as (

    select * from {{ ref('int_gpu_coverage') }}

),

claims as (

    select * from {{ ref('int_gpu_claims') }}

),

sharers as (

    select
        *,
        row_number() over (partition by usage_date, unit_key, from_second order by coalesce(attempt_key, '')) as share_rank
    from {{ ref('int_gpu_sharers') }}

),

pool_nodes as (

    select distinct usage_date, node_key from claims where priority = 5

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

-- the free units of a node, in the order of their names, are laid end to end, and so are the intervals that ask for a count
free_units as (

    select
        held.usage_date,
        held.node_key,
        held.unit_key,
        held.from_second,
        held.unit_share,
        sum(held.unit_share) over (
            partition by held.usage_date, held.node_key, held.from_second order by held.unit_key rows between unbounded preceding and current row
        ) as last_part
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
        attempts.gpu_count <> floor(attempts.gpu_count) as is_fraction,
        cast(floor(attempts.gpu_count * {{ gpu_parts() }}) as bigint) as wanted_share,
        sum(cast(floor(attempts.gpu_count * {{ gpu_parts() }}) as bigint)) over (
            partition by pool_moments.usage_date, pool_moments.node_key, pool_moments.from_second order by claims.started_second, claims.stint_key
            rows between unbounded preceding and current row
        ) as last_part
    from pool_moments
    inner join claims
        on pool_moments.usage_date = claims.usage_date
        and pool_moments.node_key = claims.node_key
        and claims.priority = 5
        and pool_moments.from_second >= claims.from_second
        and pool_moments.from_second < claims.to_second
    inner join {{ ref('int_workload_attempts') }} as attempts on claims.stint_key = attempts.stint_key

),

pool_shares as (

    select
        free_units.usage_date, free_units.unit_key, free_units.from_second, free_units.unit_share as whole_share, pool_demand.attempt_key, pool_demand.workload_key,
        max(case when pool_demand.is_fraction then 1 else 0 end) as is_fraction,
        sum(least(free_units.last_part, pool_demand.last_part)
            - greatest(free_units.last_part - free_units.unit_share, pool_demand.last_part - pool_demand.wanted_share)) as unit_share
    from free_units
    inner join pool_demand
        on free_units.usage_date = pool_demand.usage_date
        and free_units.node_key = pool_demand.node_key
        and free_units.from_second = pool_demand.from_second
        and free_units.last_part > pool_demand.last_part - pool_demand.wanted_share
        and free_units.last_part - free_units.unit_share < pool_demand.last_part
    group by
        free_units.usage_date, free_units.unit_key, free_units.from_second, free_units.unit_share, pool_demand.attempt_key, pool_demand.workload_key

),

pool_holders as (

    select
        *,
        row_number() over (partition by usage_date, unit_key, from_second order by coalesce(attempt_key, '')) as share_rank
    from (
        select usage_date, unit_key, from_second, attempt_key, workload_key, 'count_only' as evidence, unit_share, is_fraction, cast(null as {{ dbt.type_string() }}) as rest_reason
        from pool_shares
        union all
        select usage_date, unit_key, from_second, cast(null as {{ dbt.type_string() }}), cast(null as {{ dbt.type_string() }}), 'none', whole_share - sum(unit_share),
            max(is_fraction), 'unrequested_share'
        from pool_shares
        group by usage_date, unit_key, from_second, whole_share
        having whole_share > sum(unit_share)
    ) as shares

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
        cast(coalesce(sharers.unit_share, pool_holders.unit_share, covered.unit_share) as bigint) as unit_share,
        covered.is_remainder,
        covered.from_second,
        covered.to_second,
        covered.from_second - covered.from_second % 3600 as hour_from,
        case when sharers.unit_key is not null then sharers.workload_key else coalesce(covered.workload_key, pool_holders.workload_key) end as workload_key,
        case when sharers.unit_key is not null then sharers.attempt_key else coalesce(covered.attempt_key, pool_holders.attempt_key) end as attempt_key,
        coalesce(sharers.evidence, covered.evidence, pool_holders.evidence, 'none') as evidence,
        covered.is_covered,
        covered.is_covered and covered.is_fill as is_filled,
        covered.naming_intervals > 1 and sharers.unit_key is null as is_contested,
        coalesce(sharers.sharing, case when pool_holders.is_fraction = 1 and covered.sharing in ('none', 'mig') then 'fractional' end, covered.sharing) as sharing,
        coalesce(sharers.is_unmeasured, pool_holders.is_fraction = 1, false) as is_unmeasured,
        case
            when covered.is_remainder then covered.segment_reason
            when covered.is_covered then coalesce(sharers.rest_reason, pool_holders.rest_reason)
        end as segment_reason,
        coalesce(sharers.rest_reason, pool_holders.rest_reason) is not null as is_rest,
        coalesce(sharers.share_rank, pool_holders.share_rank, 1) = 1 as is_first_share
    from covered
    left join pool_holders
        on covered.usage_date = pool_holders.usage_date
        and covered.unit_key = pool_holders.unit_key
        and covered.from_second = pool_holders.from_second
    left join sharers
        on covered.usage_date = sharers.usage_date
        and covered.unit_key = sharers.unit_key
        and covered.from_second >= sharers.from_second
        and covered.from_second < sharers.to_second

)

select * from segments
