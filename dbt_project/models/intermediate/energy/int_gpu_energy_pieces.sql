-- Grain: day x physical GPU x stretch between two readings whose energy is known, told once. Stretches of a GPU do not overlap; their sum is
-- the device's energy of the day. is_gap: the counter tells how much, but over max_gap_seconds without a reading nobody knows when.
with

days as (

    select * from {{ ref('int_days') }}

),

readings as (

    select
        days.day_from,
        days.day_to,
        readings.*,
        -- readings of slots beside each other are never far apart
        greatest({{ parameter('max_gap_seconds') }}, 2 * readings.slot_seconds) as most_gap_seconds,
        lead(readings.reading_second) over gpu_time as next_second,
        lead(readings.is_counter) over gpu_time as next_is_counter,
        lead(readings.counter_millijoules) over gpu_time as next_millijoules
    from {{ ref('int_gpu_energy_readings') }} as readings
    inner join days on readings.usage_date = days.usage_date
    window gpu_time as (partition by readings.usage_date, readings.gpu_key order by readings.reading_second)

),

-- A counter that falls has wrapped at 32 bits, or began anew at 0; neither may mean more power than a GPU can take. What no rule
-- explains is no energy at all.
counted as (

    select
        *,
        next_second - reading_second > most_gap_seconds and until_next_millijoules is null as is_gap,
        case
            when until_next_millijoules is not null then until_next_millijoules
            when next_millijoules >= counter_millijoules then next_millijoules - counter_millijoules
            when counter_millijoules < 4294967296
                and next_millijoules + 4294967296 - counter_millijoules <= {{ parameter('gpu_power_limit_milliwatts') }} * (next_second - reading_second)
                then next_millijoules + 4294967296 - counter_millijoules
            else next_millijoules
        end as millijoules
    from readings
    where is_counter and next_is_counter

),

by_counter as (

    -- the day of the reading that ends it has the stretch: the day before may have been computed before there was one
    select
        usage_date,
        node_key,
        gpu_key,
        'counter' as energy_method,
        greatest(reading_second, day_from) as from_second,
        greatest(next_second, day_from + 1) as to_second,
        is_gap,
        millijoules
    from counted
    where next_second >= day_from
        and next_second < day_to
        and millijoules <= {{ parameter('gpu_power_limit_milliwatts') }} * (next_second - reading_second)
        and not (is_gap and reading_second < day_from)

),

held_power as (

    -- a power reading holds until the next one, at most most_gap_seconds
    select
        *,
        greatest(reading_second, day_from) as from_second,
        least(coalesce(next_second, day_to), case when until_next_millijoules is null then reading_second + most_gap_seconds else day_to end, day_to) as to_second
    from readings
    where not is_counter

),

by_power as (

    select
        usage_date,
        node_key,
        gpu_key,
        'power' as energy_method,
        from_second,
        to_second,
        false as is_gap,
        coalesce(until_next_millijoules, milliwatts * (to_second - from_second)) as millijoules
    from held_power
    where to_second > from_second

),

pieces as (

    select * from by_counter
    union all
    select * from by_power

)

-- a device told under two names has its energy once: GPUs above the inventory's count are left out, as they are from its price
select
    pieces.usage_date,
    pieces.node_key,
    pieces.gpu_key,
    pieces.energy_method,
    pieces.from_second,
    pieces.to_second,
    pieces.is_gap,
    cast(pieces.millijoules as bigint) as millijoules
from pieces
left join {{ ref('int_nodes') }} as nodes on pieces.usage_date = nodes.usage_date and pieces.node_key = nodes.node_key
left join {{ ref('int_gpu_hour_ranks') }} as gpu_ranks
    on pieces.usage_date = gpu_ranks.usage_date
    and pieces.node_key = gpu_ranks.node_key
    and pieces.gpu_key = gpu_ranks.gpu_key
    and pieces.from_second - pieces.from_second % 3600 = gpu_ranks.hour_from
where nodes.node_key is null or gpu_ranks.gpu_rank <= nodes.gpu_count
