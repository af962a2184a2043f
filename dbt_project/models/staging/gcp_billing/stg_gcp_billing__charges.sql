-- Grain: one charge = one export row net of its discount credits, and one more charge (class credit) where the row carries
-- promotional or free-tier credits. Both together are cost + all credits, Google's own net cost.
with

export_rows as (

    select * from {{ ref('base_gcp_billing__rows') }}

),

credit_sums as (

    select * from {{ ref('base_gcp_billing__credits') }}

),

netted as (

    select
        export_rows.*,
        cast(coalesce(credit_sums.discount_cost, 0) as decimal(38, 12)) as discount_cost,
        cast(coalesce(credit_sums.credit_cost, 0) as decimal(38, 12)) as credit_cost,
        case
            when lower(service_description) <> 'compute engine' then null
            when lower(sku_description) like 'commitment%' then null
            when lower(sku_description) like '% gpu %' or lower(sku_description) like '% gpu' then 'gpu'
            when lower(sku_description) like '%instance core%' then 'core'
            when lower(sku_description) like '%instance ram%' then 'ram'
            when lower(sku_description) like '%local ssd%' then 'local_ssd'
        end as compute_kind
    from export_rows
    left join credit_sums on export_rows.credits = credit_sums.credits

),

charge_rows as (

    select
        *,
        case cost_type when 'tax' then 'Tax' when 'adjustment' then 'Adjustment' when 'rounding_error' then 'Adjustment' else 'Usage' end as charge_category,
        case cost_type when 'tax' then 'tax_and_fees' when 'rounding_error' then 'rounding' when 'adjustment' then 'credit' end as cost_class,
        cost_type as line_item_type,
        cast(cost + discount_cost as decimal(38, 12)) as net_cost,
        coalesce(cost_at_list, cost) as row_list_cost
    from netted

),

credit_rows as (

    select
        *,
        'Credit' as charge_category,
        'credit' as cost_class,
        'credit' as line_item_type,
        credit_cost as net_cost,
        cast(0 as decimal(38, 12)) as row_list_cost
    from netted
    where credit_cost <> 0

),

both_rows as (

    select * from charge_rows
    union all
    select * from credit_rows

),

charges as (

    select
        source,
        'gcp' as provider,
        cast(concat(substr(invoice_month, 1, 4), '-', substr(invoice_month, 5, 2), '-01') as date) as billing_period,
        cast(null as {{ dbt.type_string() }}) as invoice_id,
        billing_account_id,
        project_id as account_id,
        usage_start,
        usage_end,
        service_description as service,
        cast(null as {{ dbt.type_string() }}) as service_category,
        sku_description as sku,
        region,
        coalesce(regexp_extract(resource_global_name, '[^/]+$'), regexp_extract(resource_name, '[^/]+$')) as resource_id,
        regexp_extract(resource_name, '[^/]+$') as resource_alias,
        line_item_type,
        charge_category,
        case when adjustment_type is not null then 'Correction' end as charge_class,
        case when usage_start is null then 'unreadable usage start' end as quarantine_reason,
        cost_class,
        case
            when lower(sku_description) like '%spot%' or lower(sku_description) like '%preemptible%' then 'spot'
            when discount_cost <> 0 then 'discounted'
            else 'on_demand'
        end as pricing_category,
        cast(null as {{ dbt.type_string() }}) as commitment_id,
        case when line_item_type = 'regular' then compute_kind end as compute_kind,
        case when line_item_type = 'regular' and adjustment_type is null and compute_kind in ('gpu', 'core') then
            case when usage_unit = 'hours' then cast(usage_amount * 3600 as decimal(38, 12)) else usage_amount end
        end as compute_seconds,
        usage_amount as usage_quantity,
        usage_unit,
        currency,
        net_cost as source_cost,
        net_cost,
        net_cost as billed_cost,
        net_cost as effective_cost,
        row_list_cost as list_cost,
        cast(null as decimal(38, 12)) as contracted_cost,
        case when labels = '{}' then project_labels else labels end as tags,
        cast(null as {{ dbt.type_string() }}) as charge_description,
        delivery_id,
        file_name,
        row_number
    from both_rows

)

select * from charges
