-- Grain: one row of a GCP usage cost export as delivered. Renamed and cast, nothing decided.
with

source as (

    select * from {{ source('gcp_billing', 'rows') }}

),

renamed as (

    select
        _source as source,
        _delivery_id as delivery_id,
        _file as file_name,
        _row as row_number,
        billing_account_id,
        invoice_month,
        coalesce(cost_type, 'regular') as cost_type,
        service_id,
        service_description,
        sku_description,
        usage_start_time as usage_start,
        usage_end_time as usage_end,
        project_id,
        coalesce(nullif(location_zone, ''), nullif(location_region, ''), location_location) as region,
        nullif(location_region, '') as commitment_region,
        nullif(resource_name, '') as resource_name,
        nullif(resource_global_name, '') as resource_global_name,
        nullif(subscription_instance_id, '') as subscription_id,
        nullif(adjustment_info_type, '') as adjustment_type,
        nullif(adjustment_info_mode, '') as adjustment_mode,
        -- Default and 7754-699E-0EBF are the consumption model of everyone without a commitment
        case
            when consumption_model_id = '7754-699E-0EBF' or lower(consumption_model_description) = 'default' then null
            else coalesce(nullif(consumption_model_description, ''), nullif(consumption_model_id, ''))
        end as commitment_model,
        currency,
        {{ quantity('usage_amount') }} as usage_amount,
        usage_unit,
        {{ money('cost') }} as cost,
        {{ money('cost_at_list') }} as cost_at_list,
        {{ money('cost_at_effective_price_default') }} as cost_at_default,
        coalesce(nullif(labels, ''), '{}') as labels,
        coalesce(nullif(system_labels, ''), '{}') as system_labels,
        coalesce(nullif(project_labels, ''), '{}') as project_labels,
        coalesce(nullif(tags, ''), '{}') as tags,
        coalesce(nullif(credits, ''), '[]') as credits
    from source

)

select * from renamed
