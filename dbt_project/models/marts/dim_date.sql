-- Grain: one published UTC day.
select
    usage_date,
    cast(date_trunc('month', usage_date) as date) as month_start,
    cast(extract(year from usage_date) as bigint) as calendar_year,
    cast(extract(month from usage_date) as bigint) as calendar_month,
    cast(extract(day from usage_date) as bigint) as day_of_month
from {{ source('ops', 'published_days') }}
