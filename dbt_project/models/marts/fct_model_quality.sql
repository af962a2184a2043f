-- Grain: UTC day x model x model_version x metric x evaluation_set: the last measurement of the day.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

select
    valid_from as usage_date,
    model,
    model_version,
    run_id,
    metric,
    evaluation_set,
    quality,
    is_higher_better,
    measured_at
from {{ ref('int_model_quality') }}
where valid_from in (select usage_date from {{ ref('int_days') }})
