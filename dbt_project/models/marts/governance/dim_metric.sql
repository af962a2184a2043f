-- Grain: one defined figure: metrics.yml as BI reads it.
select
    metric,
    label,
    description,
    numerator,
    denominator,
    cast(scale as bigint) as scale,
    unit,
    is_additive,
    table_name,
    column_name,
    page
from {{ source('policy', 'metrics') }}
