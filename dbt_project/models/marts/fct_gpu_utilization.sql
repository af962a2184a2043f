-- Grain: one physical GPU x UTC hour. Seconds by class sum to billed_seconds; dollars by class sum to the node's charges of the
-- hour. GPUs of nodes without a bill are here too, with their seconds and NULL dollars.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

gpu_hours as (

    select
        usage_date,
        node_key,
        gpu_key,
        hour_from,
        sum(total_weight) as total_weight,
        sum(covered_weight) as covered_weight,
        sum(case when holder_key <> '' then total_weight else 0 end) as held_weight,
        sum(measured_weight) as measured_weight,
        sum(used_weight) as used_weight,
        min(activity_rung) as activity_rung,
        cast(count(distinct case when holder_key <> '' then holder_key end) as bigint) as holder_count,
        -- who held most of it; of two alike the larger key
        max_by(workload_key, case when holder_key <> '' then concat(lpad(cast(total_weight as {{ dbt.type_string() }}), 24, '0'), workload_key) end) as main_workload_key,
        bool_or(is_priced) as is_priced
    from {{ ref('int_gpu_hours') }}
    group by usage_date, node_key, gpu_key, hour_from

),

window_classes as (

    select * from {{ ref('int_gpu_window_classes') }}

),

window_costs as (

    {{ gpu_window_costs(ref('int_node_windows'), ref('int_bucket_nodes'), ref('int_charge_buckets')) }}

),

shares as (

    select
        window_classes.window_key,
        window_classes.usage_date,
        window_classes.node_key,
        window_classes.gpu_key,
        window_classes.hour_from,
        window_classes.cost_class,
        {{ wide_int('sum(window_classes.weight)') }} as weight
    from window_classes
    group by
        window_classes.window_key, window_classes.usage_date, window_classes.node_key, window_classes.gpu_key, window_classes.hour_from,
        window_classes.cost_class

),

weighted as (

    select
        shares.*,
        window_costs.effective_cost,
        {{ wide_int('sum(shares.weight) over (partition by shares.window_key)') }} as total_weight,
        {{ allocation_units('window_costs.effective_cost') }} as cost_units
    from shares
    inner join window_costs on shares.window_key = window_costs.window_key

),

{{ split_amounts('ranked', 'weighted', 'window_key', 'gpu_key, hour_from, cost_class') }},

costs as (

    select
        usage_date,
        node_key,
        gpu_key,
        hour_from,
        cost_class,
        weight,
        {{ allocation_amount('effective_cost', 'floor_units', 'leftover_units', 'remainder_rank') }} as effective_cost
    from ranked

),

by_gpu as (

    select
        usage_date,
        node_key,
        gpu_key,
        hour_from,
        {{ wide_int('sum(weight)') }} as billed_weight,
        {%- for class in gpu_cost_classes() %}
        {{ wide_int("sum(case when cost_class = '" ~ class ~ "' then weight else 0 end)") }} as {{ class }}_weight,
        cast(sum(case when cost_class = '{{ class }}' then effective_cost else 0 end) as decimal(38, 12)) as {{ class }}_cost_usd,
        {%- endfor %}
        cast(sum(effective_cost) as decimal(38, 12)) as cost_usd
    from costs
    group by usage_date, node_key, gpu_key, hour_from

),

nodes as (

    select * from {{ ref('int_nodes') }}

),

-- of the series that tells the GPU's activity: how many of its slots have a value of the rung, and which values were discarded
evidence as (

    select
        units.usage_date,
        units.node_key,
        units.gpu_key,
        activity.hour_from,
        sum(activity.observed_slots) as observed_slots,
        sum(least(activity.rung_slots, activity.observed_slots)) as rung_slots,
        cast(sum(activity.discarded_values) as bigint) as discarded_values
    from {{ ref('int_gpu_activity') }} as activity
    inner join (select distinct usage_date, node_key, gpu_key, unit_key from {{ ref('int_gpu_fleet') }}) as units
        on activity.usage_date = units.usage_date and activity.unit_key = units.unit_key
    group by units.usage_date, units.node_key, units.gpu_key, activity.hour_from

),

keys as (

    select usage_date, node_key, gpu_key, hour_from from gpu_hours
    union
    select usage_date, node_key, gpu_key, hour_from from by_gpu

),

final as (

    select
        keys.usage_date,
        {{ timestamp_of('keys.hour_from') }} as usage_hour,
        coalesce(nodes.hostname, {{ dbt.split_part('keys.node_key', "'|'", 1) }}) as node,
        nodes.pool,
        nodes.cluster,
        nodes.gpu_model,
        keys.gpu_key,
        nodes.node_key is not null as is_known_node,
        gpu_hours.activity_rung,
        case when evidence.rung_slots > 0
            then {{ ratio_of_millionths(int_div('1000000 * evidence.rung_slots', 'evidence.observed_slots')) }} end as activity_coverage_ratio,
        coalesce(evidence.discarded_values, 0) as discarded_values,
        coalesce(gpu_hours.holder_count, 0) as holder_count,
        gpu_hours.main_workload_key,
        {{ gpu_seconds('coalesce(gpu_hours.covered_weight, 0)') }} as covered_seconds,
        {{ gpu_seconds('coalesce(gpu_hours.held_weight, 0)') }} as held_seconds,
        {{ gpu_seconds('coalesce(gpu_hours.measured_weight, 0)') }} as measured_seconds,
        {{ gpu_seconds('coalesce(gpu_hours.used_weight, 0)', scaled=true) }} as active_seconds,
        {{ gpu_seconds('coalesce(by_gpu.billed_weight, 0)', scaled=true) }} as billed_seconds,
        {%- for class in gpu_cost_classes() %}
        {{ gpu_seconds('coalesce(by_gpu.' ~ class ~ '_weight, 0)', scaled=true) }} as {{ class }}_seconds,
        {%- endfor %}
        case when gpu_hours.measured_weight > 0
            then cast(gpu_hours.used_weight as double) / (cast(gpu_hours.measured_weight as double) * 1000000) end as activity_ratio,
        case when by_gpu.gpu_key is not null then 'priced' when gpu_hours.is_priced then 'unbilled' else 'awaiting_bill' end as pricing_status,
        by_gpu.cost_usd,
        {%- for class in gpu_cost_classes() %}
        by_gpu.{{ class }}_cost_usd{% if not loop.last %},{% endif %}
        {%- endfor %}
    from keys
    left join gpu_hours
        on keys.usage_date = gpu_hours.usage_date
        and keys.node_key = gpu_hours.node_key
        and keys.gpu_key = gpu_hours.gpu_key
        and keys.hour_from = gpu_hours.hour_from
    left join by_gpu
        on keys.usage_date = by_gpu.usage_date
        and keys.node_key = by_gpu.node_key
        and keys.gpu_key = by_gpu.gpu_key
        and keys.hour_from = by_gpu.hour_from
    left join evidence
        on keys.usage_date = evidence.usage_date
        and keys.node_key = evidence.node_key
        and keys.gpu_key = evidence.gpu_key
        and keys.hour_from = evidence.hour_from
    left join nodes on keys.usage_date = nodes.usage_date and keys.node_key = nodes.node_key

)

select * from final
