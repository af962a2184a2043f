-- Grain: day x node x hour x holder x class x price: GPU-seconds that a rate card estimates (weights in parts of a GPU x seconds x
-- millionths), of every second that the inventory has the node, as if all of it were billed. rate_rule NULL: no price holds for them.
with

segments as (

    select * from {{ ref('int_gpu_segments') }}

),

activity as (

    select * from {{ ref('int_gpu_activity') }}

),

nodes as (

    select * from {{ ref('int_nodes') }}
    where gpu_count > 0

),

rates as (

    -- where the rate card is the bill there is nothing to estimate, and without a price that estimates nobody asked for one
    select rates.*
    from {{ ref('int_node_rates') }} as rates
    inner join nodes on rates.usage_date = nodes.usage_date and rates.node_key = nodes.node_key
    where not coalesce(rates.is_bill, false)
        and rates.usage_date in (select usage_date from {{ ref('int_rate_rules') }} where not is_bill)

),

ranks as (

    select * from {{ ref('int_gpu_hour_ranks') }}

),

hours as (

    select distinct usage_date, node_key, hour_from, is_priced
    from {{ ref('int_gpu_hours') }}

),

measured as (

    select
        segments.usage_date,
        segments.node_key,
        segments.hour_from,
        segments.unit_share,
        segments.segment_reason,
        segments.workload_key,
        segments.attempt_key,
        segments.evidence,
        segments.is_covered,
        activity.activity_ppm,
        activity.small_memory_ppm,
        rates.gpu_count,
        rates.rate_rule,
        rates.rate_unit,
        rates.hourly_rate_usd,
        least(segments.to_second, rates.to_second) - greatest(segments.from_second, rates.from_second) as seconds
    from rates
    inner join segments
        on rates.usage_date = segments.usage_date
        and rates.node_key = segments.node_key
        and segments.from_second < rates.to_second
        and segments.to_second > rates.from_second
    inner join ranks
        on segments.usage_date = ranks.usage_date
        and segments.node_key = ranks.node_key
        and segments.hour_from = ranks.hour_from
        and segments.gpu_key = ranks.gpu_key
        and ranks.gpu_rank <= rates.gpu_count
    left join activity
        on segments.usage_date = activity.usage_date
        and segments.unit_key = activity.unit_key
        and segments.hour_from = activity.hour_from
        and {{ activity_holder('segments') }} = activity.holder_key

),

judged as (

    select *, {{ gpu_judgement() }} as judgement
    from measured

),

classed as (

{{ gpu_class_weights('judged', ['usage_date', 'node_key', 'hour_from', 'workload_key', 'attempt_key', 'gpu_count', 'rate_rule', 'rate_unit', 'hourly_rate_usd']) }}

),

summed as (

    select
        classed.usage_date,
        classed.node_key,
        classed.hour_from,
        classed.workload_key,
        classed.attempt_key,
        classed.cost_class,
        classed.rate_rule,
        classed.rate_unit,
        classed.hourly_rate_usd,
        classed.gpu_count,
        hours.is_priced,
        cast(sum(classed.weight) as bigint) as weight
    from classed
    inner join hours on classed.usage_date = hours.usage_date and classed.node_key = hours.node_key and classed.hour_from = hours.hour_from
    where classed.weight > 0
    group by
        classed.usage_date, classed.node_key, classed.hour_from, classed.workload_key, classed.attempt_key, classed.cost_class, classed.rate_rule,
        classed.rate_unit, classed.hourly_rate_usd, classed.gpu_count, hours.is_priced

)

select * from summed
