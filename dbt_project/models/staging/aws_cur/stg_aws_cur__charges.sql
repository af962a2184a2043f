-- Grain: one charge = one CUR line item; and one true-up row more for each row of a commitment whose up-front fee is paid in another
-- period than used. Split cost allocation rows restate their parent instance: they bear no money here (stg_aws_cur__charge_splits has them).
with

line_items as (

    select * from {{ ref('base_aws_cur__priced_line_items') }}

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
        service_category,
        -- an old Spot row names its instance type in its description only
        case
            when usage_type like '%SpotUsage' and instance_type is not null then concat(usage_type, ':', instance_type)
            when usage_type like '%SpotUsage' and charge_description like '%_._% %' then concat(usage_type, ':', {{ dbt.split_part('charge_description', "' '", 1) }})
            else usage_type
        end as sku,
        region,
        resource_id,
        cast(null as {{ dbt.type_string() }}) as resource_alias,
        case when is_split_row then 'SplitLineItem' else line_item_type end as line_item_type,
        case when is_split_row then 'Usage' else charge_category end as charge_category,
        case when line_item_type = 'Refund' then 'Correction' end as charge_class,
        case
            when is_unknown_type then concat('unknown line item type ', line_item_type)
            when usage_start is null then 'unreadable usage start'
            when amortised_cost is null then concat('no amortised cost on ', line_item_type)
        end as quarantine_reason,
        cost_class,
        pricing_category,
        coalesce(savings_plan_arn, reservation_arn) as commitment_id,
        -- a discount row of an instance is part of the node's price, without seconds of its own
        case when is_instance and cost_class is null and not is_unknown_type then 'instance' end as compute_kind,
        case when is_instance and cost_class is null and bears_usage then cast(usage_amount * 3600 as decimal(38, 12)) end as compute_seconds,
        usage_amount as usage_quantity,
        usage_unit,
        currency,
        cast(source_cost as decimal(38, 12)) as source_cost,
        cast(net_cost as decimal(38, 12)) as net_cost,
        cast(billed_cost as decimal(38, 12)) as billed_cost,
        cast(coalesce(amortised_cost, billed_cost) as decimal(38, 12)) as effective_cost,
        cast(list_cost as decimal(38, 12)) as list_cost,
        cast(contracted_cost as decimal(38, 12)) as contracted_cost,
        cast(case when not is_split_row and line_item_type in ('SavingsPlanCoveredUsage', 'DiscountedUsage') then amortised_cost end as decimal(38, 12)) as covered_cost,
        cast(case when not is_split_row and line_item_type in ('SavingsPlanCoveredUsage', 'DiscountedUsage') then public_on_demand_cost end as decimal(38, 12)) as covered_list_cost,
        cast(null as {{ dbt.type_string() }}) as commitment_kind,
        {{ timestamp_of(instant_second('coalesce(savings_plan_end_time, reservation_end_time)')) }} as commitment_ends_at,
        tags,
        charge_description,
        delivery_id,
        file_name,
        row_number
    from line_items

),

true_ups as (

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
        service_category,
        usage_type as sku,
        region,
        cast(null as {{ dbt.type_string() }}) as resource_id,
        cast(null as {{ dbt.type_string() }}) as resource_alias,
        'CommitmentTrueUp' as line_item_type,
        'Adjustment' as charge_category,
        cast(null as {{ dbt.type_string() }}) as charge_class,
        case when usage_start is null then 'unreadable usage start' end as quarantine_reason,
        'commitment_true_up' as cost_class,
        pricing_category,
        coalesce(savings_plan_arn, reservation_arn) as commitment_id,
        cast(null as {{ dbt.type_string() }}) as compute_kind,
        cast(null as decimal(38, 12)) as compute_seconds,
        cast(null as decimal(38, 12)) as usage_quantity,
        cast(null as {{ dbt.type_string() }}) as usage_unit,
        currency,
        cast(0 as decimal(38, 12)) as source_cost,
        cast(0 as decimal(38, 12)) as net_cost,
        cast(0 as decimal(38, 12)) as billed_cost,
        cast(true_up_cost as decimal(38, 12)) as effective_cost,
        cast(0 as decimal(38, 12)) as list_cost,
        cast(0 as decimal(38, 12)) as contracted_cost,
        cast(null as decimal(38, 12)) as covered_cost,
        cast(null as decimal(38, 12)) as covered_list_cost,
        cast(null as {{ dbt.type_string() }}) as commitment_kind,
        cast(null as timestamp) as commitment_ends_at,
        tags,
        concat('True-up of ', line_item_type) as charge_description,
        delivery_id,
        file_name,
        row_number
    from line_items
    where line_item_type in ('SavingsPlanRecurringFee', 'SavingsPlanUpfrontFee', 'RIFee', 'Fee', 'Refund')
        and true_up_cost <> 0

),

final as (

    select * from charges
    union all
    select * from true_ups

)

select * from final
