-- Grain: day x unit x hour x holder ('' where nobody holds, '-' what sharers leave): the mean activity over the observed slots of that holder, from the one
-- series that observed most of the hour, on the highest rung of the ladder that has a value; every rung by itself beside it, and how much
-- of the time there was no process on the GPU, by its memory in use, and the most memory that was in use.
{% set observed = [
  'usage_date', 'unit_key', 'hour_from', 'holder_key', 'series_key', 'observed_slots', 'sm_active_slots', 'sm_active_ppm', 'gr_engine_active_slots',
  'gr_engine_active_ppm', 'gpu_util_slots', 'gpu_util_ppm', 'memory_slots', 'small_memory_slots', 'peak_fb_used_kib', 'discarded_values'] %}

with

unit_blocks as (

    select unit_blocks.*
    from {{ ref('int_gpu_unit_blocks') }} as unit_blocks
    inner join {{ ref('int_days') }} as days on unit_blocks.usage_date = days.usage_date and unit_blocks.block_from >= days.day_from
    where unit_blocks.is_plain

),

details as (

    select details.*
    from {{ ref('int_gpu_details') }} as details
    inner join {{ ref('int_days') }} as days on details.usage_date = days.usage_date and details.sampled_second >= days.day_from

),

segments as (

    select usage_date, unit_key, from_second, to_second, hour_from, {{ activity_holder('all_segments') }} as holder_key, is_first_share
    from {{ ref('int_gpu_segments') }} as all_segments

),

plain_observations as (

    select
        unit_blocks.usage_date,
        unit_blocks.unit_key,
        segments.hour_from,
        segments.holder_key,
        unit_blocks.series_key,
        sum(bit_count(unit_blocks.observed_mask)) as observed_slots,
        -- once, however many hold the unit together
        sum(case when segments.is_first_share then bit_count(unit_blocks.observed_mask) else 0 end) as series_slots,
        sum(bit_count(unit_blocks.sm_active_mask)) as sm_active_slots,
        sum(unit_blocks.sm_active_ppm) as sm_active_ppm,
        sum(bit_count(unit_blocks.gr_engine_active_mask)) as gr_engine_active_slots,
        sum(unit_blocks.gr_engine_active_ppm) as gr_engine_active_ppm,
        sum(bit_count(unit_blocks.gpu_util_mask)) as gpu_util_slots,
        sum(unit_blocks.gpu_util_ppm) as gpu_util_ppm,
        sum(bit_count(unit_blocks.fb_used_mask)) as memory_slots,
        sum(bit_count(unit_blocks.small_memory_mask)) as small_memory_slots,
        max(unit_blocks.peak_fb_used_kib) as peak_fb_used_kib,
        sum(unit_blocks.discarded_values) as discarded_values
    from unit_blocks
    inner join segments
        on unit_blocks.usage_date = segments.usage_date
        and unit_blocks.unit_key = segments.unit_key
        and unit_blocks.first_sampled_second >= segments.from_second
        and unit_blocks.first_sampled_second < segments.to_second
    group by unit_blocks.usage_date, unit_blocks.unit_key, segments.hour_from, segments.holder_key, unit_blocks.series_key

),

detail_slots as (

    -- the latest value in the slot of each rung; at the same instant the larger one, so that order of arrival cannot matter
    select
        details.usage_date,
        details.unit_key,
        segments.hour_from,
        segments.holder_key,
        details.series_key,
        details.slot_from,
        max((details.sampled_micros - details.slot_from * 1000000) * 1000001 + details.sm_active_ppm) % 1000001 as sm_active_ppm,
        max((details.sampled_micros - details.slot_from * 1000000) * 1000001 + details.gr_engine_active_ppm) % 1000001 as gr_engine_active_ppm,
        max((details.sampled_micros - details.slot_from * 1000000) * 1000001 + details.gpu_util_ppm) % 1000001 as gpu_util_ppm,
        max((details.sampled_micros - details.slot_from * 1000000) * 10240000001 + details.fb_used_kib) % 10240000001 as fb_used_kib,
        max(details.fb_used_kib) as peak_fb_used_kib,
        sum(details.discarded_values) as discarded_values
    from details
    inner join segments
        on details.usage_date = segments.usage_date
        and details.unit_key = segments.unit_key
        and details.sampled_second >= segments.from_second
        and details.sampled_second < segments.to_second
    group by details.usage_date, details.unit_key, segments.hour_from, segments.holder_key, details.series_key, details.slot_from

),

detail_observations as (

    select
        usage_date,
        unit_key,
        hour_from,
        holder_key,
        series_key,
        count(*) as observed_slots,
        count(sm_active_ppm) as sm_active_slots,
        sum(sm_active_ppm) as sm_active_ppm,
        count(gr_engine_active_ppm) as gr_engine_active_slots,
        sum(gr_engine_active_ppm) as gr_engine_active_ppm,
        count(gpu_util_ppm) as gpu_util_slots,
        sum(gpu_util_ppm) as gpu_util_ppm,
        count(fb_used_kib) as memory_slots,
        count(case when fb_used_kib <= {{ parameter('no_process_memory_kib') }} then 1 end) as small_memory_slots,
        max(peak_fb_used_kib) as peak_fb_used_kib,
        sum(discarded_values) as discarded_values
    from detail_slots
    group by usage_date, unit_key, hour_from, holder_key, series_key

),

