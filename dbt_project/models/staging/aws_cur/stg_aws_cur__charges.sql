-- Grain: one charge = one CUR line item. Bases follow FOCUS; amortisation follows the public CID formula (DECISIONS.md, 4).
-- Split cost allocation rows (EKSPod-EC2, ECSTask-EC2) restate their parent instance: they bear no money here.
with

line_items as (

    select * from {{ ref('base_aws_cur__line_items') }}

),

types as (

    select * from {{ ref('aws_line_item_types') }}

),

restated as (

    select
        line_items.*,
        types.charge_category,
        -- a reservation's one-time fee is the commitment's, not a service fee
        case when line_items.line_item_type = 'Fee' and line_items.reservation_arn is not null then 'unused_commitment' else nullif(types.cost_class, '') end as cost_class,
        coalesce(types.bears_usage, false) as bears_usage,
        types.line_item_type is null as is_unknown_type,
        operation in ('EKSPod-EC2', 'ECSTask-EC2') as is_split_row,
        product_code = 'AmazonEC2' and operation like 'RunInstances%' and (
            usage_type like '%BoxUsage%' or usage_type like '%SpotUsage%' or usage_type like '%DedicatedUsage%'
        ) as is_instance
    from line_items
    left join types on line_items.line_item_type = types.line_item_type

),

priced as (

    select
        *,
        case when is_split_row then 0 else unblended_cost end as source_cost,
        case
            when is_split_row or line_item_type in ('SavingsPlanCoveredUsage', 'SavingsPlanNegation') then 0
            else coalesce(net_unblended_cost, unblended_cost)
        end as billed_cost,
        case
            when is_split_row then 0
            when line_item_type = 'SavingsPlanCoveredUsage' then coalesce(savings_plan_net_effective_cost, savings_plan_effective_cost)
            when line_item_type = 'SavingsPlanRecurringFee' then savings_plan_commitment_cost - savings_plan_used_cost
            when line_item_type in ('SavingsPlanNegation', 'SavingsPlanUpfrontFee') then 0
            when line_item_type = 'DiscountedUsage' then coalesce(reservation_net_effective_cost, reservation_effective_cost)
            when line_item_type = 'RIFee' then
                coalesce(reservation_net_unused_upfront_cost, reservation_unused_upfront_cost, 0)
                + coalesce(reservation_net_unused_recurring_cost, reservation_unused_recurring_cost, 0)
            when line_item_type = 'Fee' and reservation_arn is not null then 0
            else coalesce(net_unblended_cost, unblended_cost)
        end as effective_cost,
        case
            when is_split_row or line_item_type = 'SavingsPlanNegation' then 0
            -- a commitment's fee pays for usage whose list price already stands on the usage
            when line_item_type in ('SavingsPlanRecurringFee', 'SavingsPlanUpfrontFee', 'RIFee') then coalesce(public_on_demand_cost, 0)
            when line_item_type = 'Fee' and reservation_arn is not null then coalesce(public_on_demand_cost, 0)
            else coalesce(public_on_demand_cost, unblended_cost)
        end as list_cost
    from restated

),

charges as (

    select
        source,
        'aws' as provider,
        billing_period,
        invoice_id,
        billing_account_id,
        account_id,
        usage_start,
        usage_end,
        product_code as service,
        cast(null as {{ dbt.type_string() }}) as service_category,
        usage_type as sku,
        region,
        resource_id,
        cast(null as {{ dbt.type_string() }}) as resource_alias,
        line_item_type,
        case when is_split_row then 'Usage' else charge_category end as charge_category,
        case when line_item_type = 'Refund' then 'Correction' end as charge_class,
        case
            when is_unknown_type then concat('unknown line item type ', line_item_type)
            when usage_start is null then 'unreadable usage start'
            when effective_cost is null then concat('no amortised cost on ', line_item_type)
        end as quarantine_reason,
        case when is_split_row then 'not_measured' else cost_class end as cost_class,
        case
            when savings_plan_arn is not null then 'savings_plan'
            when reservation_arn is not null then 'reservation'
            when usage_type like '%Spot%' then 'spot'
            when bears_usage then 'on_demand'
        end as pricing_category,
        coalesce(savings_plan_arn, reservation_arn) as commitment_id,
        -- a discount row of an instance is part of the node's price, without seconds of its own
        case when is_instance and not is_split_row and not is_unknown_type and (bears_usage or cost_class is null) then 'instance' end as compute_kind,
        case when bears_usage and is_instance and not is_split_row then cast(usage_amount * 3600 as decimal(38, 12)) end as compute_seconds,
        usage_amount as usage_quantity,
        usage_unit,
        currency,
        cast(source_cost as decimal(38, 12)) as source_cost,
        cast(case when is_split_row then 0 else coalesce(net_unblended_cost, unblended_cost) end as decimal(38, 12)) as net_cost,
        cast(billed_cost as decimal(38, 12)) as billed_cost,
        cast(coalesce(effective_cost, billed_cost) as decimal(38, 12)) as effective_cost,
        cast(list_cost as decimal(38, 12)) as list_cost,
        cast(null as decimal(38, 12)) as contracted_cost,
        tags,
        charge_description,
        delivery_id,
        file_name,
        row_number
    from priced

)

select * from charges
