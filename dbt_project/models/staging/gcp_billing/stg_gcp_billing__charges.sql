-- Grain: one charge = one export row net of its discount credits; one more (class credit) where the row carries promotional or free-tier
-- credits, one more (quarantined) where it carries credits of an unknown type, and one more without invoiced money for each share of a
-- commitment's fee that the row's usage used. The first three together are cost + all credits, Google's own net cost.
with

export_rows as (

    select * from {{ ref('base_gcp_billing__rows') }}

),

credit_sums as (

    select * from {{ ref('base_gcp_billing__credits') }}

),

skus as (

    select * from {{ ref('base_gcp_billing__skus') }}

),

adjustment_types as (

    select * from {{ ref('gcp_adjustment_types') }}

),

merged_tags as (

    select * from {{ ref('base_gcp_billing__tags') }}

),

reservations as (

    select * from {{ ref('base_gcp_billing__reservations') }}

),

commitments as (

    select * from {{ ref('base_gcp_billing__commitments') }}

),

-- what one export row can become
parts as (

    select 'charge' as part
    union all
    select 'credit'
    union all
    select 'unknown_credit'
    union all
    select 'amortisation'

),

described as (

    select
        export_rows.*,
        skus.service_category,
        skus.is_fee,
        skus.is_spend_fee,
        skus.is_spot,
        skus.compute_kind as sku_kind,
        coalesce(credit_sums.discount_cost, 0) as discount_cost,
        coalesce(credit_sums.credit_cost, 0) as credit_cost,
        coalesce(credit_sums.unknown_cost, 0) as unknown_cost,
        credit_sums.unknown_type,
        commitments.used_fee_cost,
        commitments.amortised_cost,
        coalesce(credit_sums.resource_commitment_cost, 0) + coalesce(credit_sums.spend_commitment_cost, 0) as commitment_cost,
        coalesce(credit_sums.resource_commitment_cost, 0) as resource_commitment_cost,
        coalesce(adjustment_types.is_correction, false) as is_correction,
        adjustment_types.adjustment_type is null and export_rows.adjustment_type is not null as is_unknown_adjustment,
        -- a repriced row that repeats the quantity it corrects is no second usage, unless the first was negated as a whole
        coalesce(adjustment_types.counts_usage or export_rows.adjustment_mode like 'COMPLETE_NEGATION%', export_rows.adjustment_type is null) as counts_usage,
        reservations.reservation_name,
        -- without the label: capacity on no instance
        reservations.reservation_name is not null
            and coalesce(reservations.is_unused, export_rows.resource_global_name not like '%/instances/%', false) as is_unused_reservation,
        coalesce(merged_tags.merged_tags, case
            when export_rows.labels <> '{}' then export_rows.labels
            when export_rows.tags <> '{}' then export_rows.tags
            else export_rows.project_labels
        end) as all_tags
    from export_rows
    left join credit_sums on export_rows.credits = credit_sums.credits
    left join skus
        on export_rows.service_id is not distinct from skus.service_id
        and export_rows.service_description is not distinct from skus.service_description
        and export_rows.sku_description is not distinct from skus.sku_description
    left join adjustment_types on export_rows.adjustment_type = adjustment_types.adjustment_type
    left join merged_tags
        on export_rows.labels = merged_tags.labels
        and export_rows.tags = merged_tags.tags
        and export_rows.project_labels = merged_tags.project_labels
    left join reservations on export_rows.labels = reservations.labels and export_rows.system_labels = reservations.system_labels
    left join commitments
        on export_rows.delivery_id = commitments.delivery_id
        and export_rows.file_name = commitments.file_name
        and export_rows.row_number = commitments.row_number

),

parted as (

    select described.*, parts.part
    from described
    inner join parts
        on parts.part = 'charge'
        or (parts.part = 'credit' and described.credit_cost <> 0)
        or (parts.part = 'unknown_credit' and described.unknown_type is not null)
        or (parts.part = 'amortisation' and described.amortised_cost is not null)

),

