-- Grain: day x node x price x whether its hours are priced x holder x class: what those GPU-seconds cost by the rate card. Per node,
-- price and status the sum is GPU-seconds x price / 3600, rounded once, and split by largest remainder. NULL without a price in dollars.
with

classes as (

    select
        usage_date, node_key, rate_rule, rate_unit, hourly_rate_usd, gpu_count, is_priced, workload_key, attempt_key, cost_class,
        {{ wide_int('sum(weight)') }} as weight
    from {{ ref('int_estimated_classes') }}
    group by usage_date, node_key, rate_rule, rate_unit, hourly_rate_usd, gpu_count, is_priced, workload_key, attempt_key, cost_class

),

totals as (

    select
        *,
        {{ wide_int('sum(weight) over (partition by usage_date, node_key, rate_rule, is_priced)') }} as total_weight,
        -- parts of a GPU x 3600 seconds x 1000000; a node's price is that of all of its GPUs
        {{ wide_int(gpu_parts() ~ ' * 3600000000') }} * case when rate_unit = 'node_hour' then gpu_count else 1 end as weight_of_one_hour
    from classes

),

priced as (

    select
        *,
        {{ allocation_units('hourly_rate_usd') }} * total_weight as weighted_units
    from totals

),

estimated as (

    select
        *,
        {{ half_even_quotient('weighted_units', 'weight_of_one_hour') }} as cost_units
    from priced

),

{{ split_amounts('ranked', 'estimated', 'usage_date, node_key, rate_rule, is_priced', 'workload_key nulls first, cost_class, attempt_key nulls first') }}

select
    usage_date,
    node_key,
    rate_rule,
    rate_unit,
    hourly_rate_usd,
    is_priced,
    workload_key,
    attempt_key,
    cost_class,
    weight,
    case when hourly_rate_usd is not null
        then {{ amount_of_units('floor_units + case when remainder_rank <= leftover_units then 1 else 0 end') }} end as estimated_cost
from ranked
