-- Grain: endpoint x UTC day. Latency percentiles are the worst hour's of the day (percentiles do not add).
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

sums as (

    select
        usage_date,
        endpoint,
        count(case when requests_ok > 0 and latency_p95_seconds is null then 1 end) = 0 as has_all_latencies,
        {{ inference_sums() }}
    from {{ ref('int_inference_hours') }}
    group by usage_date, endpoint

),

measures as (

    select
        usage_date,
        endpoint,
        {{ inference_measures() }},
        has_all_latencies
    from sums

),

-- what distribution rules hand out has no hour, so it stands on the day only
distributed as (

    select usage_date, workload_key, sum(distributed_cost) as distributed_cost
    from {{ ref('int_attempt_days') }}
    where workload_key like 'endpoint/%' and usage_date in (select usage_date from {{ ref('int_days') }})
    group by usage_date, workload_key

),

energy as (

    {{ workload_energy(ref('fct_energy'), ['usage_date', 'workload_key']) }}

),

-- of the version that was served: the latest measurement up to the day; fct_model_quality has the other metrics and sets
qualities as (

    {{ served_qualities('measures', ref('int_model_quality'), ['usage_date', 'endpoint'], 'usage_date') }}

)

select
    measures.*,
    {{ quality_columns('qualities') }},
    case
        when qualities.endpoint is not null then null
        when measures.model is null then 'model_unknown'
        when measures.model = 'mixed' or measures.model_version = 'mixed' then 'several_versions_served'
        when measures.model_version is null then 'model_version_unknown'
        else 'not_measured'
    end as quality_reason,
    cast(coalesce(distributed.distributed_cost, 0) as decimal(38, 12)) as distributed_cost_usd,
    case when measures.allocated_cost_usd is not null or distributed.distributed_cost <> 0
        then cast(coalesce(measures.allocated_cost_usd, 0) + coalesce(distributed.distributed_cost, 0) as decimal(38, 12)) end as fully_loaded_cost_usd,
    case when measures.unit_cost_reason is null
        then cast(measures.allocated_cost_usd + coalesce(distributed.distributed_cost, 0) as double) * 1000 / cast(measures.requests_ok as double)
    end as fully_loaded_cost_per_1k_requests_usd,
    energy.energy_joules,
    energy.energy_kwh,
    energy.energy_coverage_ratio,
    case when measures.requests_ok > 0
        then cast(energy.energy_joules as double) / 3600 * 1000 / cast(measures.requests_ok as double) end as energy_wh_per_1k_requests,
    energy.grams_co2e
from measures
left join qualities on measures.usage_date = qualities.usage_date and measures.endpoint = qualities.endpoint and qualities.recency = 1
left join distributed on measures.usage_date = distributed.usage_date and concat('endpoint/', measures.endpoint) = distributed.workload_key
left join energy on measures.usage_date = energy.usage_date and concat('endpoint/', measures.endpoint) = energy.workload_key
