-- Grain: one container (EKS pod, ECS task) x hour x resource of its instance, as split cost allocation data weighs it. Evidence of who used an
-- instance, never money: the instance's own row bears the dollars. A row that names no container is AWS's view of the instance's unused part
-- as a whole, which restates the containers' unused_cost: it is left out here (as a charge it stays, at 0).
with

split_rows as (

    select * from {{ ref('base_aws_cur__line_items') }}
    where operation in ('EKSPod-EC2', 'ECSTask-EC2')

),

named as (

    -- arn:aws:eks:<region>:<account>:pod/<cluster>/<namespace>/<pod>/<uid>; arn:aws:ecs:<region>:<account>:task/[<cluster>/]<task>
    select
        *,
        resource_id like 'arn:%:pod/%/%/%/%' as is_pod,
        resource_id like 'arn:%:task/%' as is_task,
        nullif({{ dbt.split_part('resource_id', "'/'", 2) }}, '') as part_2,
        nullif({{ dbt.split_part('resource_id', "'/'", 3) }}, '') as part_3,
        nullif({{ dbt.split_part('resource_id', "'/'", 4) }}, '') as part_4,
        nullif({{ dbt.split_part('resource_id', "'/'", 5) }}, '') as part_5
    from split_rows

),

charge_splits as (

    select
        source,
        usage_start,
        usage_end,
        parent_resource_id,
        case when is_pod or part_3 is not null then part_2 end as cluster,
        case when is_pod then part_3 end as namespace,
        case when is_pod then part_4 else coalesce(part_3, part_2) end as pod,
        case when is_pod then part_5 else coalesce(part_3, part_2) end as pod_uid,
        case
            when usage_type like '%-EC2-Accelerator-Hours' then 'gpu'
            when usage_type like '%-EC2-vCPU-Hours' then 'cpu'
            when usage_type like '%-EC2-GB-Hours' then 'memory'
        end as split_component,
        coalesce(net_split_cost, split_cost) as split_cost,
        coalesce(net_unused_split_cost, unused_split_cost) as unused_cost,
        tags,
        delivery_id,
        file_name,
        row_number
    from named
    where (is_pod and part_5 is not null) or (is_task and part_2 is not null)

)

select * from charge_splits
