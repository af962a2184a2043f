-- Grain: node x hour x price of a rate card that is the bill (own hardware, small clouds), as a charge: the seconds of the hour that
-- the inventory has the node and the price holds, times the price, rounded once.
with

days as (

    select * from {{ ref('int_days') }}

),

hours as (

    select days.usage_date, days.day_from + slots.slot_number * 3600 as hour_from
    from days
    inner join {{ ref('int_slot_numbers') }} as slots on slots.slot_number < 24

),

nodes as (

    select * from {{ ref('int_nodes') }}

),

rates as (

    select * from {{ ref('int_node_rates') }}
    where is_bill

),

timed as (

    select
        rates.usage_date,
        rates.node_key,
        hours.hour_from,
        rates.rate_rule,
        rates.rate_unit,
        rates.hourly_rate,
        rates.currency,
        rates.source,
        rates.provider,
        rates.delivery_id,
        rates.file_name,
        rates.row_number,
        sum(least(rates.to_second, hours.hour_from + 3600) - greatest(rates.from_second, hours.hour_from)) as billed_seconds,
        sum(
            (least(rates.to_second, hours.hour_from + 3600) - greatest(rates.from_second, hours.hour_from))
            * case when rates.rate_unit = 'gpu_hour' then rates.gpu_count else 1 end
        ) as unit_seconds
    from rates
    inner join hours
        on rates.usage_date = hours.usage_date
        and rates.from_second < hours.hour_from + 3600
        and rates.to_second > hours.hour_from
    group by
        rates.usage_date, rates.node_key, hours.hour_from, rates.rate_rule, rates.rate_unit, rates.hourly_rate, rates.currency, rates.source,
        rates.provider, rates.delivery_id, rates.file_name, rates.row_number

),

counted as (

    select
        timed.usage_date,
        timed.node_key,
        timed.hour_from,
        timed.rate_rule,
        timed.rate_unit,
        timed.hourly_rate,
        timed.currency,
        timed.source,
        timed.provider,
        timed.delivery_id,
        timed.file_name,
        timed.row_number,
        timed.billed_seconds,
        nodes.resource_id,
        nodes.zone,
        nodes.labels,
        {{ wide_int('timed.unit_seconds') }} as unit_seconds,
        {{ allocation_units('timed.hourly_rate') }} as rate_units
    from timed
    inner join nodes on timed.usage_date = nodes.usage_date and timed.node_key = nodes.node_key

),

priced as (

    select
        *,
        {{ amount_of_units(half_even_quotient('(rate_units * unit_seconds)', '3600')) }} as cost,
        {{ amount_of_units(half_even_quotient('(unit_seconds * ' ~ wide_int('1000000000000') ~ ')', '3600')) }} as unit_hours
    from counted

),

charges as (

    select
        source,
        coalesce(provider, 'rate_card') as provider,
        cast(date_trunc('month', usage_date) as date) as billing_period,
        cast(null as {{ dbt.type_string() }}) as invoice_id,
        cast(null as {{ dbt.type_string() }}) as billing_account_id,
        cast(null as {{ dbt.type_string() }}) as account_id,
        {{ timestamp_of('hour_from') }} as usage_start,
        {{ timestamp_of('hour_from + 3600') }} as usage_end,
        'Rate card' as service,
        'Compute' as service_category,
        rate_rule as sku,
        zone as region,
        resource_id,
        cast(null as {{ dbt.type_string() }}) as resource_alias,
        'RateCard' as line_item_type,
        'Usage' as charge_category,
        cast(null as {{ dbt.type_string() }}) as charge_class,
        cast(null as {{ dbt.type_string() }}) as quarantine_reason,
        cast(null as {{ dbt.type_string() }}) as cost_class,
        'rate_card' as pricing_category,
        cast(null as {{ dbt.type_string() }}) as commitment_id,
        'instance' as compute_kind,
        cast(billed_seconds as decimal(38, 12)) as compute_seconds,
        unit_hours as usage_quantity,
        rate_unit as usage_unit,
        currency,
        cost as source_cost,
        cost as net_cost,
        cost as billed_cost,
        cost as effective_cost,
        cost as list_cost,
        cost as contracted_cost,
        cast(null as decimal(38, 12)) as covered_cost,
        cast(null as decimal(38, 12)) as covered_list_cost,
        cast(null as {{ dbt.type_string() }}) as commitment_kind,
        cast(null as timestamp) as commitment_ends_at,
        labels as tags,
        rate_rule as charge_description,
        delivery_id,
        file_name,
        row_number
    from priced

)

select {{ charge_columns() | join(', ') }} from charges
