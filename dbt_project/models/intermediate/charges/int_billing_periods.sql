-- Grain: source x billing period: whether its bill may still change, and how new what we have of it is.
with

controls as (

    select distinct source, billing_period, delivery_id from {{ ref('int_control_totals') }}

),

deliveries as (

    select * from {{ source('ops', 'deliveries') }}

),

newest as (

    select source, max(as_of) as newest_as_of from deliveries group by source

),

joined as (

    select
        controls.source,
        controls.billing_period,
        deliveries.kind,
        deliveries.finality,
        deliveries.as_of,
        newest.newest_as_of
    from controls
    inner join deliveries on controls.delivery_id = deliveries.delivery_id and controls.source = deliveries.source
    inner join newest on controls.source = newest.source

),

periods as (

    select
        source,
        billing_period,
        max(as_of) as as_of,
        case
            when max(case when finality = 'final' then 0 else 1 end) = 0 then 'final'
            -- Google's export grows day by day and marks nothing: an invoice month is closed once the export has passed it by ten days
            when min(kind) = 'gcp_billing'
                and cast(substr(max(newest_as_of), 1, 10) as date) >= cast({{ dbt.dateadd('day', 10, dbt.dateadd('month', 1, 'billing_period')) }} as date)
                then 'final'
            else 'provisional'
        end as finality
    from joined
    group by source, billing_period

)

select * from periods
