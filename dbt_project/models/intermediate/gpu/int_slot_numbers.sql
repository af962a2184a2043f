-- Grain: one slot of a block of sixty: its number and its bit. The first slot is the highest bit, so that time runs to the right.
with

digits as (

    select 0 as digit union all select 1 union all select 2 union all select 3 union all select 4
    union all select 5 union all select 6 union all select 7 union all select 8 union all select 9

),

numbers as (

    select cast(tens.digit * 10 + ones.digit as bigint) as slot_number
    from digits as tens
    cross join digits as ones
    where tens.digit < 6

)

select slot_number, cast(1 as bigint) << cast(59 - slot_number as integer) as slot_bit
from numbers
