-- Grain: one exchange rate of a currency from one UTC day on.
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
        cast(valid_to as date) as valid_to,
        _delivery_id as delivery_id,
        _file as file_name,
        _row as row_number
    from source

)

select * from renamed
