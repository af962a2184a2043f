-- Grain: one GPU that does nothing, or that nobody hears of, as of the latest hour of telemetry in the release; since when, who holds or owns it,
-- and what that has cost. Looks back a few days only.
with

last_day as (

    select max(usage_date) as usage_date from {{ ref('dim_date') }}

),

hours as (

    select
        utilization.*,
        {{ epoch_seconds('utilization.usage_hour') }} as hour_from,
        utilization.covered_seconds > 0 as is_observed,
        -- no value is no idleness
        coalesce(utilization.activity_ratio * 1000000 <= {{ parameter('idle_threshold_ppm') }}, false) as is_idle
    from {{ ref('fct_gpu_utilization') }} as utilization
    inner join last_day on utilization.usage_date > {{ dbt.dateadd('day', -1 * idle_lookback_days(), 'last_day.usage_date') }}
    where utilization.gpu_key not like '%|unplaced'

),

{{ low_streaks('hours', 'is_idle') }},

latest as (

    select * from ranked
    where is_observed and recency = 1

),

prices as (

    select gpu_key, cast(cost_usd as double) * 3600 / cast(billed_seconds as double) as cost_per_hour_usd
    from (
        select *, row_number() over (partition by gpu_key order by hour_from desc) as priced_recency
        from hours
        where pricing_status = 'priced'
    ) as priced_hours
    where priced_recency = 1 and billed_seconds > 0

),

streaks as (

    select
        latest.gpu_key,
        min(ranked.hour_from) as idle_from,
        sum(ranked.covered_seconds) as idle_seconds,
        sum(case when ranked.pricing_status = 'awaiting_bill' then 1 else 0 end) as awaiting_hours,
        sum(ranked.held_idle_cost_usd + ranked.unallocated_idle_cost_usd + ranked.stranded_cost_usd) as idle_cost_usd
    from latest
    inner join ranked on latest.gpu_key = ranked.gpu_key and latest.streak = ranked.streak and ranked.is_idle
    where latest.is_idle
    group by latest.gpu_key

),

activity as (

    select gpu_key, max(hour_from) as active_from
    from hours
    where activity_ratio is not null and not is_idle
    group by gpu_key

),

nodes as (

    select
        node_key,
        owner_team,
        {{ node_recency() }} as recency
    from {{ ref('dim_node') }}
    inner join frontier
        on (valid_from is null or {{ epoch_seconds('valid_from') }} < frontier.hour_from + 3600)
        and (valid_to is null or {{ epoch_seconds('valid_to') }} > frontier.hour_from)

),

-- the GPUs of the frontier's hour: of nodes that the inventory has then, and of hosts that it does not know while they are heard
gpus as (

    select
        hours.*,
        nodes.owner_team,
        latest.hour_from as observed_from,
        latest.activity_ratio as last_activity_ratio,
        latest.held_seconds as last_held_seconds,
        latest.main_workload_key as last_workload_key,
        case
            when latest.gpu_key is null then 'never_observed'
            when frontier.hour_from - latest.hour_from > 3600 * {{ silent_after_hours() }} then 'stale_telemetry'
            when latest.activity_ratio is null then 'no_activity_value'
            when not latest.is_idle then 'active'
            when latest.held_seconds > 0 then 'held_idle'
            else 'unallocated_idle'
        end as gpu_state
    from hours
    inner join frontier on hours.hour_from = frontier.hour_from
    left join latest on hours.gpu_key = latest.gpu_key
    left join nodes
        on {{ node_of_gpu('hours.gpu_key') }} = nodes.node_key
        and nodes.recency = 1
    where nodes.node_key is not null or (not hours.is_known_node and latest.hour_from = frontier.hour_from)

),

final as (

    select
        gpus.gpu_key,
        gpus.node,
        gpus.pool,
        gpus.cluster,
        gpus.gpu_model,
        gpus.gpu_state,
        gpus.usage_hour as as_of_hour,
        {{ timestamp_of('gpus.observed_from') }} as last_observed_hour,
        {{ timestamp_of('streaks.idle_from') }} as idle_since_hour,
        coalesce(activity.active_from is null and streaks.idle_from is not null, false) as is_idle_for_the_whole_lookback,
        cast(streaks.idle_seconds as decimal(38, 6)) as idle_seconds,
        {{ timestamp_of('activity.active_from') }} as last_active_hour,
        gpus.last_activity_ratio,
        case when gpus.gpu_state = 'held_idle' then gpus.last_workload_key end as workload_key,
        case when gpus.gpu_state = 'held_idle' then coalesce(workloads.team, gpus.owner_team) else gpus.owner_team end as owner_team,
        case
            when gpus.gpu_state = 'held_idle' and workloads.team is not null then 'workload'
            when gpus.owner_team is not null then 'pool'
            else 'none'
        end as owner_basis,
        prices.cost_per_hour_usd,
        cast(streaks.idle_cost_usd as decimal(38, 12)) as idle_cost_usd,
        case when streaks.gpu_key is not null then {{ pricing_status('streaks.awaiting_hours', 'streaks.idle_cost_usd') }} end as pricing_status
    from gpus
    left join streaks on gpus.gpu_key = streaks.gpu_key and gpus.gpu_state in ('held_idle', 'unallocated_idle')
    left join activity on gpus.gpu_key = activity.gpu_key
    left join prices on gpus.gpu_key = prices.gpu_key
    left join {{ ref('dim_workload') }} as workloads on gpus.last_workload_key = workloads.workload_key
    where gpus.gpu_state <> 'active'

)

select * from final
