-- Grain: billing window x split method: the whole-number weights by which the window's price is divided between the node's GPUs and its host
-- (macros/node_split.sql), summed over its billed seconds at the size that the node had in each. is_in_force: the policy's method for this
-- node and day. A method that lacks vCPUs, memory or the price of a GPU model leaves the price with the GPUs: method_id says so.
with

stretches as (

    select *, billed_to - billed_from + unplaced_seconds as seconds
    from {{ ref('int_node_billed_stretches') }}
    where billed_to - billed_from + unplaced_seconds > 0

),

nodes as (

    select * from {{ ref('int_nodes') }}

),

rules as (

    select
        nodes.usage_date,
        nodes.node_key,
        rules.method,
        row_number() over (partition by nodes.usage_date, nodes.node_key order by rules.rule_rank) as choice
    from nodes
    inner join {{ source('policy', 'node_split_rules') }} as rules
        on (rules.pool is null or lower(rules.pool) = lower(nodes.pool))
        and (rules.provider is null or lower(rules.provider) = lower(nodes.provider))
        and (rules.valid_from is null or rules.valid_from <= nodes.usage_date)
        and (rules.valid_to is null or rules.valid_to > nodes.usage_date)

),

weighted as (

    select
        stretches.window_key,
        stretches.usage_date,
        stretches.node_key,
        stretches.seconds,
        stretches.gpu_count,
        stretches.is_mixed,
        methods.method,
        {{ gpu_method_weight('methods.method', 'stretches.gpu_count', 'stretches.gpu_price_weight') }} as gpu_weight,
        {{ host_method_weight('methods.method', 'stretches.vcpus', 'stretches.memory_gib') }} as host_weight
    from stretches
    cross join {{ split_method_rows() }} as methods

),

summed as (

    select
        window_key,
        usage_date,
        node_key,
        method,
        {{ wide_int('sum(gpu_weight * seconds)') }} as gpu_weight,
        {{ wide_int('sum(host_weight * seconds)') }} as host_weight,
        cast(sum(gpu_count * seconds) as bigint) as gpu_seconds,
        bool_or(is_mixed) as is_mixed,
        count(gpu_weight) = count(*) and count(host_weight) = count(*) as is_known
    from weighted
    group by window_key, usage_date, node_key, method

),

applied as (

    select
        *,
        case when is_known and gpu_weight + host_weight > 0 then method else 'gpu_only' end as method_id
    from summed

)

select
    applied.window_key,
    applied.usage_date,
    applied.node_key,
    applied.method,
    applied.method_id,
    applied.method = coalesce(rules.method, {{ parameter('gpu_split_method', dbt.type_string()) }}) as is_in_force,
    -- gpu_only has no second part to be weighed against
    {{ wide_int("case when applied.method_id = 'gpu_only' then 1 else applied.gpu_weight end") }} as gpu_weight,
    {{ wide_int("case when applied.method_id = 'gpu_only' then 0 else applied.host_weight end") }} as host_weight,
    applied.gpu_seconds,
    applied.method_id = 'price_list' and applied.is_mixed as is_mixed,
    -- of a GPU whose model nobody tells, on a node that has several
    case when applied.method_id = 'price_list' and applied.is_mixed
        then cast({{ int_div('2 * applied.gpu_weight + applied.gpu_seconds', '2 * applied.gpu_seconds') }} as bigint) end as mean_gpu_weight
from applied
left join rules on applied.usage_date = rules.usage_date and applied.node_key = rules.node_key and rules.choice = 1
