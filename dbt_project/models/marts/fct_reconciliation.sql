-- Grain: source x billing period (invoice month) x usage month x currency x account x invoice. `delivered` is summed from the deliveries,
-- for days that no night has asked for too; it must be what the published days hold plus what lies on days that are not published.
with

days as (

    select *, cast({{ dbt.date_trunc('month', 'usage_date') }} as date) as usage_month
    from {{ ref('int_reconciled_days') }}

),

periods as (

    select * from {{ ref('int_billing_periods') }}

),

-- control totals by delivery and day; of a rate card that is the bill there is nothing else to compare with than itself
delivered_days as (

    select
        controls.source, controls.billing_period, controls.currency, controls.account_id, controls.invoice_id,
        cast({{ dbt.date_trunc('month', 'controls.usage_date') }} as date) as usage_month,
        controls.row_count,
        controls.source_cost,
        case when published.usage_date is null then controls.source_cost else 0 end as unpublished_cost
    from {{ ref('int_control_totals') }} as controls
    inner join {{ source('ops', 'deliveries') }} as deliveries on controls.delivery_id = deliveries.delivery_id and controls.source = deliveries.source
    left join {{ source('ops', 'published_days') }} as published on controls.usage_date = published.usage_date
    union all
    select source, billing_period, currency, account_id, invoice_id, usage_month, charge_count, source_cost, 0
    from days
    where is_rated

),

delivered as (

    select
        source, billing_period, usage_month, currency, account_id, invoice_id,
        sum(row_count) as row_count,
        sum(source_cost) as source_cost,
        sum(unpublished_cost) as unpublished_cost
    from delivered_days
    group by source, billing_period, usage_month, currency, account_id, invoice_id

),

published as (

    select
        source, billing_period, usage_month, currency, account_id, invoice_id,
        {%- for column in ['source_cost'] + allocated_bases() + ['commitment_true_up_cost', 'unused_commitment_cost', 'tax_cost', 'credit_cost', 'rounding_cost', 'support_cost', 'correction_cost', 'unmatched_negation', 'allocated_effective_cost', 'quarantined_cost', 'allocation_residual'] %}
        sum({{ column }}) as {{ column }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from days
    group by source, billing_period, usage_month, currency, account_id, invoice_id

),

final as (

    select
        coalesce(delivered.source, published.source) as source,
        coalesce(delivered.billing_period, published.billing_period) as billing_period,
        coalesce(delivered.usage_month, published.usage_month) as usage_month,
        coalesce(delivered.currency, published.currency) as currency,
        coalesce(delivered.account_id, published.account_id) as account_id,
        coalesce(delivered.invoice_id, published.invoice_id) as invoice_id,
        coalesce(periods.finality, 'provisional') as finality,
        periods.as_of,
        cast(coalesce(delivered.row_count, 0) as bigint) as delivered_rows,
        cast(coalesce(delivered.source_cost, 0) as decimal(38, 12)) as delivered_cost,
        cast(coalesce(delivered.unpublished_cost, 0) as decimal(38, 12)) as unpublished_cost,
        cast(coalesce(published.source_cost, 0) as decimal(38, 12)) as published_source_cost,
        cast(coalesce(delivered.source_cost, 0) - coalesce(delivered.unpublished_cost, 0) - coalesce(published.source_cost, 0) as decimal(38, 12)) as delivery_residual,
        cast(coalesce(published.net_cost, 0) as decimal(38, 12)) as net_cost_usd,
        cast(coalesce(published.billed_cost, 0) as decimal(38, 12)) as billed_cost_usd,
        cast(coalesce(published.effective_cost, 0) as decimal(38, 12)) as effective_cost_usd,
        cast(published.list_cost as decimal(38, 12)) as list_cost_usd,
        cast(published.contracted_cost as decimal(38, 12)) as contracted_cost_usd,
        cast(coalesce(published.effective_cost, 0) - coalesce(published.commitment_true_up_cost, 0) as decimal(38, 12)) as amortised_cost_usd,
        cast(coalesce(published.commitment_true_up_cost, 0) as decimal(38, 12)) as commitment_true_up_usd,
        cast(coalesce(published.effective_cost, 0) - coalesce(published.billed_cost, 0) as decimal(38, 12)) as amortisation_residual_usd,
        cast(coalesce(published.unmatched_negation, 0) as decimal(38, 12)) as unmatched_negation,
        cast(coalesce(published.unused_commitment_cost, 0) as decimal(38, 12)) as unused_commitment_usd,
        cast(coalesce(published.tax_cost, 0) as decimal(38, 12)) as tax_cost_usd,
        cast(coalesce(published.support_cost, 0) as decimal(38, 12)) as support_cost_usd,
        cast(coalesce(published.credit_cost, 0) as decimal(38, 12)) as credit_cost_usd,
        cast(coalesce(published.rounding_cost, 0) as decimal(38, 12)) as rounding_cost_usd,
        cast(coalesce(published.correction_cost, 0) as decimal(38, 12)) as correction_cost_usd,
        cast(coalesce(published.allocated_effective_cost, 0) - coalesce(published.quarantined_cost, 0) as decimal(38, 12)) as attributed_cost_usd,
        cast(coalesce(published.quarantined_cost, 0) as decimal(38, 12)) as quarantined_cost_usd,
        cast(coalesce(published.allocation_residual, 0) as decimal(38, 12)) as allocation_residual_usd
    from delivered
    full outer join published
        on delivered.source = published.source
        and delivered.billing_period = published.billing_period
        and delivered.usage_month = published.usage_month
        and delivered.currency is not distinct from published.currency
        and delivered.account_id is not distinct from published.account_id
        and delivered.invoice_id is not distinct from published.invoice_id
    left join periods
        on coalesce(delivered.source, published.source) = periods.source
        and coalesce(delivered.billing_period, published.billing_period) = periods.billing_period

)

select * from final
