-- Grain: day x source x billing period x currency x account x invoice: what the buckets hold, by kind of charge, and what the ledger placed.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

buckets as (

    select
        usage_date, source, billing_period, currency, account_id, invoice_id,
        max(case when line_item_type = 'RateCard' then 1 else 0 end) = 1 as is_rated,
        sum(charge_count) as charge_count,
        sum(source_cost) as source_cost,
        {%- for basis in allocated_bases() %}
        sum({{ basis }}) as {{ basis }},
        {%- endfor %}
        sum(case when fixed_cost_class = 'commitment_true_up' then effective_cost else 0 end) as commitment_true_up_cost,
        sum(case when fixed_cost_class = 'unused_commitment' then effective_cost else 0 end) as unused_commitment_cost,
        sum(case when charge_category = 'Tax' then billed_cost else 0 end) as tax_cost,
        sum(case when fixed_cost_class = 'credit' then billed_cost else 0 end) as credit_cost,
        sum(case when fixed_cost_class = 'rounding' then billed_cost else 0 end) as rounding_cost,
        sum(case when {{ is_support('service', 'line_item_type') }} then billed_cost else 0 end) as support_cost,
        sum(case when charge_class = 'Correction' then billed_cost else 0 end) as correction_cost,
        sum(case when line_item_type in ('SavingsPlanCoveredUsage', 'SavingsPlanNegation') then source_cost else 0 end) as unmatched_negation
    from {{ ref('int_charge_buckets') }}
    group by usage_date, source, billing_period, currency, account_id, invoice_id

),

ledger as (

    select
        usage_date, source, billing_period, currency, account_id, invoice_id,
        {%- for basis in allocated_bases() %}
        sum({{ basis }}) as {{ basis }},
        {%- endfor %}
        sum(case when cost_class = 'quarantined' then effective_cost else 0 end) as quarantined_cost
    from {{ ref('int_bucket_allocations') }}
    group by usage_date, source, billing_period, currency, account_id, invoice_id

),

reconciled as (

    select
        buckets.usage_date,
        buckets.source,
        buckets.billing_period,
        buckets.currency,
        buckets.account_id,
        buckets.invoice_id,
        buckets.is_rated,
        cast(buckets.charge_count as bigint) as charge_count,
        {%- for column in ['source_cost'] + allocated_bases() + ['commitment_true_up_cost', 'unused_commitment_cost', 'tax_cost', 'credit_cost', 'rounding_cost', 'support_cost', 'correction_cost', 'unmatched_negation'] %}
        cast(buckets.{{ column }} as decimal(38, 12)) as {{ column }},
        {%- endfor %}
        cast(coalesce(ledger.effective_cost, 0) as decimal(38, 12)) as allocated_effective_cost,
        cast(coalesce(ledger.quarantined_cost, 0) as decimal(38, 12)) as quarantined_cost,
        cast(
            {%- for basis in allocated_bases() %}
            abs(coalesce(buckets.{{ basis }}, 0) - coalesce(ledger.{{ basis }}, 0)){% if not loop.last %} +{% endif %}
            {%- endfor %} as decimal(38, 12)
        ) as allocation_residual
    from buckets
    left join ledger
        on buckets.usage_date = ledger.usage_date
        and buckets.source = ledger.source
        and buckets.billing_period = ledger.billing_period
        and buckets.currency is not distinct from ledger.currency
        and buckets.account_id is not distinct from ledger.account_id
        and buckets.invoice_id is not distinct from ledger.invoice_id

)

select * from reconciled
