-- Grain: one training run (or other batch job): the sum of its attempts over the published days. run_cost_usd is the effective cost
-- on the run before distribution; fully_loaded_usd adds what distribution rules hand it.
with

attempts as (

    select * from {{ ref('fct_run_attempt_cost') }}

),

workloads as (

    select * from {{ ref('dim_workload') }}

),

-- by the rate card, of the hours that still await their bill
estimates as (

    select
        workload_key,
        cast(sum(estimated_cost_usd) as decimal(38, 12)) as estimated_cost_usd,
        cast(sum(case when estimated_cost_usd is not null then gpu_seconds else 0 end) as decimal(38, 6)) as estimated_gpu_seconds
    from {{ ref('fct_cost_estimate') }}
    where workload_key is not null and pricing_status = 'estimated'
    group by workload_key

),

energy as (

    {{ workload_energy(ref('fct_energy'), ['workload_key']) }}

),

final as (

    select
        attempts.workload_key,
        attempts.workload_type,
        workloads.workload_id as run_id,
        workloads.team,
        workloads.model,
        workloads.environment,
        workloads.project,
        workloads.state,
        workloads.outcome,
        workloads.started_at,
        workloads.ended_at,
        cast(sum(case when attempts.attempt_key <> '' then 1 else 0 end) as bigint) as attempt_count,
        min(attempts.first_usage_date) as first_usage_date,
        max(attempts.last_usage_date) as last_usage_date,
        cast(sum(attempts.held_gpu_seconds) as decimal(38, 6)) as held_gpu_seconds,
        cast(sum(attempts.measured_gpu_seconds) as decimal(38, 6)) as measured_gpu_seconds,
        cast(sum(attempts.used_gpu_seconds) as decimal(38, 6)) as used_gpu_seconds,
        cast(sum(attempts.held_unbilled_seconds) as decimal(38, 6)) as held_unbilled_seconds,
        cast(sum(attempts.awaiting_bill_gpu_seconds) as decimal(38, 6)) as awaiting_bill_gpu_seconds,
        cast(sum(attempts.held_gpu_seconds) as double) / 3600 as held_gpu_hours,
        case when sum(attempts.measured_gpu_seconds) > 0
            then cast(sum(attempts.used_gpu_seconds) as double) / cast(sum(attempts.measured_gpu_seconds) as double) end as activity_ratio,
        {{ one_or_mixed('attempts.activity_rung') }} as activity_rung,
        case when sum(attempts.measured_slots) > 0
            then {{ ratio_of_millionths(int_div('1000000 * sum(attempts.measured_slots)', 'sum(attempts.observed_slots)')) }} end as activity_coverage_ratio,
        cast(sum(attempts.discarded_values) as bigint) as discarded_values,
        {{ pricing_status('sum(attempts.awaiting_bill_gpu_seconds)', 'sum(attempts.run_cost_usd)') }} as pricing_status,
        cast(sum(attempts.run_cost_usd) as decimal(38, 12)) as run_cost_usd,
        case when sum(attempts.run_cost_usd) is not null or sum(attempts.distributed_cost_usd) <> 0
            then cast(coalesce(sum(attempts.run_cost_usd), 0) + sum(attempts.distributed_cost_usd) as decimal(38, 12)) end as fully_loaded_usd,
        cast(sum(attempts.used_cost_usd) as decimal(38, 12)) as used_cost_usd,
        cast(sum(attempts.held_idle_cost_usd) as decimal(38, 12)) as held_idle_cost_usd,
        cast(sum(attempts.unknown_cost_usd) as decimal(38, 12)) as unknown_cost_usd,
        cast(sum(attempts.other_cost_usd) as decimal(38, 12)) as other_cost_usd,
        cast(sum(attempts.distributed_cost_usd) as decimal(38, 12)) as distributed_cost_usd,
        cast(sum(attempts.billed_cost_usd) as decimal(38, 12)) as billed_cost_usd,
        cast(sum(attempts.list_cost_usd) as decimal(38, 12)) as list_cost_usd,
        {%- for outcome in ['succeeded', 'failed', 'preempted'] %}
        cast(sum(case when attempts.run_cost_usd is null then null when attempts.outcome = '{{ outcome }}' then attempts.run_cost_usd else 0 end) as decimal(38, 12)) as {{ outcome }}_cost_usd,
        {%- endfor %}
        cast(sum(case when attempts.run_cost_usd is null then null when attempts.outcome in ('succeeded', 'failed', 'preempted') then 0 else attempts.run_cost_usd end)
            as decimal(38, 12)) as other_outcome_cost_usd,
        cast(sum(attempts.rolled_back_gpu_seconds) as decimal(38, 6)) as rolled_back_gpu_seconds,
        cast(sum(attempts.rolled_back_cost_usd) as decimal(38, 12)) as rolled_back_cost_usd,
        cast(sum(case when attempts.run_cost_usd is null then null when attempts.attempt_key <> '' and attempts.is_rolled_back is null then attempts.run_cost_usd else 0 end)
            as decimal(38, 12)) as rollback_unknown_cost_usd,
        max(estimates.estimated_cost_usd) as estimated_cost_usd,
        cast(coalesce(max(estimates.estimated_gpu_seconds), 0) as decimal(38, 6)) as estimated_gpu_seconds,
        max(energy.energy_joules) as energy_joules,
        max(energy.energy_kwh) as energy_kwh,
        max(energy.energy_coverage_ratio) as energy_coverage_ratio,
        max(energy.grams_co2e) as grams_co2e
    from attempts
    left join workloads on attempts.workload_key = workloads.workload_key
    left join estimates on attempts.workload_key = estimates.workload_key
    left join energy on attempts.workload_key = energy.workload_key
    group by
        attempts.workload_key, attempts.workload_type, workloads.workload_id, workloads.team, workloads.model, workloads.environment,
        workloads.project, workloads.state, workloads.outcome, workloads.started_at, workloads.ended_at

)

select * from final
