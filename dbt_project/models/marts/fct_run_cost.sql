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

-- where its tracker has it
trackers as (

    select
        workload_key,
        {{ tracker_id('identified_by', 'workload_id', 'labels') }} as tracker_run_id,
        {{ tracker_address('labels') }} as tracker_address
    from {{ ref('int_workload_attempts') }}
    group by workload_key

),

summed as (

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
        cast(sum(attempts.idle_gpu_seconds) as decimal(38, 6)) as idle_gpu_seconds,
        cast(sum(attempts.unknown_gpu_seconds) as decimal(38, 6)) as unknown_gpu_seconds,
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
        {%- for part in ['list_missing', 'gpu', 'host', 'other_component', 'spot_price', 'commitment_price', 'other_price'] %}
        case when count(attempts.run_cost_usd) = count(attempts.gpu_cost_usd)
            then cast(sum(attempts.{{ part }}_cost_usd) as decimal(38, 12)) end as {{ part }}_cost_usd,
        {%- endfor %}
        {%- for group in price_groups() %}
        case when count(attempts.run_cost_usd) = count(attempts.gpu_cost_usd)
            then cast({{ saving_of_attempts('attempts.' ~ group ~ '_saving_usd', 'attempts.run_cost_usd') }} as decimal(38, 12)) end as {{ group }}_saving_usd,
        {%- endfor %}
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

),

-- its place among the runs of its model: the run before it that succeeded, by the second of its start, then its key
placed as (

    select
        workload_key,
        max(case when outcome = 'succeeded' then run_text end) over (
            partition by model, team, environment
            order by run_text
            rows between unbounded preceding and 1 preceding
        ) as previous_text
    from (select *, {{ started_text('coalesce(started_at, cast(first_usage_date as timestamp))', 'workload_key') }} as run_text from summed) as told

),

compared as (

    select
        summed.workload_key,
        trackers.tracker_run_id,
        coalesce(trackers.tracker_address, {{ templated_address('trackers.tracker_run_id') }}) as tracker_url,
        previous.workload_key as previous_workload_key,
        previous.run_id as previous_run_id,
        case
            when summed.model is null then 'no_model'
            when summed.started_at is null then 'no_start'
            when previous.workload_key is null then 'no_earlier_success'
            when summed.pricing_status <> 'priced' or previous.pricing_status <> 'priced' then 'not_priced'
        end as comparison_reason,
        summed.run_cost_usd,
        previous.run_cost_usd as previous_cost_usd,
        {{ gpu_hours_of('summed.held_gpu_seconds') }} as held_hours,
        {{ gpu_hours_of('previous.held_gpu_seconds') }} as previous_held_hours,
        {{ work_hours_of('summed') }} as work_hours,
        {{ work_hours_of('previous') }} as previous_work_hours
    from summed
    inner join placed on summed.workload_key = placed.workload_key
    left join trackers on summed.workload_key = trackers.workload_key
    left join summed as previous
        on substr(placed.previous_text, 14) = previous.workload_key and summed.model is not null and summed.started_at is not null

),

-- the previous run's dollars for this run's GPU time, and for this run's work
repriced as (

    select
        *,
        case when comparison_reason is null then {{ bounded_amount('previous_cost_usd', 'held_hours', 'previous_held_hours') }} end as cost_for_time,
        case when comparison_reason is null then {{ bounded_amount('previous_cost_usd', 'work_hours', 'previous_work_hours') }} end as cost_for_work
    from compared

),

final as (

    select
        summed.*,
        repriced.tracker_run_id,
        repriced.tracker_url,
        repriced.previous_workload_key,
        repriced.previous_run_id,
        repriced.comparison_reason,
        case when repriced.comparison_reason is null then repriced.previous_cost_usd end as previous_cost_usd,
        case when repriced.comparison_reason is null then cast(repriced.run_cost_usd - repriced.previous_cost_usd as decimal(38, 12)) end as cost_change_usd,
        case when repriced.comparison_reason is null and repriced.previous_cost_usd > 0
            then cast(repriced.run_cost_usd as double) / cast(repriced.previous_cost_usd as double) end as cost_change_ratio,
        cast(repriced.cost_for_time - repriced.previous_cost_usd as decimal(38, 12)) as gpu_time_change_usd,
        cast(repriced.run_cost_usd - repriced.cost_for_time as decimal(38, 12)) as price_change_usd,
        cast(repriced.cost_for_work - repriced.previous_cost_usd as decimal(38, 12)) as work_change_usd,
        cast(repriced.cost_for_time - repriced.cost_for_work as decimal(38, 12)) as activity_change_usd
    from summed
    inner join repriced on summed.workload_key = repriced.workload_key

)

select * from final
