-- Grain: one distinct credits array of the export, with its sums. Never joined row by row to labels (B08): the array is the key, so a
-- charge meets exactly one row here.
with

arrays as (

    select distinct credits from {{ ref('base_gcp_billing__rows') }}
    where credits <> '[]'

),

types as (

    select * from {{ ref('gcp_credit_types') }}

),

elements as (

    select
        element_source as credits,
        {{ json_text('element', 'type') }} as credit_type,
        {{ money(json_text('element', 'amount')) }} as amount
    from {{ json_elements('arrays', 'credits') }} as credit_elements

),

typed as (

    select elements.*, types.effect, coalesce(types.is_commitment, false) as is_commitment
    from elements
    left join types on elements.credit_type = types.credit_type

),

summed as (

    select
        credits,
        sum(case when effect = 'reduces_charge' then amount else 0 end) as discount_cost,
        sum(case when effect = 'credit' then amount else 0 end) as credit_cost,
        sum(case when effect is null then amount else 0 end) as unknown_cost,
        min(case when effect is null then coalesce(credit_type, '(none)') end) as unknown_type,
        -- what commitments took off: for resources (GPUs, cores, memory) and for dollars spent
        sum(case when is_commitment and credit_type = 'COMMITTED_USAGE_DISCOUNT' then amount else 0 end) as resource_commitment_cost,
        sum(case when is_commitment and credit_type <> 'COMMITTED_USAGE_DISCOUNT' then amount else 0 end) as spend_commitment_cost,
        max(case when credit_type = 'FEE_UTILIZATION_OFFSET' then 1 else 0 end) = 1 as has_fee_offset
    from typed
    group by credits

)

select * from summed
