-- Law of time: the stretches of a unit tile the time in which it is there (its day, unless a GPU's MIG layout changed): each begins where
-- the one before ended, and in each the shares of its holders sum to the unit. So no second is missing and none is held twice.
with

fleet as (

    select * from {{ ref('int_gpu_fleet') }}

),

stretches as (

    select usage_date, unit_key, from_second, to_second, sum(unit_share) as held_share
    from {{ ref('int_gpu_segments') }}
    group by usage_date, unit_key, from_second, to_second

),

followed as (

    select
        *,
        lag(to_second) over (partition by usage_date, unit_key order by from_second, to_second) as previous_to_second,
        lead(from_second) over (partition by usage_date, unit_key order by from_second, to_second) as next_from_second
    from stretches

)

select followed.usage_date, followed.unit_key, followed.from_second, followed.to_second
from followed
left join fleet
    on followed.usage_date = fleet.usage_date
    and followed.unit_key = fleet.unit_key
    and followed.from_second >= fleet.from_second
    and followed.from_second < fleet.to_second
where followed.to_second <= followed.from_second
    or fleet.unit_key is null
    or followed.held_share <> fleet.unit_share
    or (followed.from_second <> fleet.from_second and coalesce(followed.previous_to_second, -1) <> followed.from_second)
    or (followed.to_second <> fleet.to_second and coalesce(followed.next_from_second, -1) <> followed.to_second)
