-- Grain: UTC day of measurement x model x model_version x metric x evaluation_set: the last measurement of that day, which holds until the
-- next (valid_to exclusive; NULL: still). All measurements, not the night's alone: what holds today may have been measured at any time.
with

staged as (

    {{ staged('model_quality', model_quality_columns()) }}

),

ranked as (

    select
        staged.*,
        cast(measured_at as date) as valid_from,
        row_number() over (
            partition by cast(measured_at as date), model, model_version, metric, evaluation_set
            order by measured_at desc, source, file_name, row_number
        ) as recency
    from staged

),

final as (

    select
        valid_from,
        lead(valid_from) over (partition by model, model_version, metric, evaluation_set order by valid_from) as valid_to,
        model,
        model_version,
        run_id,
        metric,
        evaluation_set,
        cast(quality as decimal(38, 12)) as quality,
        is_higher_better,
        measured_at
    from ranked
    where recency = 1

)

select * from final
