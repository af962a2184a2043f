-- Grain: one physical GPU x UTC day: the sums of its hours. What was not measured is NULL as a ratio and stands in unknown_seconds, never in idle.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

hours as (

    select * from {{ ref('fct_gpu_utilization') }}
    where usage_date in (select usage_date from {{ ref('int_days') }})

),

summed as (

    select
        usage_date,
        gpu_key,
        min(node) as node,
        min(pool) as pool,
        min(cluster) as cluster,
        min(gpu_model) as gpu_model,
        bool_or(is_known_node) as is_known_node,
        {%- for seconds in ['covered', 'held', 'measured', 'active', 'billed'] + gpu_cost_classes() %}
        cast(sum({{ seconds }}_seconds) as decimal(38, 6)) as {{ seconds }}_seconds,
        {%- endfor %}
        cast(sum(case when pricing_status = 'awaiting_bill' then 1 else 0 end) as bigint) as awaiting_hours,
        {%- for class in gpu_cost_classes() %}
        cast(sum({{ class }}_cost_usd) as decimal(38, 12)) as {{ class }}_cost_usd,
        {%- endfor %}
        cast(sum(cost_usd) as decimal(38, 12)) as cost_usd
    from hours
    group by usage_date, gpu_key

)

select
    usage_date,
    node,
    pool,
    cluster,
    gpu_model,
    gpu_key,
    is_known_node,
    covered_seconds,
    held_seconds,
    measured_seconds,
    active_seconds,
    billed_seconds,
    {%- for class in gpu_cost_classes() %}
    {{ class }}_seconds,
    {%- endfor %}
    case when measured_seconds > 0 then cast(active_seconds as double) / cast(measured_seconds as double) end as activity_ratio,
    case when billed_seconds > 0 then cast(billed_seconds - unknown_seconds as double) / cast(billed_seconds as double) end as known_ratio,
    case when billed_seconds - unknown_seconds > 0
        then cast(held_idle_seconds + unallocated_idle_seconds + stranded_seconds as double) / cast(billed_seconds - unknown_seconds as double)
    end as idle_ratio,
    {{ pricing_status('awaiting_hours', 'cost_usd') }} as pricing_status,
    cost_usd,
    {%- for class in gpu_cost_classes() %}
    {{ class }}_cost_usd{% if not loop.last %},{% endif %}
    {%- endfor %}
from summed
