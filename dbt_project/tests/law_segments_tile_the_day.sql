-- Law of time: the segments of a unit tile its UTC day: each begins where the one before ended, the first at 00:00, the last ends at
-- 24:00. So no second of a unit is missing and none is held twice.
with

days as (

    select * from {{ ref('int_days') }}

),

followed as (

    select
        usage_date,
        unit_key,
        from_second,
        to_second,
        lag(to_second) over (partition by usage_date, unit_key order by from_second, to_second) as previous_to_second,
        lead(from_second) over (partition by usage_date, unit_key order by from_second, to_second) as next_from_second
    from {{ ref('int_gpu_segments') }}

)

select followed.usage_date, followed.unit_key, followed.from_second, followed.to_second
from followed
inner join days on followed.usage_date = days.usage_date
where followed.to_second <= followed.from_second
    or coalesce(followed.previous_to_second, days.day_from) <> followed.from_second
    or coalesce(followed.next_from_second, days.day_to) <> followed.to_second
