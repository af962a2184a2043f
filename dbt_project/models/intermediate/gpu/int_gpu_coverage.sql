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

-- Most blocks with missing slots are still one stretch, which their mask tells without looking at single slots. `filled`: the observed
-- slots and those behind them that are filled; `tail`: every slot from the first observed one on. Time runs to the right, so both are
-- shifts to the right, and each step doubles the reach.
reach_1 as (

    select
        plain_blocks.*,
        days.day_from,
        {{ int_div(parameter('max_gap_seconds'), 'plain_blocks.slot_seconds') }} as fill_slots,
        plain_blocks.observed_mask as filled_1,
        plain_blocks.observed_mask as tail_1
    from plain_blocks
    inner join days on plain_blocks.usage_date = days.usage_date

),
{% for reach in [1, 2, 4, 8, 16, 32] %}
reach_{{ 2 * reach }} as (

    select
        *,
        filled_{{ reach }} | (filled_{{ reach }} >> cast(greatest(0, least({{ reach }}, fill_slots - {{ reach - 1 }})) as integer)) as filled_{{ 2 * reach }},
        tail_{{ reach }} | (tail_{{ reach }} >> {{ reach }}) as tail_{{ 2 * reach }}
    from reach_{{ reach }}

),
{% endfor %}
spanned_blocks as (

    -- (mask & -mask) - 1 is every slot behind the last observed one. Where midnight cuts a block, what is filled across it is looked at slot by slot.
    select
        *,
        observed_mask = {{ full_mask() }}
        or (
            (filled_64 | ((observed_mask & -observed_mask) - 1)) & tail_64 = tail_64
            and not (block_from < day_from and block_to > day_from)
        ) as is_one_stretch,
        block_from + (60 - bit_count(tail_64)) * slot_seconds as observed_from,
        block_to - bit_count((observed_mask & -observed_mask) - 1) * slot_seconds as observed_to
    from reach_64

),

whole_blocks as (

    select usage_date, node_key, unit_key, observed_from as from_second, observed_to as to_second, observed_to - 1 as anchor_second, holder_label, pod_uid
    from spanned_blocks
    where is_one_stretch

),

single_slots as (

    select
        blocks.usage_date,
        blocks.node_key,
        blocks.unit_key,
        blocks.block_from + slots.slot_number * blocks.slot_seconds as from_second,
        blocks.block_from + (slots.slot_number + 1) * blocks.slot_seconds as to_second,
        blocks.block_from + (slots.slot_number + 1) * blocks.slot_seconds - 1 as anchor_second,
        blocks.holder_label,
        blocks.pod_uid
    from (select * from spanned_blocks where not is_one_stretch) as blocks
    inner join {{ ref('int_slot_numbers') }} as slots on (blocks.observed_mask & slots.slot_bit) <> 0

),

slots as (

    -- nearly every slot has one sample, which takes it
    select
        usage_date,
        node_key,
        unit_key,
        slot_from,
        max(slot_seconds) as slot_seconds,
        max(sampled_second) as last_second,
        max(holder_label) as holder_label,
        max(pod_uid) as pod_uid,
        count(*) as samples
    from details
    group by usage_date, node_key, unit_key, slot_from

),

opinions as (

    -- each exporter's latest word in a slot; a labelled word beats an unlabelled one of another exporter, then the later one
    select
        details.*,
        row_number() over (
            partition by details.usage_date, details.unit_key, details.slot_from, details.series_key
            order by details.sampled_micros desc, case when details.holder_label is null then 1 else 0 end, details.holder_label, details.pod_uid
        ) as word
    from details
    inner join slots
        on details.usage_date = slots.usage_date
        and details.node_key = slots.node_key
        and details.unit_key = slots.unit_key
        and details.slot_from = slots.slot_from
        and slots.samples > 1

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

    select usage_date, node_key, unit_key, slot_from as from_second, slot_from + slot_seconds as to_second, last_second as anchor_second, holder_label, pod_uid
    from slots
    where samples = 1
    union all
    select usage_date, node_key, unit_key, slot_from, slot_from + slot_seconds, last_second, holder_label, pod_uid
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

neighboured as (

    select
        observed.*,
        days.day_from,
        days.day_to,
        lag(observed.to_second) over unit_time as previous_to_second,
        lag(observed.holder_label) over unit_time as previous_label,
        lag(observed.pod_uid) over unit_time as previous_pod_uid,
        lead(observed.from_second) over unit_time as next_from_second,
        lead(observed.holder_label) over unit_time as next_label,
        lead(observed.pod_uid) over unit_time as next_pod_uid
    from observed
    inner join days on observed.usage_date = days.usage_date
    window unit_time as (partition by observed.usage_date, observed.unit_key order by observed.from_second)

),

bounded as (

    -- where, within the day, a stretch of observed slots under one label begins and where it ends
    select
        *,
        coalesce(
            previous_to_second <> from_second or previous_to_second <= day_from
            or previous_label is distinct from holder_label or previous_pod_uid is distinct from pod_uid,
            true
        ) as is_first,
        coalesce(
            next_from_second <> to_second or next_from_second >= day_to
            or next_label is distinct from holder_label or next_pod_uid is distinct from pod_uid,
            true
        ) as is_last
    from neighboured
    where to_second > day_from and from_second < day_to

),

stretches as (

    select
        *,
        case when is_last then to_second else lead(to_second) over unit_time end as last_to_second,
        case when is_last then anchor_second else lead(anchor_second) over unit_time end as last_anchor_second
    from bounded
    where is_first or is_last
    window unit_time as (partition by usage_date, unit_key order by from_second)

),

fills as (

    select
        *,
        to_second as fill_from,
        least(to_second + {{ parameter('max_gap_seconds') }}, coalesce(next_from_second, 9223372036)) as fill_to
    from neighboured
    where next_from_second is null or next_from_second > to_second

),

coverage as (

    select
        usage_date, node_key, unit_key, greatest(from_second, day_from) as from_second, least(last_to_second, day_to) as to_second,
        last_anchor_second as anchor_second, holder_label, pod_uid, false as is_fill
    from stretches
    where is_first
    union all
    select
        usage_date, node_key, unit_key, greatest(fill_from, day_from), least(fill_to, day_to), anchor_second, holder_label, pod_uid, true
    from fills
    where fill_to > day_from and fill_from < day_to

)

select * from coverage
