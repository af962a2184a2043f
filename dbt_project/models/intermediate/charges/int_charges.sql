-- Grain: one charge of the night's days, in US dollars. The union of every bill; from here on no model knows a provider's format. A
-- view: nobody needs all of its columns, and writing a million wide rows down costs more than reading the few that are needed again.
{{ config(materialized='view') }}

with

staged as (

    {{ staged('charges', charge_columns()) }}
    union all
    select {{ charge_columns() | join(', ') }} from {{ ref('int_rated_charges') }}

),

dated as (

    select
        *,
        coalesce(cast(usage_start as date), billing_period) as usage_date,
        case when quarantine_reason is not null then 'quarantined' else cost_class end as fixed_cost_class
    from staged

),

windowed as (

    -- A charge of at most one day lies in its own window; a longer one (a monthly fee) lies on its first day as a whole.
    select
        *,
        {{ epoch_seconds('coalesce(usage_start, cast(billing_period as timestamp))') }} as window_from,
        {{ epoch_seconds('coalesce(usage_end, usage_start, cast(billing_period as timestamp))') }} as window_to
    from dated
    where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})

),

currency_rates as (

    select * from {{ ref('int_currency_rates') }}

),

rated as (

    -- the rate of the usage day; source_cost stays in the bill's own currency, it is the control total
    select
        windowed.*,
        case when windowed.currency = 'USD' then cast(1 as decimal(38, 12)) else currency_rates.rate_to_usd end as exchange_rate
    from windowed
    left join currency_rates
        on windowed.currency = currency_rates.currency
        and windowed.usage_date >= currency_rates.valid_from
        and windowed.usage_date < currency_rates.valid_to

),

converted as (

    select
        {%- for column in charge_columns() %}
        {%- if column in allocated_bases() + ['covered_cost', 'covered_list_cost'] %}
        {{ converted_money(column, 'exchange_rate') }} as {{ column }},
        {%- else %}
        {{ column }},
        {%- endif %}
        {%- endfor %}
        exchange_rate,
        usage_date,
        fixed_cost_class,
        window_from,
        window_to
    from rated

)

select * from converted
