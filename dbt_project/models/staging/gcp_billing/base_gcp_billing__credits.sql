-- Grain: one distinct credits array of the export, with its two sums. Never joined row by row to labels (B08): the array is the
-- key, so a charge meets exactly one row here.
with

arrays as (

    select distinct credits from {{ ref('base_gcp_billing__rows') }}

),

elements as (

    select element_source as credits, {{ json_text('element', 'type') }} as credit_type, {{ money(json_text('element', 'amount')) }} as amount
    from {{ json_elements('arrays', 'credits') }} as credit_elements

),

summed as (

    select
        credits,
        sum(case when credit_type in (
            'COMMITTED_USAGE_DISCOUNT', 'COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE', 'SUSTAINED_USAGE_DISCOUNT', 'FEE_UTILIZATION_OFFSET',
            'DISCOUNT', 'RESELLER_MARGIN', 'SUBSCRIPTION_BENEFIT'
        ) then amount else 0 end) as discount_cost,
        sum(case when credit_type in (
            'COMMITTED_USAGE_DISCOUNT', 'COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE', 'SUSTAINED_USAGE_DISCOUNT', 'FEE_UTILIZATION_OFFSET',
            'DISCOUNT', 'RESELLER_MARGIN', 'SUBSCRIPTION_BENEFIT'
        ) then 0 else amount end) as credit_cost
    from elements
    group by credits

)

select * from summed
