-- Grain: day x workload attempt x rung of the ladder of activity: what the attempt's billed GPU time would be worth if that rung alone
-- told the activity. Per billing window and rung the one allocation function over all that the window holds, so that under every
-- rung the window's rows sum to its cost; only windows in which the rung has a value, only rows of attempts are shown.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

measured as (

    select * from {{ ref('int_gpu_window_seconds') }}

),

-- `ledger`: the ladder, as the ledger climbs it
under_rungs as (
    {% for rung in ['ledger'] + activity_rungs() %}
    select
        window_key, usage_date, node_key, gpu_key, unit_key, unit_share, is_remainder, hour_from, workload_key, attempt_key, evidence, is_covered,
        sharing, is_unmeasured, segment_reason, seconds, small_memory_ppm,
        '{{ rung }}' as rung,
        activity_rung as ledger_rung,
        {{ 'activity' if rung == 'ledger' else rung }}_ppm as activity_ppm,
        {{ 'rung' if rung == 'ledger' else rung }}_coverage_ppm as coverage_ppm
    from measured
    {%- if rung != 'ledger' %}
    where window_key in (select window_key from measured where {{ rung }}_ppm is not null)
    {%- endif %}
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}

),

judged as (

    select *, {{ gpu_judgement() }} as judgement
    from under_rungs

),

classed as (

{{ gpu_class_weights('judged', ['window_key', 'usage_date', 'workload_key', 'attempt_key', 'rung']) }}
    union all
    -- billed seconds for which the inventory has no room
    select unplaced.window_key, unplaced.usage_date, unplaced.workload_key, unplaced.attempt_key, rungs.rung, unplaced.cost_class, unplaced.weight
    from {{ ref('int_gpu_window_classes') }} as unplaced
    inner join (select distinct window_key, rung from under_rungs) as rungs on unplaced.window_key = rungs.window_key
    where unplaced.reason = 'billed_window_mismatch'

),

shares as (

    select window_key, usage_date, rung, workload_key, attempt_key, cost_class, {{ wide_int('sum(weight)') }} as weight
    from classed
    where weight > 0
    group by window_key, usage_date, rung, workload_key, attempt_key, cost_class

),

window_costs as (

    {{ gpu_window_costs(ref('int_node_windows'), ref('int_bucket_nodes'), ref('int_charge_buckets')) }}

),

weighted as (

    select
        shares.*,
        window_costs.effective_cost,
        {{ wide_int('sum(shares.weight) over (partition by shares.window_key, shares.rung)') }} as total_weight,
        {{ allocation_units('window_costs.effective_cost') }} as cost_units
    from shares
    inner join window_costs on shares.window_key = window_costs.window_key

),

{{ split_amounts('ranked', 'weighted', 'window_key, rung', 'workload_key nulls first, cost_class, attempt_key nulls first') }},

costs as (

    select
        usage_date,
        workload_key,
        attempt_key,
        rung,
        {%- for class in ['used', 'held_idle', 'unknown'] %}
        sum(case when cost_class = '{{ class }}' then {{ allocation_amount('effective_cost', 'floor_units', 'leftover_units', 'remainder_rank') }} else 0 end)
            as {{ class }}_cost{% if not loop.last %},{% endif %}
        {%- endfor %}
    from ranked
    where attempt_key is not null
    group by usage_date, workload_key, attempt_key, rung

),

seconds as (

    select
        usage_date,
        workload_key,
        attempt_key,
        rung,
        {{ one_or_mixed('ledger_rung') }} as ledger_rung,
        sum(unit_share * seconds) as held_weight,
        sum(case when judgement = 'held' then unit_share * seconds else 0 end) as measured_weight,
        sum(case when is_covered then unit_share * seconds else 0 end) as covered_weight,
        sum(case when is_covered then {{ wide_int('unit_share * seconds') }} * coalesce(coverage_ppm, 0) else 0 end) as coverage_weight
    from judged
    where attempt_key is not null
    group by usage_date, workload_key, attempt_key, rung

),

final as (

    select
        seconds.usage_date,
        seconds.workload_key,
        seconds.attempt_key,
        seconds.rung as activity_rung,
        seconds.ledger_rung as ledger_activity_rung,
        {{ gpu_seconds('seconds.held_weight') }} as held_gpu_seconds,
        {{ gpu_seconds('seconds.measured_weight') }} as measured_gpu_seconds,
        case when seconds.covered_weight > 0 then {{ ratio_of_millionths(int_div('seconds.coverage_weight', 'seconds.covered_weight')) }} end as coverage_ratio,
        cast(costs.used_cost as decimal(38, 12)) as used_cost_usd,
        cast(costs.held_idle_cost as decimal(38, 12)) as held_idle_cost_usd,
        cast(costs.unknown_cost as decimal(38, 12)) as unknown_cost_usd,
        cast(costs.used_cost - by_ledger.used_cost as decimal(38, 12)) as used_difference_usd
    from seconds
    inner join costs
        on seconds.usage_date = costs.usage_date
        and seconds.workload_key = costs.workload_key
        and seconds.attempt_key = costs.attempt_key
        and seconds.rung = costs.rung
    inner join costs as by_ledger
        on seconds.usage_date = by_ledger.usage_date
        and seconds.workload_key = by_ledger.workload_key
        and seconds.attempt_key = by_ledger.attempt_key
        and by_ledger.rung = 'ledger'
    where seconds.rung <> 'ledger'

)

select * from final
