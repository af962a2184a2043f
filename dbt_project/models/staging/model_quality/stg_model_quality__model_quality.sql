-- Grain: one measurement of one metric of one model version on one evaluation set.
with

source as (

    select * from {{ source('model_quality', 'measurements') }}

),

renamed as (

    select
        _source as source,
        model,
        model_version,
        nullif(run_id, '') as run_id,
        metric,
        evaluation_set,
        {{ quantity('quality') }} as quality,
        is_higher_better,
        measured_at,
        _delivery_id as delivery_id,
        _file as file_name,
        _row as row_number
    from source

)

select * from renamed
