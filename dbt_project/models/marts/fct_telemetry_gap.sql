-- Grain: node of the inventory x period in which telemetry of at least one of its GPUs is missing ("missing data periods"): neither
-- observed nor filled. Periods are cut at midnight and lie within the node's validity.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

missing as (

    select * from (

        {{ telemetry_seconds(ref('int_gpu_segments'), ref('int_nodes'), ref('int_gpu_hour_ranks'), ref('int_node_validity')) }}

    ) as telemetry_seconds
    where not is_covered

),

stretches as (

    select distinct usage_date, node_key, from_second, to_second from missing

),

opened as (

    select
        *,
        case when from_second <= max(to_second) over (
            partition by usage_date, node_key order by from_second, to_second rows between unbounded preceding and 1 preceding
        ) then 0 else 1 end as opens
    from stretches

),

numbered as (

    select
        *,
        sum(opens) over (partition by usage_date, node_key order by from_second, to_second rows between unbounded preceding and current row) as period
    from opened

),

periods as (

    select
        missing.usage_date,
        missing.node_key,
        numbered.period,
        min(missing.from_second) as from_second,
        max(missing.to_second) as to_second,
        cast(count(distinct missing.gpu_key) as bigint) as gpu_count,
        sum(missing.weight) as missing_weight,
        sum(case when missing.attempt_key is not null then missing.weight else 0 end) as held_weight
    from missing
    inner join numbered
        on missing.usage_date = numbered.usage_date
        and missing.node_key = numbered.node_key
        and missing.from_second = numbered.from_second
        and missing.to_second = numbered.to_second
    group by missing.usage_date, missing.node_key, numbered.period

)

select
    periods.usage_date,
    nodes.node_key,
    nodes.hostname as node,
    nodes.pool,
    {{ timestamp_of('periods.from_second') }} as gap_start,
    {{ timestamp_of('periods.to_second') }} as gap_end,
    cast(periods.to_second - periods.from_second as bigint) as gap_seconds,
    periods.gpu_count,
    {{ gpu_seconds('periods.missing_weight') }} as missing_gpu_seconds,
    {{ gpu_seconds('periods.held_weight') }} as held_gpu_seconds
from periods
inner join {{ ref('int_nodes') }} as nodes on periods.usage_date = nodes.usage_date and periods.node_key = nodes.node_key
