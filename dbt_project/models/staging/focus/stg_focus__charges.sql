-- Grain: one charge = one FOCUS row; and one true-up row more for each row of a commitment whose effective cost is not what it bills:
-- effective = billed - effective, so that both rows together cost what the row bills (DECISIONS.md, FOCUS bills).
with

focus_rows as (

    select * from {{ ref('base_focus__classified_rows') }}

),

charges as (

    select
        source,
        provider,
        billing_period,
        invoice_id,
        billing_account_id,
        coalesce(sub_account_id, billing_account_id) as account_id,
        usage_start,
        usage_end,
        coalesce(service_code, service_name) as service,
        service_category,
        coalesce(usage_type, sku_meter, sku_id) as sku,
        region,
        -- the last part of an ARN or of a Google resource name is what inventories know the machine by
        case
            when full_resource_id like 'arn:%:ec2:%' or full_resource_id like '//compute.googleapis.com/%' then regexp_extract(full_resource_id, '[^/]+$')
            else full_resource_id
        end as resource_id,
        resource_name as resource_alias,
        line_item_type,
        charge_category,
        charge_class,
        case
            when not is_known_category then concat('unknown charge category ', coalesce(charge_category, '(none)'))
            when usage_start is null then 'unreadable charge period'
        end as quarantine_reason,
        cost_class,
        case
            when commitment_id is not null and commitment_category = 'Spend' then 'savings_plan'
            when commitment_id is not null and commitment_category = 'Usage' then 'reservation'
            when commitment_id is not null or is_prepayment then 'committed'
            when is_unused_capacity then 'reservation'
            when charge_category <> 'Usage' then null
            when pricing_category = 'Dynamic' or usage_type like '%Spot%' then 'spot'
            else 'on_demand'
        end as pricing_category,
        coalesce(commitment_id, capacity_reservation_id) as commitment_id,
        case when is_known_category then compute_kind end as compute_kind,
        -- a correction changes the price of hours that another row counts
        case
            when is_known_category and charge_class is null and compute_kind in ('instance', 'gpu', 'core') then cast(usage_quantity * unit_seconds as decimal(38, 12))
        end as compute_seconds,
        usage_quantity,
        usage_unit,
        currency,
        cast(billed_cost as decimal(38, 12)) as source_cost,
        cast(billed_cost as decimal(38, 12)) as net_cost,
        cast(billed_cost as decimal(38, 12)) as billed_cost,
        cast(effective_cost as decimal(38, 12)) as effective_cost,
        -- list and contracted prices stand on the usage that a purchase covers, and not a second time on the purchase or on what nobody used (B15)
        cast(case when is_prepayment or is_unused_commitment then 0 else list_cost end as decimal(38, 12)) as list_cost,
        cast(case when is_prepayment or is_unused_commitment then 0 else contracted_cost end as decimal(38, 12)) as contracted_cost,
        tags,
        charge_description,
        delivery_id,
        file_name,
        row_number
    from focus_rows

),

true_ups as (

    select
        source,
        provider,
        billing_period,
        invoice_id,
        billing_account_id,
        coalesce(sub_account_id, billing_account_id) as account_id,
        usage_start,
        usage_end,
        coalesce(service_code, service_name) as service,
        service_category,
        coalesce(usage_type, sku_meter, sku_id) as sku,
        region,
        cast(null as {{ dbt.type_string() }}) as resource_id,
        cast(null as {{ dbt.type_string() }}) as resource_alias,
        'CommitmentTrueUp' as line_item_type,
        'Adjustment' as charge_category,
        cast(null as {{ dbt.type_string() }}) as charge_class,
        case when usage_start is null then 'unreadable charge period' end as quarantine_reason,
        'commitment_true_up' as cost_class,
        case commitment_category when 'Spend' then 'savings_plan' when 'Usage' then 'reservation' else 'committed' end as pricing_category,
        commitment_id,
        cast(null as {{ dbt.type_string() }}) as compute_kind,
        cast(null as decimal(38, 12)) as compute_seconds,
        cast(null as decimal(38, 12)) as usage_quantity,
        cast(null as {{ dbt.type_string() }}) as usage_unit,
        currency,
        cast(0 as decimal(38, 12)) as source_cost,
        cast(0 as decimal(38, 12)) as net_cost,
        cast(0 as decimal(38, 12)) as billed_cost,
        cast(billed_cost - effective_cost as decimal(38, 12)) as effective_cost,
        cast(0 as decimal(38, 12)) as list_cost,
        cast(0 as decimal(38, 12)) as contracted_cost,
        tags,
        concat('True-up of ', line_item_type) as charge_description,
        delivery_id,
        file_name,
        row_number
    from focus_rows
    where may_be_trued_up and billed_cost <> effective_cost

),

final as (

    select * from charges
    union all
    select * from true_ups

)

select * from final
