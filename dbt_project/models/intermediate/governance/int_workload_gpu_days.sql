-- Grain: day x workload: the most GPUs that it held at one instant of the day, in parts of a GPU (7,207,200 are one).
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

edges as (

    select usage_date, workload_key, from_second as edge_second, {{ wide_int('unit_share') }} as change
    from {{ ref('int_gpu_segments') }}
    where workload_key is not null
    union all
    select usage_date, workload_key, to_second, {{ wide_int('-1 * unit_share') }}
    from {{ ref('int_gpu_segments') }}
    where workload_key is not null

),

changes as (

    select usage_date, workload_key, edge_second, sum(change) as change
    from edges
    group by usage_date, workload_key, edge_second

),

held as (

    select usage_date, workload_key, sum(change) over (
        partition by usage_date, workload_key order by edge_second rows between unbounded preceding and current row
    ) as held_parts
    from changes

)

select usage_date, workload_key, {{ wide_int('max(held_parts)') }} as most_held_parts
from held
group by usage_date, workload_key
