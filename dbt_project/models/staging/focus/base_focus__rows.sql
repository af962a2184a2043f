-- Grain: one row of a FOCUS Cost and Usage file as delivered. Renamed and cast, nothing decided.
with

source as (

    select * from {{ source('focus', 'rows') }}

),

renamed as (

    select
        _source as source,
        _delivery_id as delivery_id,
        _file as file_name,
        _row as row_number,
        provider_option,
        coalesce(service_provider_name, provider_name) as provider_name,
        cast(billing_period_start as date) as billing_period,
        invoice_id,
        billing_account_id,
        sub_account_id,
        charge_period_start as usage_start,
        charge_period_end as usage_end,
        charge_category,
        charge_class,
        charge_frequency,
        charge_description,
        service_name,
        service_category,
        service_subcategory,
        x_service_code as service_code,
        x_usage_type as usage_type,
        x_operation as operation,
        sku_id,
        sku_meter,
        coalesce(region_id, region_name, availability_zone) as region,
        resource_id as full_resource_id,
        resource_name,
        resource_type,
        pricing_category,
        commitment_discount_id as commitment_id,
        commitment_discount_category as commitment_category,
        commitment_discount_status as commitment_status,
        capacity_reservation_id,
        capacity_reservation_status,
        contract_applied,
        {{ quantity('consumed_quantity') }} as consumed_quantity,
        consumed_unit,
        {{ quantity('pricing_quantity') }} as pricing_quantity,
        pricing_unit,
        billing_currency as currency,
        {{ money('billed_cost') }} as billed_cost,
        {{ money('effective_cost') }} as effective_cost,
        {{ money('list_cost') }} as list_cost,
        {{ money('contracted_cost') }} as contracted_cost,
        coalesce(nullif(allocated_tags, '{}'), tags, '{}') as tags
    from source

)

select * from renamed
