-- Grain: day x unit that is declared shared x label x stretch that the label covers: the slots in which one of its samples falls, and behind
-- each up to max_gap_seconds, never past the next observed slot of the unit, whatever its label. Several labels may cover one slot.
with

days as (

    select * from {{ ref('int_days') }}

),

declared as (

    select distinct usage_date, unit_key from {{ ref('int_gpu_fleet') }}
    where is_declared

),

plain_blocks as (

    select
        blocks.usage_date, blocks.node_key, blocks.unit_key, blocks.holder_label, blocks.pod_uid, blocks.block_from, blocks.slot_seconds,
        bit_or(blocks.observed_mask) as observed_mask
    from {{ ref('int_gpu_unit_blocks') }} as blocks
    inner join declared on blocks.usage_date = declared.usage_date and blocks.unit_key = declared.unit_key
    where blocks.is_plain
    group by blocks.usage_date, blocks.node_key, blocks.unit_key, blocks.holder_label, blocks.pod_uid, blocks.block_from, blocks.slot_seconds

),

labelled_slots as (

    select
        plain_blocks.usage_date, plain_blocks.node_key, plain_blocks.unit_key, plain_blocks.holder_label, plain_blocks.pod_uid,
        plain_blocks.block_from + slots.slot_number * plain_blocks.slot_seconds as from_second,
        plain_blocks.block_from + (slots.slot_number + 1) * plain_blocks.slot_seconds as to_second
    from plain_blocks
    inner join {{ ref('int_slot_numbers') }} as slots on (plain_blocks.observed_mask & slots.slot_bit) <> 0
    union
    select
        details.usage_date, details.node_key, details.unit_key, details.holder_label, details.pod_uid, details.slot_from,
        details.slot_from + details.slot_seconds
    from {{ ref('int_gpu_details') }} as details
    inner join declared on details.usage_date = declared.usage_date and details.unit_key = declared.unit_key
    where details.usage_date in (select usage_date from days)

),

unit_slots as (

    select usage_date, unit_key, from_second, max(to_second) as to_second
    from labelled_slots
    group by usage_date, unit_key, from_second

),

filled_slots as (

    select
        usage_date,
        unit_key,
        from_second,
        least(
            to_second + {{ parameter('max_gap_seconds') }},
            lead(from_second, 1, 9223372036) over (partition by usage_date, unit_key order by from_second)
        ) as filled_to
    from unit_slots

),

opened as (

    select
        labelled_slots.usage_date, labelled_slots.node_key, labelled_slots.unit_key, labelled_slots.holder_label, labelled_slots.pod_uid,
        labelled_slots.from_second, filled_slots.filled_to,
        case when lag(filled_slots.filled_to) over (
            partition by labelled_slots.usage_date, labelled_slots.unit_key, labelled_slots.holder_label, labelled_slots.pod_uid order by labelled_slots.from_second
        ) >= labelled_slots.from_second then 0 else 1 end as opens
    from labelled_slots
    inner join filled_slots
        on labelled_slots.usage_date = filled_slots.usage_date
        and labelled_slots.unit_key = filled_slots.unit_key
        and labelled_slots.from_second = filled_slots.from_second
    where labelled_slots.holder_label is not null

),

numbered as (

    select
        *,
        sum(opens) over (
            partition by usage_date, unit_key, holder_label, pod_uid order by from_second rows between unbounded preceding and current row
        ) as stretch
    from opened

),

stretches as (

    select usage_date, node_key, unit_key, holder_label, pod_uid, min(from_second) as from_second, max(filled_to) as to_second
    from numbered
    group by usage_date, node_key, unit_key, holder_label, pod_uid, stretch

)

select
    stretches.usage_date, stretches.node_key, stretches.unit_key, stretches.holder_label, stretches.pod_uid,
    greatest(stretches.from_second, days.day_from) as from_second,
    least(stretches.to_second, days.day_to) as to_second
from stretches
inner join days on stretches.usage_date = days.usage_date and stretches.to_second > days.day_from and stretches.from_second < days.day_to
