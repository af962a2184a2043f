-- Grain: day x unit x stretch of covered time under one label: observed slots, and behind each up to max_gap_seconds of fill. A
-- fill never passes the next observed slot; `anchor_second` is the last sample behind which the fill stands, so that the segments
-- model can stop it at an edge.
with

unit_blocks as (

    select * from {{ ref('int_gpu_unit_blocks') }}

),

details as (

    select * from {{ ref('int_gpu_details') }}
    where usage_date in (select usage_date from {{ ref('int_days') }})

),

days as (

    select * from {{ ref('int_days') }}

),

plain_blocks as (

    select usage_date, node_key, unit_key, block_from, block_to, slot_seconds, holder_label, pod_uid, bit_or(observed_mask) as observed_mask
    from unit_blocks
    where is_plain
    group by usage_date, node_key, unit_key, block_from, block_to, slot_seconds, holder_label, pod_uid

),

whole_blocks as (

    select usage_date, node_key, unit_key, block_from as from_second, block_to as to_second, block_to - 1 as anchor_second, holder_label, pod_uid
    from plain_blocks
    where observed_mask = {{ full_mask() }}

),

single_slots as (

    select
        plain_blocks.usage_date,
        plain_blocks.node_key,
        plain_blocks.unit_key,
        plain_blocks.block_from + slots.slot_number * plain_blocks.slot_seconds as from_second,
        plain_blocks.block_from + (slots.slot_number + 1) * plain_blocks.slot_seconds as to_second,
        plain_blocks.block_from + (slots.slot_number + 1) * plain_blocks.slot_seconds - 1 as anchor_second,
        plain_blocks.holder_label,
        plain_blocks.pod_uid
    from plain_blocks
    inner join {{ ref('int_slot_numbers') }} as slots on (plain_blocks.observed_mask & slots.slot_bit) <> 0
    where plain_blocks.observed_mask <> {{ full_mask() }}

),

opinions as (

    -- each exporter's latest word in a slot; a labelled word beats an unlabelled one of another exporter, then the later one
    select
        *,
        row_number() over (
            partition by usage_date, unit_key, slot_from, series_key
            order by sampled_micros desc, case when holder_label is null then 1 else 0 end, holder_label, pod_uid
        ) as word
    from details

),

slot_winners as (

    select
        *,
        row_number() over (
            partition by usage_date, unit_key, slot_from
            order by case when holder_label is null then 1 else 0 end, sampled_micros desc, holder_label, pod_uid, series_key
        ) as choice,
        max(sampled_second) over (partition by usage_date, unit_key, slot_from) as last_second
    from opinions
    where word = 1

),

detail_slots as (

    select
        usage_date,
        node_key,
        unit_key,
        slot_from as from_second,
        slot_from + slot_seconds as to_second,
        last_second as anchor_second,
        holder_label,
        pod_uid
    from slot_winners
    where choice = 1

),

observed as (

    select * from whole_blocks
    union all
    select * from single_slots
    union all
    select * from detail_slots

),

followed as (

    select
        *,
        lead(from_second) over (partition by usage_date, unit_key order by from_second) as next_from_second
    from observed

),

seen as (

    select usage_date, node_key, unit_key, from_second, to_second, anchor_second, holder_label, pod_uid, false as is_fill
    from followed
    union all
    select
        usage_date,
        node_key,
        unit_key,
        to_second as from_second,
        least(to_second + {{ parameter('max_gap_seconds') }}, coalesce(next_from_second, 9223372036)) as to_second,
        anchor_second,
        holder_label,
        pod_uid,
        true as is_fill
    from followed
    where next_from_second is null or next_from_second > to_second

),

clipped as (

    select
        seen.usage_date,
        seen.node_key,
        seen.unit_key,
        greatest(seen.from_second, days.day_from) as from_second,
        least(seen.to_second, days.day_to) as to_second,
        seen.anchor_second,
        seen.holder_label,
        seen.pod_uid,
        seen.is_fill
    from seen
    inner join days on seen.usage_date = days.usage_date
    where seen.to_second > days.day_from and seen.from_second < days.day_to

),

marked as (

    select
        *,
        case
            when lag(to_second) over (partition by usage_date, unit_key order by from_second) = from_second
                and lag(holder_label) over (partition by usage_date, unit_key order by from_second) is not distinct from holder_label
                and lag(pod_uid) over (partition by usage_date, unit_key order by from_second) is not distinct from pod_uid
                and not is_fill
                and not lag(is_fill) over (partition by usage_date, unit_key order by from_second)
                then 0
            else 1
        end as starts_stretch
    from clipped

),

numbered as (

    select *, sum(starts_stretch) over (partition by usage_date, unit_key order by from_second) as stretch
    from marked

),

stretches as (

    select
        usage_date,
        node_key,
        unit_key,
        stretch,
        min(from_second) as from_second,
        max(to_second) as to_second,
        max(anchor_second) as anchor_second,
        max(holder_label) as holder_label,
        max(pod_uid) as pod_uid,
        bool_or(is_fill) as is_fill
    from numbered
    group by usage_date, node_key, unit_key, stretch

)

select * from stretches
