-- Grain: endpoint x UTC day. Latency percentiles are the worst hour's of the day (percentiles do not add).
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

select
    usage_date,
    endpoint,
    {{ inference_measures() }}
from {{ ref('int_inference_hours') }}
group by usage_date, endpoint
