-- Grain: endpoint x UTC hour.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

sums as (

    select
        usage_date,
        endpoint,
        hour_from,
        {{ inference_sums() }}
    from {{ ref('int_inference_hours') }}
    group by usage_date, endpoint, hour_from

)

select
    usage_date,
    endpoint,
    {{ timestamp_of('hour_from') }} as usage_hour,
    {{ inference_measures() }}
from sums
