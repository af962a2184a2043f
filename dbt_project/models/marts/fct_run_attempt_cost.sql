-- Grain: one attempt of a training run (attempt_key '' holds what reached the run only by tag). Sums of the published days.
with

attempt_days as (

    select * from {{ ref('int_attempt_days') }}

),

attempts as (

    select
        attempt_key,
        min(attempt_id) as attempt_id,
        min(started_at) as started_at,
        case when count(ended_at) = count(*) then max(ended_at) end as ended_at,
        max(state) as state,
        {{ latest_outcome('state', 'ended_at', 'started_second') }} as outcome,
        {{ rolled_back_label('labels') }} as rolled_back_label,
        {{ last_checkpoint_second('labels') }} as checkpoint_second
    from {{ ref('int_workload_attempts') }}
    group by attempt_key

),

summed as (

    select
        workload_key,
        attempt_key,
        min(usage_date) as first_usage_date,
        max(usage_date) as last_usage_date,
        sum(held_weight) as held_weight,
        sum(measured_weight) as measured_weight,
        sum(used_weight) as used_weight,
        sum(unbilled_weight) as unbilled_weight,
        sum(awaiting_weight) as awaiting_weight,
        cast(sum(cpu_only_seconds) as bigint) as cpu_only_seconds,
        {{ one_or_mixed('activity_rung') }} as activity_rung,
        cast(sum(observed_slots) as bigint) as observed_slots,
        cast(sum(measured_slots) as bigint) as measured_slots,
        cast(sum(discarded_values) as bigint) as discarded_values,
        cast(sum(effective_cost) as decimal(38, 12)) as effective_cost,
        cast(sum(billed_cost) as decimal(38, 12)) as billed_cost,
        cast(sum(list_cost) as decimal(38, 12)) as list_cost,
        cast(sum(used_cost) as decimal(38, 12)) as used_cost,
        cast(sum(held_idle_cost) as decimal(38, 12)) as held_idle_cost,
        cast(sum(unknown_cost) as decimal(38, 12)) as unknown_cost,
        cast(sum(other_cost) as decimal(38, 12)) as other_cost,
        {%- for component in ['gpu', 'host', 'other'] %}
        case when {{ has_price_groups() }} then cast(sum({{ component }}_component_cost) as decimal(38, 12)) end as {{ component }}_component_cost,
        {%- endfor %}
        case when {{ has_price_groups() }} then cast(coalesce(sum(list_missing_cost), 0) as decimal(38, 12)) end as list_missing_cost,
        {%- for group in price_groups() %}
        case when {{ has_price_groups() }} then cast(coalesce(sum({{ group }}_price_cost), 0) as decimal(38, 12)) end as {{ group }}_price_cost,
        {{ summed_saving(group ~ '_saving', group ~ '_list_missing_cost') }} as {{ group }}_saving,
        {%- endfor %}
        cast(sum(distributed_cost) as decimal(38, 12)) as distributed_cost
    from attempt_days
    where workload_key not like 'endpoint/%'
    group by workload_key, attempt_key

),

rolled_back as (

    select workload_key, attempt_key, sum(rolled_back_weight) as rolled_back_weight, cast(sum(rolled_back_cost) as decimal(38, 12)) as rolled_back_cost
    from {{ ref('int_rolled_back_days') }}
    group by workload_key, attempt_key

),

judged as (

    select
        attempt_key,
        attempt_id,
        started_at,
        ended_at,
        state,
        outcome,
        case when {{ has_known_rollback('outcome', 'rolled_back_label', 'checkpoint_second') }}
            then {{ rolled_back_from('outcome', 'rolled_back_label', 'checkpoint_second') }} is not null end as is_rolled_back
    from attempts

),

final as (

    select
        {{ dbt.split_part('summed.workload_key', "'/'", 1) }} as workload_type,
        summed.workload_key,
        summed.attempt_key,
        judged.attempt_id,
        judged.state,
        case when summed.attempt_key <> '' then coalesce(judged.outcome, 'unknown') end as outcome,
        judged.is_rolled_back,
        judged.started_at,
        judged.ended_at,
        summed.first_usage_date,
        summed.last_usage_date,
        {{ gpu_seconds('summed.held_weight') }} as held_gpu_seconds,
        {{ gpu_seconds('summed.measured_weight') }} as measured_gpu_seconds,
        {{ gpu_seconds('summed.used_weight', scaled=true) }} as used_gpu_seconds,
        {{ gpu_seconds('summed.unbilled_weight') }} as held_unbilled_seconds,
        {{ gpu_seconds('summed.awaiting_weight') }} as awaiting_bill_gpu_seconds,
        {{ gpu_seconds('summed.measured_weight') }} - {{ gpu_seconds('summed.used_weight', scaled=true) }} as idle_gpu_seconds,
        {{ gpu_seconds('summed.held_weight') }} - {{ gpu_seconds('summed.measured_weight') }} as unknown_gpu_seconds,
        summed.cpu_only_seconds,
        case when summed.measured_weight > 0 then cast(summed.used_weight as double) / (cast(summed.measured_weight as double) * 1000000) end as activity_ratio,
        summed.activity_rung,
        coalesce(summed.observed_slots, 0) as observed_slots,
        coalesce(summed.measured_slots, 0) as measured_slots,
        case when summed.measured_slots > 0
            then {{ ratio_of_millionths(int_div('1000000 * summed.measured_slots', 'summed.observed_slots')) }} end as activity_coverage_ratio,
        coalesce(summed.discarded_values, 0) as discarded_values,
        {{ pricing_status('summed.awaiting_weight', 'summed.effective_cost') }} as pricing_status,
        summed.effective_cost as run_cost_usd,
        summed.used_cost as used_cost_usd,
        summed.held_idle_cost as held_idle_cost_usd,
        summed.unknown_cost as unknown_cost_usd,
        summed.other_cost as other_cost_usd,
        summed.distributed_cost as distributed_cost_usd,
        summed.billed_cost as billed_cost_usd,
        summed.list_cost as list_cost_usd,
        summed.list_missing_cost as list_missing_cost_usd,
        summed.gpu_component_cost as gpu_cost_usd,
        summed.host_component_cost as host_cost_usd,
        summed.other_component_cost as other_component_cost_usd,
        {%- for group in price_groups() %}
        summed.{{ group }}_price_cost as {{ group }}_price_cost_usd,
        summed.{{ group }}_saving as {{ group }}_saving_usd,
        {%- endfor %}
        case when judged.is_rolled_back is not null then {{ gpu_seconds('coalesce(rolled_back.rolled_back_weight, 0)') }} end as rolled_back_gpu_seconds,
        case when judged.is_rolled_back is not null and summed.effective_cost is not null
            then coalesce(rolled_back.rolled_back_cost, cast(0 as decimal(38, 12))) end as rolled_back_cost_usd
    from summed
    left join judged on summed.attempt_key = judged.attempt_key
    left join rolled_back on summed.workload_key = rolled_back.workload_key and summed.attempt_key = rolled_back.attempt_key

)

select * from final