observations as (

    select
        usage_date,
        unit_key,
        hour_from,
        holder_key,
        series_key,
        cast(sum(observed_slots) as bigint) as observed_slots,
        cast(sum(sm_active_slots) as bigint) as sm_active_slots,
        cast(sum(sm_active_ppm) as bigint) as sm_active_ppm,
        cast(sum(gr_engine_active_slots) as bigint) as gr_engine_active_slots,
        cast(sum(gr_engine_active_ppm) as bigint) as gr_engine_active_ppm,
        cast(sum(gpu_util_slots) as bigint) as gpu_util_slots,
        cast(sum(gpu_util_ppm) as bigint) as gpu_util_ppm,
        cast(sum(memory_slots) as bigint) as memory_slots,
        cast(sum(small_memory_slots) as bigint) as small_memory_slots,
        cast(max(peak_fb_used_kib) as bigint) as peak_fb_used_kib,
        cast(sum(discarded_values) as bigint) as discarded_values
    from (select {{ observed | join(', ') }} from plain_observations union all select {{ observed | join(', ') }} from detail_observations) as both_kinds
    group by usage_date, unit_key, hour_from, holder_key, series_key

),

series_slots as (

    -- a slot cut by an edge has a piece for each holder, and is one slot of its series
    select usage_date, unit_key, hour_from, series_key, sum(slots) as slots
    from (
        select usage_date, unit_key, hour_from, series_key, sum(series_slots) as slots
        from plain_observations
        group by usage_date, unit_key, hour_from, series_key
        union all
        select usage_date, unit_key, hour_from, series_key, count(distinct slot_from)
        from detail_slots
        group by usage_date, unit_key, hour_from, series_key
    ) as both_kinds
    group by usage_date, unit_key, hour_from, series_key

),

ranked_series as (

    select
        observations.*,
        dense_rank() over (
            partition by observations.usage_date, observations.unit_key, observations.hour_from order by series_slots.slots desc, observations.series_key
        ) as series_rank
    from observations
    inner join series_slots
        on observations.usage_date = series_slots.usage_date
        and observations.unit_key = series_slots.unit_key
        and observations.hour_from = series_slots.hour_from
        and observations.series_key = series_slots.series_key

),

laddered as (

    select
        usage_date,
        unit_key,
        hour_from,
        holder_key,
        observed_slots,
        case when sm_active_slots > 0 then 'sm_active' when gr_engine_active_slots > 0 then 'gr_engine_active' when gpu_util_slots > 0 then 'gpu_util' end as activity_rung,
        case when sm_active_slots > 0 then sm_active_slots when gr_engine_active_slots > 0 then gr_engine_active_slots else gpu_util_slots end as rung_slots,
        case when sm_active_slots > 0 then sm_active_ppm when gr_engine_active_slots > 0 then gr_engine_active_ppm else gpu_util_ppm end as rung_ppm,
        {%- for rung in activity_rungs() %}
        {{ rung }}_slots,
        case when {{ rung }}_slots > 0 then {{ int_div('2 * ' ~ rung ~ '_ppm + ' ~ rung ~ '_slots', '2 * ' ~ rung ~ '_slots') }} end as {{ rung }}_ppm,
        {%- endfor %}
        memory_slots,
        -- of the slots that tell the memory in use, those in which it is too little for any process
        case when memory_slots > 0 then {{ int_div('2000000 * small_memory_slots + memory_slots', '2 * memory_slots') }} end as small_memory_ppm,
        peak_fb_used_kib,
        discarded_values
    from ranked_series
    where series_rank = 1

),

activity as (

    select
        usage_date,
        unit_key,
        hour_from,
        holder_key,
        activity_rung,
        observed_slots,
        rung_slots,
        case when rung_slots > 0 then {{ int_div('2 * rung_ppm + rung_slots', '2 * rung_slots') }} end as activity_ppm,
        -- how many of the holder's observed slots have a value of the rung
        case when rung_slots > 0 then {{ int_div('1000000 * least(rung_slots, observed_slots)', 'observed_slots') }} end as rung_coverage_ppm,
        {%- for rung in activity_rungs() %}
        {{ rung }}_ppm,
        case when {{ rung }}_slots > 0 then {{ int_div('1000000 * least(' ~ rung ~ '_slots, observed_slots)', 'observed_slots') }} end as {{ rung }}_coverage_ppm,
        {%- endfor %}
        small_memory_ppm,
        peak_fb_used_kib,
        discarded_values
    from laddered

)

select * from activity
