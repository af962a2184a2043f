-- Grain: one carbon factor of one place over one stretch of UTC days. What it does not name of a place (NULL) is any.
with

source as (

    select * from {{ source('carbon_factors', 'factors') }}

),

renamed as (

    select
        _source as source,
        lower(nullif(provider, '')) as provider,
        lower(nullif(region, '')) as region,
        lower(nullif(zone, '')) as zone,
        lower(nullif(cluster, '')) as cluster,
        cast(valid_from as date) as valid_from,
        cast(valid_to as date) as valid_to,
        cast({{ quantity('grams_co2e_per_kwh') }} as decimal(38, 6)) as grams_co2e_per_kwh,
        cast({{ quantity('pue') }} as decimal(38, 6)) as pue,
        stated_source,
        _delivery_id as delivery_id,
        _file as file_name,
        _row as row_number
    from source

)

select * from renamed
