-- Grain: one commitment fee row of the export: what it pays for, and whether its net is to be spread over usage. A fee with an offset
-- (FEE_UTILIZATION_OFFSET) is of the newer model: usage is priced with the commitment, and the fee's net is what nobody used.
with

fee_rows as (

    select * from {{ ref('base_gcp_billing__rows') }}
    where {{ gcp_is_commitment_fee('sku_description') }}

),

credit_sums as (

    {{ gcp_credit_sums('fee_rows') }}

),

skus as (

    select * from {{ ref('base_gcp_billing__skus') }}
    where is_fee

),

fees as (

    select
        fee_rows.source, fee_rows.billing_account_id, fee_rows.invoice_month, fee_rows.currency, cast(fee_rows.usage_start as date) as usage_date,
        fee_rows.delivery_id, fee_rows.file_name, fee_rows.row_number, fee_rows.usage_amount, fee_rows.usage_unit,
        case when skus.is_spend_fee then 'spend' else 'resource' end as commitment_kind,
        case when skus.is_spend_fee then skus.spend_family else skus.resource_family end as family,
        -- flexible commitments know no region
        case when skus.is_spend_fee and skus.spend_family = 'spend/flexible' then null else fee_rows.commitment_region end as commitment_region,
        cast(fee_rows.cost + coalesce(credit_sums.discount_cost, 0) as decimal(38, 12)) as fee_cost,
        fee_rows.cost_type = 'regular' and not coalesce(credit_sums.has_fee_offset, false) as is_spread
    from fee_rows
    left join credit_sums on fee_rows.credits = credit_sums.credits
    inner join skus
        on fee_rows.service_id is not distinct from skus.service_id
        and fee_rows.service_description is not distinct from skus.service_description
        and fee_rows.sku_description is not distinct from skus.sku_description

)

select * from fees
