-- Grain: day x node x component: the whole-number weight by which the node's price is split between its GPUs and its host, under the
-- named method of the policy. Where a method needs vCPUs and memory and the inventory has none, the price stays with the GPUs.
with

nodes as (

    select *, {{ parameter('gpu_split_method', dbt.type_string()) }} as wanted_method
    from {{ ref('int_nodes') }}
    where gpu_count > 0

),

methods as (

    select
        *,
        case
            when wanted_method in ('weights_9_1', 'base_price') and (vcpus is null or memory_gib is null) then 'gpu_only'
            else wanted_method
        end as method_id
    from nodes

),

weights as (

    select
        usage_date,
        node_key,
        method_id,
        -- AWS split cost allocation, 9 : 0.9 : 0.1 for each GPU, vCPU, GB; OpenCost's base prices 0.95, 0.031611, 0.004237; Datadog's 95/3/2
        cast(case method_id
            when 'weights_9_1' then round(9000 * gpu_count)
            when 'base_price' then round(950000 * gpu_count)
            when 'fixed_95_3_2' then 95
            else 1
        end as bigint) as gpu_weight,
        cast(case method_id
            when 'weights_9_1' then round(900 * vcpus + 100 * memory_gib)
            when 'base_price' then round(31611 * vcpus + 4237 * memory_gib)
            when 'fixed_95_3_2' then 5
            else 0
        end as bigint) as host_weight
    from methods

),

components as (

    select usage_date, node_key, method_id, 'gpu' as component, gpu_weight as component_weight from weights
    union all
    select usage_date, node_key, method_id, 'host', host_weight from weights
    where host_weight > 0

)

select * from components