typed as (

    select
        *,
        case part when 'charge' then cost_type when 'amortisation' then 'CommitmentAmortisation' else 'credit' end as line_item_type,
        case
            when part in ('credit', 'unknown_credit') then 'Credit'
            when part = 'amortisation' then 'Usage'
            when cost_type = 'tax' then 'Tax'
            when is_fee then 'Purchase'
            when adjustment_type is not null and not is_correction and not is_unknown_adjustment then 'Credit'
            when cost_type in ('adjustment', 'rounding_error') then 'Adjustment'
            else 'Usage'
        end as charge_category,
        case
            when part = 'credit' then 'credit'
            when part in ('unknown_credit', 'amortisation') then null
            when cost_type = 'tax' then 'tax_and_fees'
            when cost_type = 'rounding_error' then 'rounding'
            when adjustment_type is not null and not is_correction then 'credit'
            when cost_type = 'adjustment' and adjustment_type is null then 'credit'
            when is_fee or is_unused_reservation then 'unused_commitment'
        end as cost_class,
        case
            when usage_start is null then 'unreadable usage start'
            when part = 'unknown_credit' then concat('unknown credit type ', unknown_type)
            when part = 'charge' and is_unknown_adjustment then concat('unknown adjustment type ', adjustment_type)
        end as quarantine_reason,
        cast(case part when 'charge' then cost + discount_cost when 'credit' then credit_cost when 'unknown_credit' then unknown_cost else 0 end
            as decimal(38, 12)) as net_cost,
        cast(case
            when part <> 'charge' or is_fee then 0
            when cost_type = 'regular' then cost_at_list
            else coalesce(cost_at_list, cost)
        end as decimal(38, 12)) as list_cost,
        cast(case
            when part <> 'charge' or is_fee then 0
            when cost_at_default is not null then cost_at_default
            when commitment_model is null then cost
        end as decimal(38, 12)) as contracted_cost
    from parted

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
        service_category,
        sku_description as sku,
        region,
        coalesce(regexp_extract(resource_global_name, '[^/]+$'), regexp_extract(resource_name, '[^/]+$')) as resource_id,
        regexp_extract(resource_name, '[^/]+$') as resource_alias,
        line_item_type,
        charge_category,
        case when is_correction and part <> 'amortisation' then 'Correction' end as charge_class,
        quarantine_reason,
        cost_class,
        case
            when cost_type in ('tax', 'rounding_error') then null
            when is_unused_reservation then 'reservation'
            when is_spot then 'spot'
            when is_fee or commitment_cost <> 0 or commitment_model is not null then 'committed'
            when discount_cost <> 0 then 'discounted'
            else 'on_demand'
        end as pricing_category,
        case when is_unused_reservation then reservation_name when is_fee then subscription_id end as commitment_id,
        case when cost_class is null and line_item_type <> 'credit' then sku_kind end as compute_kind,
        case when cost_class is null and part = 'charge' and counts_usage and sku_kind in ('gpu', 'core') then
            case when usage_unit = 'hours' then cast(usage_amount * 3600 as decimal(38, 12)) else usage_amount end
        end as compute_seconds,
        case when part = 'charge' then usage_amount end as usage_quantity,
        usage_unit,
        currency,
        net_cost as source_cost,
        net_cost,
        net_cost as billed_cost,
        cast(case part when 'charge' then net_cost - coalesce(used_fee_cost, 0) when 'amortisation' then amortised_cost else net_cost end
            as decimal(38, 12)) as effective_cost,
        list_cost,
        contracted_cost,
        cast(case
            when part = 'amortisation' then amortised_cost
            when part = 'charge' and not is_fee and cost_class is null and commitment_model is not null then net_cost
        end as decimal(38, 12)) as covered_cost,
        -- what commitments took off, at list prices; usage of the newer model is covered as a whole
        cast(case
            when part <> 'charge' or is_fee or cost_class is not null then null
            when commitment_model is not null then list_cost
            when commitment_cost <> 0 then {{ scaled_amount('list_cost', '-commitment_cost', 'cost') }}
        end as decimal(38, 12)) as covered_list_cost,
        case
            when part in ('credit', 'unknown_credit') or is_unused_reservation then null
            when is_fee then case when is_spend_fee then 'committed_use_spend' else 'committed_use_resource' end
            when part = 'charge' and commitment_model is not null then 'committed_use_spend'
            when commitment_cost = 0 then null
            when resource_commitment_cost = commitment_cost then 'committed_use_resource'
            when resource_commitment_cost = 0 then 'committed_use_spend'
            else 'committed_use'
        end as commitment_kind,
        cast(null as timestamp) as commitment_ends_at,
        all_tags as tags,
        case when part = 'amortisation' then 'share of the day''s commitment fees' end as charge_description,
        delivery_id,
        file_name,
        row_number
    from typed

)

select * from charges
