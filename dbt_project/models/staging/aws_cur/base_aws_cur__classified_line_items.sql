-- Grain: one AWS CUR 2.0 line item, with what it is: its type's settled meaning, and the kinds of row that the type alone does not tell.
-- Spellings that AWS documents, and those that are only known from others' bills, stand in docs/line-types.md.
with

line_items as (

    select * from {{ ref('base_aws_cur__line_items') }}

),

types as (

    select * from {{ ref('aws_line_item_types') }}

),

services as (

    select * from {{ ref('aws_service_categories') }}

),

recognised as (

    select
        line_items.*,
        services.service_category,
        types.charge_category,
        nullif(types.cost_class, '') as type_cost_class,
        coalesce(types.price_role, 'unknown') as price_role,
        coalesce(types.bears_usage, false) as bears_usage,
        types.line_item_type is null as is_unknown_type,
        -- split cost allocation restates the parent instance by container (B07)
        coalesce(line_items.operation in ('EKSPod-EC2', 'ECSTask-EC2'), false) as is_split_row,
        -- hours of an EC2 instance, or of a job, endpoint, notebook or cluster of SageMaker
        coalesce(
            (line_items.product_code = 'AmazonEC2' and line_items.operation like 'RunInstances%' and (
                line_items.usage_type like '%BoxUsage%' or line_items.usage_type like '%SpotUsage%' or line_items.usage_type like '%DedicatedUsage%'))
            or (line_items.product_code = 'AmazonSageMaker' and line_items.resource_id is not null and upper(coalesce(line_items.usage_unit, 'H')) like 'H%' and (
                line_items.usage_type like '%Train:ml.%' or line_items.usage_type like '%Host:ml.%' or line_items.usage_type like '%Notebk:ml.%'
                or line_items.usage_type like '%Cluster:ml.%')),
            false
        ) as is_instance,
        -- a capacity reservation's hours without an instance
        coalesce(line_items.product_code = 'AmazonEC2' and (line_items.usage_type like '%UnusedBox:%' or line_items.usage_type like '%UnusedDed:%'), false) as is_unused_capacity,
        -- the same reservation's hours at no price: what it costs stands on its instances and on its unused hours
        coalesce(line_items.product_code = 'AmazonEC2' and (line_items.usage_type like '%Reservation:%' or line_items.usage_type like '%DedicatedRes:%'), false) as is_reserved_capacity,
        -- a Capacity Block for ML: its fee, and its instances' hours at no price
        coalesce(line_items.product_code = 'AmazonEC2' and (line_items.usage_type like '%CapacityBlockFee:%' or line_items.operation like 'RunInstances:CB%'), false) as is_capacity_block,
        coalesce(line_items.product_code like 'AWS%Support%' or line_items.product_code in ('AWSEnterpriseOnRamp', 'OCBPremiumSupport'), false) as is_support,
        -- what a commitment's one-time fee is: the fee itself, and its refund
        coalesce(
            line_items.line_item_type = 'SavingsPlanUpfrontFee'
            or (line_items.line_item_type = 'Fee' and line_items.reservation_arn is not null)
            or (line_items.line_item_type = 'Refund' and line_items.product_code like '%SavingsPlans'
                and line_items.charge_description like 'Refund for one-time fee for Savings Plan ID%'),
            false
        ) as is_upfront_fee
    from line_items
    left join types on line_items.line_item_type = types.line_item_type
    left join services on line_items.product_code = services.product_code

),

classified as (

    select
        *,
        coalesce(is_upfront_fee or price_role = 'commitment_fee', false) as is_commitment_fee,
        case
            when is_split_row then 'not_measured'
            when is_upfront_fee then 'unused_commitment'
            when is_unused_capacity and type_cost_class is null and not is_unknown_type then 'unused_commitment'
            when is_support and type_cost_class is null and not is_unknown_type then 'tax_and_fees'
            -- a fee for something that can be named goes where its resource and tags lead
            when line_item_type = 'Fee' and (resource_id is not null or is_capacity_block) and not is_support then null
            else type_cost_class
        end as cost_class,
        case
            when savings_plan_arn is not null then 'savings_plan'
            when reservation_arn is not null then 'reservation'
            when usage_type like '%Spot%' then 'spot'
            when is_unused_capacity or is_reserved_capacity or is_capacity_block then 'reservation'
            when bears_usage then 'on_demand'
        end as pricing_category
    from recognised

)

select * from classified
