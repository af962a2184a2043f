-- Grain: day x price of a rate card that holds on some of its seconds: what it prices, in words to compare, and its dollars.
with

days as (

    select * from {{ ref('int_days') }}

),

staged as (

    {{ staged('rates', rate_columns()) }}

),

currency_rates as (

    select * from {{ ref('int_currency_rates') }}

),

dated as (

    select
        days.usage_date,
        staged.*,
        greatest(coalesce({{ epoch_seconds('staged.valid_from') }}, 0), days.day_from) as from_second,
        least(coalesce({{ epoch_seconds('staged.valid_to') }}, 9223372036), days.day_to) as to_second,
        coalesce({{ epoch_seconds('staged.valid_from') }}, 0) as since_second,
        lower(staged.provider) as provider_name,
        lower(staged.pool) as pool_name,
        {{ model_words('staged.gpu_model') }} as model_name
    from staged
    inner join days
        on coalesce({{ epoch_seconds('staged.valid_from') }}, 0) < days.day_to
        and coalesce({{ epoch_seconds('staged.valid_to') }}, 9223372036) > days.day_from

),

named as (

    -- a colon would read as the usage type of an accelerated instance
    select
        dated.*,
        replace(concat(
            dated.source, '/', coalesce(dated.provider, 'any'), '/', coalesce(dated.pool, 'any'), '/', coalesce(dated.gpu_model, 'any'), '/',
            dated.rate_unit, '/', coalesce(substring(cast(dated.valid_from as {{ dbt.type_string() }}), 1, 16), 'always')
        ), ':', '.') as rate_rule,
        case when dated.currency = 'USD' then cast(1 as decimal(38, 12)) else currency_rates.rate_to_usd end as exchange_rate
    from dated
    left join currency_rates
        on dated.currency = currency_rates.currency
        and dated.usage_date >= currency_rates.valid_from
        and dated.usage_date < currency_rates.valid_to

),

rules as (

    select *, {{ converted_money('hourly_rate', 'exchange_rate') }} as hourly_rate_usd
    from named

)

select * from rules
