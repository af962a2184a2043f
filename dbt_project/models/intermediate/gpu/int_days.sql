-- Grain: one UTC day of the night, with its first and last second (half open) since 1970.
select
    usage_date,
    {{ epoch_seconds('cast(usage_date as timestamp)') }} as day_from,
    {{ epoch_seconds('cast(usage_date as timestamp)') }} + 86400 as day_to
from {{ source('ops', 'dirty_days') }}
