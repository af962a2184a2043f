-- Grain: one price of a rate card over its validity.
with

source as (

    select * from {{ source('rate_card', 'rates') }}

),

renamed as (

    select
        _source as source,
        provider,
        gpu_model,
        pool,
        rate_unit,
        {{ money('hourly_rate') }} as hourly_rate,
        currency,
        valid_from,
        valid_to,
        is_bill,
        _delivery_id as delivery_id,
        _file as file_name,
        _row as row_number
    from source

)

select * from renamed
