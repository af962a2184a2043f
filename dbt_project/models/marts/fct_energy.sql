-- Grain: day x node x holder: an attempt of a run or endpoint, nobody, or (unknown_time) energy that was used while nobody looked. The rows
-- of a node and day sum to what its GPUs used, exactly, in joules.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

nodes as (

    select * from {{ ref('int_nodes') }}

),

-- GPUs above the inventory's count are left out, as they are from the energy
held as (

    select
        gpu_hours.usage_date,
        gpu_hours.node_key,
        case when gpu_hours.holder_key = '' then 'nobody' else 'workload' end as holder,
        gpu_hours.holder_key,
        min(gpu_hours.workload_key) as workload_key,
        sum(gpu_hours.total_weight) as held_weight
    from {{ ref('int_gpu_hours') }} as gpu_hours
    left join nodes on gpu_hours.usage_date = nodes.usage_date and gpu_hours.node_key = nodes.node_key
    left join {{ ref('int_gpu_hour_ranks') }} as gpu_ranks
        on gpu_hours.usage_date = gpu_ranks.usage_date
        and gpu_hours.node_key = gpu_ranks.node_key
        and gpu_hours.gpu_key = gpu_ranks.gpu_key
        and gpu_hours.hour_from = gpu_ranks.hour_from
    where nodes.node_key is null or gpu_ranks.gpu_rank <= nodes.gpu_count
    group by gpu_hours.usage_date, gpu_hours.node_key, gpu_hours.holder_key

),

measured as (

    select
        usage_date,
        node_key,
        case when is_gap then 'unknown_time' when attempt_key is null then 'nobody' else 'workload' end as holder,
        coalesce(attempt_key, '') as holder_key,
        min(workload_key) as workload_key,
        sum(millijoules) as millijoules,
        sum(measured_weight) as measured_weight,
        {{ one_or_mixed('energy_method') }} as energy_method
    from {{ ref('int_gpu_energy_shares') }}
    group by usage_date, node_key, is_gap, attempt_key

),

joined as (

    select
        coalesce(held.usage_date, measured.usage_date) as usage_date,
        coalesce(held.node_key, measured.node_key) as node_key,
        coalesce(held.holder, measured.holder) as holder,
        nullif(coalesce(held.holder_key, measured.holder_key), '') as attempt_key,
        coalesce(held.workload_key, measured.workload_key) as workload_key,
        held.held_weight,
        measured.measured_weight,
        measured.energy_method,
        {{ joules('measured.millijoules') }} as energy_joules
    from held
    full outer join measured
        on held.usage_date = measured.usage_date
        and held.node_key = measured.node_key
        and held.holder = measured.holder
        and held.holder_key = measured.holder_key

),

final as (

    select
        joined.usage_date,
        joined.node_key,
        coalesce(nodes.hostname, {{ dbt.split_part('joined.node_key', "'|'", 1) }}) as node,
        nodes.pool,
        nodes.cluster,
        nodes.zone,
        joined.holder,
        {{ dbt.split_part('joined.workload_key', "'/'", 1) }} as workload_type,
        joined.workload_key,
        joined.attempt_key,
        case when joined.holder <> 'unknown_time' then {{ gpu_seconds('coalesce(joined.held_weight, 0)') }} end as held_gpu_seconds,
        case when joined.holder <> 'unknown_time' then {{ gpu_seconds('coalesce(joined.measured_weight, 0)') }} end as measured_gpu_seconds,
        case when joined.held_weight > 0
            then {{ ratio_of_millionths(int_div(wide_int('coalesce(joined.measured_weight, 0)') ~ ' * 1000000', wide_int('joined.held_weight'))) }} end as energy_coverage_ratio,
        joined.energy_method,
        joined.energy_joules,
        {{ kilowatt_hours('joined.energy_joules') }} as energy_kwh,
        {{ carbon_grams('joined.energy_joules', 'factors.grams_co2e_per_kwh', 'factors.pue') }} as grams_co2e,
        factors.grams_co2e_per_kwh,
        factors.pue,
        factors.stated_source as carbon_factor_source,
        case when joined.energy_joules is null then 'no_energy' when factors.node_key is null then 'no_factor' end as carbon_reason
    from joined
    left join nodes on joined.usage_date = nodes.usage_date and joined.node_key = nodes.node_key
    left join {{ ref('int_node_carbon_factors') }} as factors on joined.usage_date = factors.usage_date and joined.node_key = factors.node_key

)

select * from final
