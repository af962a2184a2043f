-- Grain: source x billing period x currency. `delivered` is summed from the delivery itself, without any model between; it must be
-- what the published days hold plus what lies on days that are not published. Every residual must be 0.
with

days as (

    select * from {{ ref('int_reconciled_days') }}

),

delivered as (

    -- control totals by delivery and day, taken at the door
    select
        controls.source,
        controls.billing_period,
        controls.currency,
        min(deliveries.finality) as finality,
        max(deliveries.as_of) as as_of,
        sum(controls.row_count) as row_count,
        sum(controls.source_cost) as source_cost,
        sum(case when days.usage_date is null then controls.source_cost else 0 end) as unpublished_cost
    from {{ ref('int_control_totals') }} as controls
    inner join {{ source('ops', 'deliveries') }} as deliveries on controls.delivery_id = deliveries.delivery_id
    left join {{ source('ops', 'published_days') }} as days on controls.usage_date = days.usage_date
    group by controls.source, controls.billing_period, controls.currency

),

attributed as (

    select
        source,
        billing_period,
        currency,
        sum(charge_count) as charge_count,
        sum(source_cost) as source_cost,
        sum(billed_cost) as billed_cost,
        sum(effective_cost) as effective_cost,
        sum(allocated_effective_cost) as allocated_effective_cost,
        sum(quarantined_cost) as quarantined_cost,
        sum(abs(billed_residual)) as billed_residual,
        sum(abs(effective_residual)) as effective_residual,
        sum(abs(list_residual)) as list_residual
    from days
    group by source, billing_period, currency

),

final as (

    select
        delivered.source,
        delivered.billing_period,
        delivered.currency,
        coalesce(delivered.finality, 'provisional') as finality,
        delivered.as_of,
        cast(delivered.row_count as bigint) as delivered_rows,
        cast(delivered.source_cost as decimal(38, 12)) as delivered_cost_usd,
        cast(delivered.unpublished_cost as decimal(38, 12)) as unpublished_cost_usd,
        cast(coalesce(attributed.source_cost, 0) as decimal(38, 12)) as published_source_cost_usd,
        cast(coalesce(attributed.billed_cost, 0) as decimal(38, 12)) as billed_cost_usd,
        cast(coalesce(attributed.effective_cost, 0) as decimal(38, 12)) as effective_cost_usd,
        cast(coalesce(attributed.allocated_effective_cost, 0) - coalesce(attributed.quarantined_cost, 0) as decimal(38, 12)) as attributed_cost_usd,
        cast(coalesce(attributed.quarantined_cost, 0) as decimal(38, 12)) as quarantined_cost_usd,
        cast(delivered.source_cost - delivered.unpublished_cost - coalesce(attributed.source_cost, 0) as decimal(38, 12)) as delivery_residual_usd,
        cast(coalesce(attributed.billed_residual, 0) + coalesce(attributed.effective_residual, 0) + coalesce(attributed.list_residual, 0)
            as decimal(38, 12)) as allocation_residual_usd
    from delivered
    left join attributed
        on delivered.source = attributed.source
        and delivered.billing_period = attributed.billing_period
        and delivered.currency is not distinct from attributed.currency

)

select * from final
