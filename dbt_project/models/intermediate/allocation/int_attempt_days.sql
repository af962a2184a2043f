-- Grain: day x workload attempt (attempt '' for dollars that reach the workload only by tag): seconds and dollars of that day.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

gpu_hours as (

    select
        usage_date,
        workload_key,
        holder_key as attempt_key,
        sum(total_weight) as held_weight,
        sum(measured_weight) as measured_weight,
        sum(used_weight) as used_weight,
        sum(case when is_priced then total_weight - billed_weight else 0 end) as unbilled_weight,
        sum(case when is_priced then 0 else total_weight end) as awaiting_weight
    from {{ ref('int_gpu_hours') }}
    where holder_key <> ''
    group by usage_date, workload_key, holder_key

),

evidence as (

    select
        usage_date,
        holder_key as attempt_key,
        {{ one_or_mixed('activity_rung') }} as activity_rung,
        sum(observed_slots) as observed_slots,
        sum(least(rung_slots, observed_slots)) as measured_slots,
        sum(discarded_values) as discarded_values
    from {{ ref('int_gpu_activity') }}
    where holder_key <> ''
    group by usage_date, holder_key

),

ledger as (

    select
        usage_date,
        workload_key,
        coalesce(attempt_key, '') as attempt_key,
        max(team) as team,
        max(model) as model,
        max(environment) as environment,
        max(project) as project,
        sum(case when stage = 'allocated' then effective_cost end) as effective_cost,
        sum(case when stage = 'allocated' then billed_cost end) as billed_cost,
        sum(case when stage = 'allocated' then list_cost end) as list_cost,
        sum(case when stage = 'allocated' and cost_class = 'used' then effective_cost else 0 end) as used_cost,
        sum(case when stage = 'allocated' and cost_class = 'held_idle' then effective_cost else 0 end) as held_idle_cost,
        sum(case when stage = 'allocated' and cost_class = 'unknown' then effective_cost else 0 end) as unknown_cost,
        sum(case when stage = 'allocated' and cost_class not in ('used', 'held_idle', 'unknown') then effective_cost else 0 end) as other_cost,
        {%- for component in ['gpu', 'host', 'other'] %}
        sum(case when stage = 'allocated' and component = '{{ component }}' then effective_cost else 0 end) as {{ component }}_component_cost,
        {%- endfor %}
        sum(case when stage = 'allocated' and list_cost is null then effective_cost end) as list_missing_cost,
        {%- for group in price_groups() %}
        sum(case when stage = 'allocated' and {{ price_group('pricing_category') }} = '{{ group }}' then effective_cost end) as {{ group }}_price_cost,
        sum(case when stage = 'allocated' and {{ price_group('pricing_category') }} = '{{ group }}' then list_cost - effective_cost end) as {{ group }}_saving,
        sum(case when stage = 'allocated' and {{ price_group('pricing_category') }} = '{{ group }}' and list_cost is null then effective_cost end) as {{ group }}_list_missing_cost,
        {%- endfor %}
        sum(case when stage = 'distributed' then effective_cost else 0 end) as distributed_cost
    from {{ ref('fct_cost_allocation') }}
    where workload_key is not null and usage_date in (select usage_date from {{ ref('int_days') }})
    group by usage_date, workload_key, coalesce(attempt_key, '')

),

-- seconds on GPU nodes of attempts that ask for no GPU, billed or not
cpu_only as (

    select usage_date, workload_key, attempt_key, cast(sum(seconds) as bigint) as seconds
    from {{ ref('int_cpu_only_weights') }}
    where coalesce(is_in_force, true)
    group by usage_date, workload_key, attempt_key

),

keys as (

    select usage_date, workload_key, attempt_key from ledger
    union
    select usage_date, workload_key, attempt_key from gpu_hours
    union
    select usage_date, workload_key, attempt_key from cpu_only

),

joined as (

    select
        keys.usage_date,
        keys.workload_key,
        keys.attempt_key,
        ledger.team,
        ledger.model,
        ledger.environment,
        ledger.project,
        {{ wide_int('coalesce(gpu_hours.held_weight, 0)') }} as held_weight,
        {{ wide_int('coalesce(gpu_hours.measured_weight, 0)') }} as measured_weight,
        {{ wide_int('coalesce(gpu_hours.used_weight, 0)') }} as used_weight,
        {{ wide_int('coalesce(gpu_hours.unbilled_weight, 0)') }} as unbilled_weight,
        {{ wide_int('coalesce(gpu_hours.awaiting_weight, 0)') }} as awaiting_weight,
        coalesce(cpu_only.seconds, 0) as cpu_only_seconds,
        evidence.activity_rung,
        cast(coalesce(evidence.observed_slots, 0) as bigint) as observed_slots,
        cast(coalesce(evidence.measured_slots, 0) as bigint) as measured_slots,
        cast(coalesce(evidence.discarded_values, 0) as bigint) as discarded_values,
        cast(ledger.effective_cost as decimal(38, 12)) as effective_cost,
        cast(ledger.billed_cost as decimal(38, 12)) as billed_cost,
        cast(ledger.list_cost as decimal(38, 12)) as list_cost,
        cast(ledger.used_cost as decimal(38, 12)) as used_cost,
        cast(ledger.held_idle_cost as decimal(38, 12)) as held_idle_cost,
        cast(ledger.unknown_cost as decimal(38, 12)) as unknown_cost,
        cast(ledger.other_cost as decimal(38, 12)) as other_cost,
        cast(coalesce(ledger.distributed_cost, 0) as decimal(38, 12)) as distributed_cost,
        {%- for component in ['gpu', 'host', 'other'] %}
        cast(ledger.{{ component }}_component_cost as decimal(38, 12)) as {{ component }}_component_cost,
        {%- endfor %}
        -- NULL: nothing of that sort, or (a saving) nothing of it has a list price
        {%- for group in price_groups() %}
        cast(ledger.{{ group }}_price_cost as decimal(38, 12)) as {{ group }}_price_cost,
        cast(ledger.{{ group }}_saving as decimal(38, 12)) as {{ group }}_saving,
        cast(ledger.{{ group }}_list_missing_cost as decimal(38, 12)) as {{ group }}_list_missing_cost,
        {%- endfor %}
        cast(ledger.list_missing_cost as decimal(38, 12)) as list_missing_cost
    from keys
    left join ledger
        on keys.usage_date = ledger.usage_date and keys.workload_key = ledger.workload_key and keys.attempt_key = ledger.attempt_key
    left join gpu_hours
        on keys.usage_date = gpu_hours.usage_date and keys.workload_key = gpu_hours.workload_key and keys.attempt_key = gpu_hours.attempt_key
    left join cpu_only
        on keys.usage_date = cpu_only.usage_date and keys.workload_key = cpu_only.workload_key and keys.attempt_key = cpu_only.attempt_key
    left join evidence
        on keys.usage_date = evidence.usage_date and keys.attempt_key = evidence.attempt_key

)

select * from joined
