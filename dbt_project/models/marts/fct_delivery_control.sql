-- Grain: source x delivery x currency: the sum that was taken when the delivery was landed, before and beside every model, against what
-- staging made of it. A residual is money lost or counted twice between the file and the first model.
with

at_the_door as (

    select
        delivery_id,
        source,
        currency,
        sum(row_count) as row_count,
        sum(source_cost) as source_cost,
        sum(conversion_delta) as conversion_delta
    from {{ source('ops', 'control_totals') }}
    group by delivery_id, source, currency

),

staged as (

    select delivery_id, source, currency, sum(source_cost) as source_cost, sum(row_count) as charge_count
    from {{ ref('int_control_totals') }}
    group by delivery_id, source, currency

),

deliveries as (

    select * from {{ source('ops', 'deliveries') }}

),

final as (

    select
        deliveries.source,
        deliveries.kind,
        deliveries.period,
        deliveries.delivery_id,
        coalesce(at_the_door.currency, staged.currency) as currency,
        deliveries.finality,
        deliveries.as_of,
        cast(at_the_door.row_count as bigint) as delivered_rows,
        cast(coalesce(staged.charge_count, 0) as bigint) as charge_count,
        cast(at_the_door.source_cost as decimal(38, 12)) as delivered_cost,
        cast(coalesce(staged.source_cost, 0) as decimal(38, 12)) as staged_cost,
        cast(at_the_door.conversion_delta as decimal(38, 24)) as conversion_delta,
        cast(at_the_door.source_cost - coalesce(staged.source_cost, 0) as decimal(38, 12)) as staging_residual
    from at_the_door
    full outer join staged
        on at_the_door.delivery_id = staged.delivery_id
        and at_the_door.source = staged.source
        and at_the_door.currency is not distinct from staged.currency
    inner join deliveries
        on coalesce(at_the_door.delivery_id, staged.delivery_id) = deliveries.delivery_id
        and coalesce(at_the_door.source, staged.source) = deliveries.source

)

select * from final
