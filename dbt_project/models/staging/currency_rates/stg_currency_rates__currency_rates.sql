-- Grain: one exchange rate of a currency from one UTC day on. valid_to is filled where the currency has a later rate, so that a change
-- of a superseded rate touches its own days only.
with

source as (

    select * from {{ source('currency_rates', 'rates') }}

),

renamed as (

    select
        _source as source,
        currency,
        {{ money('rate_to_usd') }} as rate_to_usd,
        cast(valid_from as date) as valid_from,
        {{ held_until('currency') }} as valid_to,
        _delivery_id as delivery_id,
        _file as file_name,
        _row as row_number
    from source

)

select * from renamed
