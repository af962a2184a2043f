-- Grain: one revenue rate of an endpoint, or of one model behind it, from one UTC day on. valid_to is filled where the same endpoint and
-- model have a later rate, so that a change of a superseded rate touches its own days only.
with

source as (

    select * from {{ source('revenue', 'rates') }}

),

renamed as (

    select
        _source as source,
        endpoint,
        nullif(model, '') as model,
        {{ money('revenue_per_1k_usd') }} as revenue_per_1k_usd,
        cast(valid_from as date) as valid_from,
        {{ held_until('endpoint, model') }} as valid_to,
        _delivery_id as delivery_id,
        _file as file_name,
        _row as row_number
    from source

)

select * from renamed
