-- Grain: endpoint x UTC day. Latency percentiles are the worst hour's of the day (percentiles do not add).
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

measures as (

    select
        usage_date,
        endpoint,
        {{ inference_measures() }}
    from {{ ref('int_inference_hours') }}
    group by usage_date, endpoint

),

energy as (

    {{ workload_energy(ref('fct_energy'), ['usage_date', 'workload_key']) }}

)

select
    measures.*,
    energy.energy_joules,
    energy.energy_kwh,
    energy.energy_coverage_ratio,
    case when measures.requests_ok > 0
        then cast(energy.energy_joules as double) / 3600 * 1000 / cast(measures.requests_ok as double) end as energy_wh_per_1k_requests,
    energy.grams_co2e
from measures
left join energy on measures.usage_date = energy.usage_date and concat('endpoint/', measures.endpoint) = energy.workload_key
