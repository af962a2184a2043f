-- Grain: day x unit x stretch of whole seconds inside one hour x one of several holders (or the rest, attempt_key NULL): the parts of the GPU
-- that it holds. Only for units that are declared shared, or asked for in fractions; the rows of a stretch sum to the unit.
-- What a holder wants: the fraction it asked for, else a replica's share, else an even one; where the split is measured, by its own value.
with

days as (

    select * from {{ ref('int_days') }}

),

claims as (

    select * from {{ ref('int_gpu_claims') }}
    where priority <= 4

),

units as (

    select fleet.*
    from {{ ref('int_gpu_fleet') }} as fleet
    left join (select distinct usage_date, unit_key from claims where requested_count is not null) as fractional
        on fleet.usage_date = fractional.usage_date and fleet.unit_key = fractional.unit_key
    where not fleet.is_remainder and (fleet.is_declared or fractional.unit_key is not null)

),

cuts as (

    select claims.usage_date, claims.unit_key, claims.from_second as cut_second
    from claims
    inner join units on claims.usage_date = units.usage_date and claims.unit_key = units.unit_key
    union
    select claims.usage_date, claims.unit_key, claims.to_second
    from claims
    inner join units on claims.usage_date = units.usage_date and claims.unit_key = units.unit_key
    union
    select units.usage_date, units.unit_key, units.from_second from units
    union
    select units.usage_date, units.unit_key, days.day_from + slots.slot_number * 3600
    from units
    inner join days on units.usage_date = days.usage_date
    inner join {{ ref('int_slot_numbers') }} as slots on slots.slot_number < 24

),

followed as (

    select *, lead(cut_second) over (partition by usage_date, unit_key order by cut_second) as next_second
    from cuts

),

stretches as (

    select
        units.usage_date, units.unit_key, units.unit_share, units.is_declared, units.sharing, units.replicas, units.split,
        followed.cut_second as from_second,
        least(coalesce(followed.next_second, units.to_second), units.to_second) as to_second
    from units
    inner join followed
        on units.usage_date = followed.usage_date
        and units.unit_key = followed.unit_key
        and followed.cut_second >= units.from_second
        and followed.cut_second < units.to_second

),

claimed as (

    select
        stretches.*, claims.attempt_key, claims.workload_key, claims.evidence, claims.priority, claims.started_second, claims.requested_count, claims.requested_gpus,
        row_number() over (
            partition by stretches.usage_date, stretches.unit_key, stretches.from_second order by claims.priority, claims.started_second desc, claims.attempt_key
        ) as choice
    from stretches
    inner join claims
        on stretches.usage_date = claims.usage_date
        and stretches.unit_key = claims.unit_key
        and stretches.from_second >= claims.from_second
        and stretches.from_second < claims.to_second

),

judged as (

    select
        *,
        -- in a unit that is not declared, fractions share a stretch if one of them wins it
        is_declared or (
            requested_count is not null
            and max(case when choice = 1 and requested_count is not null then 1 else 0 end) over (partition by usage_date, unit_key, from_second) = 1
        ) as is_sharing
    from claimed

),

told as (

    -- each attempt once, under its best evidence
    select *, row_number() over (partition by usage_date, unit_key, from_second, attempt_key order by choice) as telling
    from judged
    where is_sharing

),

valued as (

    select
        told.*,
        holder_values.holder_value,
        count(*) over stretch as holders,
        -- a measured split needs a value of each holder; values all alike are copies of the device's
        told.split in ('memory', 'process_utilization')
        and count(holder_values.holder_value) over stretch = count(*) over stretch
        and sum(holder_values.holder_value) over stretch > 0
        and (count(*) over stretch = 1 or min(holder_values.holder_value) over stretch < max(holder_values.holder_value) over stretch) as is_measured
    from told
    left join {{ ref('int_gpu_holder_values') }} as holder_values
        on told.usage_date = holder_values.usage_date
        and told.unit_key = holder_values.unit_key
        and told.from_second - told.from_second % 3600 = holder_values.hour_from
        and told.attempt_key = holder_values.attempt_key
    where told.telling = 1
    window stretch as (partition by told.usage_date, told.unit_key, told.from_second)

),

wanting as (

    -- wants in parts x want_scale, so that every fraction, replica and even share is a whole number (720720 is divisible by 1 to 16)
    select
        *,
        {{ wide_int('1000000') }} * 720720 * coalesce(replicas, holders) as want_scale,
        case
            when is_measured then {{ wide_int('holder_value') }}
            when requested_count is not null and evidence = 'interval'
                then {{ wide_int('unit_share') }} * cast(requested_count * 1000000 as bigint) * {{ int_div('720720', 'requested_gpus') }} * coalesce(replicas, holders)
            when requested_count is not null
                then {{ wide_int(gpu_parts()) }} * cast(requested_count * 1000000 as bigint) * {{ int_div('720720', 'requested_gpus') }} * coalesce(replicas, holders)
            else {{ wide_int('unit_share') }} * 1000000 * 720720
        end as want
    from valued

),

totalled as (

    select *, {{ wide_int('sum(want) over (partition by usage_date, unit_key, from_second)') }} as total_want
    from wanting

),

floors as (

    -- whoever wants all of the unit or more has it in proportion
    select
        *,
        is_measured or total_want >= unit_share * want_scale as is_full,
        case
            when is_measured or total_want >= unit_share * want_scale then {{ int_div('unit_share * want', 'total_want') }}
            else {{ int_div('want', 'want_scale') }}
        end as floor_share,
        (unit_share * want) % total_want as remainder
    from totalled

),

ranked as (

    select
        *,
        unit_share - sum(floor_share) over (partition by usage_date, unit_key, from_second) as left_share,
        row_number() over (partition by usage_date, unit_key, from_second order by remainder desc, attempt_key) as remainder_rank
    from floors

),

held as (

    select *, cast(floor_share + case when is_full and remainder_rank <= left_share then 1 else 0 end as bigint) as held_share
    from ranked

),

rests as (

    select
        usage_date, unit_key, from_second, to_second, case when is_declared then sharing else 'fractional' end as sharing, left_share,
        -- a label may be missing from the other holders' samples; what intervals alone leave, nobody asked for
        min(case when evidence in ('label', 'label_chosen', 'whole_node') then 'shared_unlabelled' else 'unrequested_share' end) as rest_reason
    from held
    where not is_full and left_share > 0
    group by usage_date, unit_key, from_second, to_second, case when is_declared then sharing else 'fractional' end, left_share

)

select
    usage_date, unit_key, from_second, to_second, attempt_key, workload_key, evidence, held_share as unit_share,
    case when is_declared then sharing else 'fractional' end as sharing,
    not (is_measured and split = 'process_utilization') as is_unmeasured,
    cast(null as {{ dbt.type_string() }}) as rest_reason
from held
where held_share > 0
union all
select
    usage_date, unit_key, from_second, to_second, cast(null as {{ dbt.type_string() }}), cast(null as {{ dbt.type_string() }}), 'none', cast(left_share as bigint),
    sharing, true, rest_reason
from rests
