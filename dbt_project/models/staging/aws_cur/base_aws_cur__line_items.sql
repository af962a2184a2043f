-- Grain: one AWS CUR 2.0 line item as delivered. Renamed and cast, nothing decided.
with

source as (

    select * from {{ source('aws_cur', 'line_items') }}

),

renamed as (

    select
        _source as source,
        _delivery_id as delivery_id,
        _file as file_name,
        _row as row_number,
        line_item_line_item_type as line_item_type,
        cast(bill_billing_period_start_date as date) as billing_period,
        nullif(bill_invoice_id, '') as invoice_id,
        bill_payer_account_id as billing_account_id,
        line_item_usage_account_id as account_id,
        line_item_usage_start_date as usage_start,
        line_item_usage_end_date as usage_end,
        line_item_product_code as product_code,
        line_item_usage_type as usage_type,
        coalesce(line_item_operation, '') as operation,
        coalesce(nullif(product_region_code, ''), line_item_availability_zone) as region,
        nullif(product_instance_type, '') as instance_type,
        nullif(line_item_resource_id, '') as resource_id,
        line_item_line_item_description as charge_description,
        nullif(pricing_unit, '') as usage_unit,
        line_item_currency_code as currency,
        nullif(savings_plan_savings_plan_a_r_n, '') as savings_plan_arn,
        nullif(reservation_reservation_a_r_n, '') as reservation_arn,
        nullif(savings_plan_end_time, '') as savings_plan_end_time,
        nullif(reservation_end_time, '') as reservation_end_time,
        {{ quantity('line_item_usage_amount') }} as usage_amount,
        {{ money('line_item_unblended_cost') }} as unblended_cost,
        {{ money('line_item_net_unblended_cost') }} as net_unblended_cost,
        {{ money('pricing_public_on_demand_cost') }} as public_on_demand_cost,
        {{ money('reservation_effective_cost') }} as reservation_effective_cost,
        {{ money('reservation_net_effective_cost') }} as reservation_net_effective_cost,
        {{ money('reservation_unused_amortized_upfront_fee_for_billing_period') }} as reservation_unused_upfront_cost,
        {{ money('reservation_net_unused_amortized_upfront_fee_for_billing_period') }} as reservation_net_unused_upfront_cost,
        {{ money('reservation_unused_recurring_fee') }} as reservation_unused_recurring_cost,
        {{ money('reservation_net_unused_recurring_fee') }} as reservation_net_unused_recurring_cost,
        {{ money('savings_plan_savings_plan_effective_cost') }} as savings_plan_effective_cost,
        {{ money('savings_plan_net_savings_plan_effective_cost') }} as savings_plan_net_effective_cost,
        {{ money('savings_plan_total_commitment_to_date') }} as savings_plan_commitment_cost,
        {{ money('savings_plan_used_commitment') }} as savings_plan_used_cost,
        {{ money('reservation_amortized_upfront_fee_for_billing_period') }} as reservation_amortized_upfront_cost,
        {{ money('reservation_net_amortized_upfront_fee_for_billing_period') }} as reservation_net_amortized_upfront_cost,
        {{ money('savings_plan_amortized_upfront_commitment_for_billing_period') }} as savings_plan_amortized_upfront_cost,
        {{ money('savings_plan_net_amortized_upfront_commitment_for_billing_period') }} as savings_plan_net_amortized_upfront_cost,
        {{ money('savings_plan_recurring_commitment_for_billing_period') }} as savings_plan_recurring_cost,
        {{ money('savings_plan_net_recurring_commitment_for_billing_period') }} as savings_plan_net_recurring_cost,
        nullif(split_line_item_parent_resource_id, '') as parent_resource_id,
        {{ money('split_line_item_split_cost') }} as split_cost,
        {{ money('split_line_item_net_split_cost') }} as net_split_cost,
        {{ money('split_line_item_unused_cost') }} as unused_split_cost,
        {{ money('split_line_item_net_unused_cost') }} as net_unused_split_cost,
        coalesce(nullif(resource_tags, ''), '{}') as tags
    from source

)

select * from renamed
