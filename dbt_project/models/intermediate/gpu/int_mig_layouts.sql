-- Grain: day x GPU with MIG instances x unit of it (an instance, the bare device, or what they leave) x stretch in which the unit is there.
-- The units of a GPU sum to one GPU in every second. Where the instances of the day fit beside each other they are there all day; where
-- they do not (the GPU was cut anew), the layout follows the samples by time.
with

days as (

    select * from {{ ref('int_days') }}

),

seen as (

    select
        units.usage_date, units.node_key, units.gpu_key, units.unit_key, units.mig_instance_id is not null as is_instance, days.day_from, days.day_to,
        max(units.mig_profile) as mig_profile,
        max(units.gpu_model) as gpu_model,
        min(units.seen_from_second) as seen_from,
        max(units.seen_to_second) as seen_to
    from {{ ref('int_gpu_units') }} as units
    inner join days on units.usage_date = days.usage_date
    group by units.usage_date, units.node_key, units.gpu_key, units.unit_key, units.mig_instance_id is not null, days.day_from, days.day_to
    -- what was last seen on the day before is no part of this one
    having max(units.seen_to_second) > days.day_from

),

gpus as (

    select
        seen.usage_date, seen.gpu_key,
        coalesce(max(seen.gpu_model), max(nodes.gpu_model)) as gpu_model,
        min(seen.seen_from) as first_seen,
        min(case when seen.is_instance then seen.seen_from end) as instances_from,
        max(case when seen.is_instance then seen.seen_to end) as instances_to,
        min(case when not seen.is_instance then seen.seen_from end) as device_from,
        max(case when not seen.is_instance then seen.seen_to end) as device_to
    from seen
    left join {{ ref('int_nodes') }} as nodes on seen.usage_date = nodes.usage_date and seen.node_key = nodes.node_key
    group by seen.usage_date, seen.gpu_key
    having max(case when seen.is_instance then 1 else 0 end) = 1

),

sliced as (

    select
        seen.*,
        gpus.first_seen,
        {{ mig_slices_of_model('gpus.gpu_model') }} as gpu_slices,
        {{ mig_memory_slices_of_model('gpus.gpu_model') }} as gpu_memory_slices,
        case when seen.is_instance then {{ mig_slices('seen.mig_profile', 'gpus.gpu_model') }} else {{ mig_slices_of_model('gpus.gpu_model') }} end as slices,
        case when seen.is_instance then {{ mig_memory_slices('seen.mig_profile', 'gpus.gpu_model') }} else 0 end as memory_slices,
        coalesce(gpus.device_from < gpus.instances_from or gpus.device_to > gpus.instances_to, false) as is_switched
    from seen
    inner join gpus on seen.usage_date = gpus.usage_date and seen.gpu_key = gpus.gpu_key

),

candidates as (

    select
        *,
        {{ int_div(gpu_parts() ~ ' * slices', 'gpu_slices') }} as unit_share,
        is_switched or sum(case when is_instance then slices else 0 end) over (partition by usage_date, gpu_key) > gpu_slices as is_recut
    from sliced

),

cuts as (

    select usage_date, gpu_key, day_from as cut_second, day_to from candidates
    union
    select usage_date, gpu_key, seen_from, day_to from candidates where is_recut and seen_from > day_from and seen_from < day_to
    union
    select usage_date, gpu_key, seen_to, day_to from candidates where is_recut and seen_to > day_from and seen_to < day_to

),

pieces as (

    select
        usage_date, gpu_key, cut_second as from_second,
        lead(cut_second, 1, day_to) over (partition by usage_date, gpu_key order by cut_second) as to_second
    from cuts

),

ranked as (

    -- still to be seen before over; an instance before the bare device; then the latest
    select
        candidates.*,
        pieces.from_second,
        pieces.to_second,
        row_number() over (
            partition by candidates.usage_date, candidates.gpu_key, pieces.from_second
            order by
                case when candidates.seen_to > pieces.from_second then 0 else 1 end,
                case when candidates.is_instance then 0 else 1 end,
                candidates.seen_to desc, candidates.seen_from desc, candidates.unit_key
        ) as unit_rank
    from pieces
    inner join candidates
        on pieces.usage_date = candidates.usage_date
        and pieces.gpu_key = candidates.gpu_key
        and (
            (not candidates.is_recut and candidates.is_instance)
            or (candidates.is_recut and (candidates.seen_from <= pieces.from_second or candidates.seen_from = candidates.first_seen))
        )

),

-- the bare device beside instances is a row that an exporter tells of the whole GPU: it has no place, and takes none
placed as (

    select * from ranked
    where is_instance or unit_rank = 1

),

running as (

    select
        *,
        sum(unit_share) over (partition by usage_date, gpu_key, from_second order by unit_rank rows between unbounded preceding and current row) as running_share
    from placed

),

taken as (

    select * from running
    where running_share <= {{ gpu_parts() }}

),

remainders as (

    -- slices for which both compute and memory are left are free; compute without memory is stranded
    select
        usage_date, node_key, gpu_key, from_second, to_second, is_recut, gpu_slices,
        gpu_slices - sum(slices) as slices_left,
        greatest(0, least(gpu_slices - sum(slices), gpu_memory_slices - sum(memory_slices))) as slices_free
    from taken
    group by usage_date, node_key, gpu_key, from_second, to_second, is_recut, gpu_slices, gpu_memory_slices

),

laid_out as (

    select usage_date, node_key, gpu_key, unit_key, unit_share, false as is_remainder, cast(null as {{ dbt.type_string() }}) as segment_reason, from_second, to_second, is_recut
    from taken
    union all
    select usage_date, node_key, gpu_key, concat(gpu_key, '#unallocated'), {{ int_div(gpu_parts() ~ ' * slices_free', 'gpu_slices') }}, true, 'profile_fits',
        from_second, to_second, is_recut
    from remainders
    where slices_free > 0
    union all
    select usage_date, node_key, gpu_key, concat(gpu_key, '#stranded'), {{ int_div(gpu_parts() ~ ' * (slices_left - slices_free)', 'gpu_slices') }}, true,
        'outside_any_instance', from_second, to_second, is_recut
    from remainders
    where slices_left > slices_free

),

opened as (

    -- pieces of a unit that touch are one stretch
    select
        *,
        case when lag(to_second) over (partition by usage_date, unit_key, unit_share order by from_second) = from_second then 0 else 1 end as opens
    from laid_out

),

numbered as (

    select *, sum(opens) over (partition by usage_date, unit_key, unit_share order by from_second rows between unbounded preceding and current row) as stretch
    from opened

),

stretches as (

    select
        usage_date, node_key, gpu_key, unit_key, cast(unit_share as bigint) as unit_share, is_remainder, segment_reason, is_recut,
        min(from_second) as from_second, max(to_second) as to_second
    from numbered
    group by usage_date, node_key, gpu_key, unit_key, unit_share, is_remainder, segment_reason, is_recut, stretch

)

select
    stretches.*,
    -- samples of before the day belong to what is there from its start
    case when stretches.from_second = days.day_from then 0 else stretches.from_second end as samples_from_second
from stretches
inner join days on stretches.usage_date = days.usage_date
