-- Grain: endpoint x UTC hour.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

select
    usage_date,
    endpoint,
    {{ timestamp_of('hour_from') }} as usage_hour,
    {{ inference_measures() }}
from {{ ref('int_inference_hours') }}
group by usage_date, endpoint, hour_from
