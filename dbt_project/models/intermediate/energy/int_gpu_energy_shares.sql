-- Grain: day x physical GPU x holder x method: the holder's millijoules and GPU-seconds of measured time. Each stretch is split by parts
-- of the GPU x seconds held, in whole millijoules; what nobody holds is a holder too (attempt NULL), and so is a gap (is_gap).
with

pieces as (

    select * from {{ ref('int_gpu_energy_pieces') }}

),

piece_hours as (

    select pieces.*, pieces.from_second - pieces.from_second % 3600 + 3600 * slots.slot_number as hour_from
    from pieces
    inner join {{ ref('int_slot_numbers') }} as slots
        on pieces.from_second - pieces.from_second % 3600 + 3600 * slots.slot_number < pieces.to_second
    where not pieces.is_gap

),

weights as (

    select
        pieces.usage_date,
        pieces.node_key,
        pieces.gpu_key,
        pieces.from_second,
        pieces.energy_method,
        pieces.millijoules,
        segments.workload_key,
        segments.attempt_key,
        sum(segments.unit_share * (least(segments.to_second, pieces.to_second) - greatest(segments.from_second, pieces.from_second))) as weight
    from piece_hours as pieces
    inner join {{ ref('int_gpu_segments') }} as segments
        on pieces.usage_date = segments.usage_date
        and pieces.gpu_key = segments.gpu_key
        and pieces.hour_from = segments.hour_from
        and segments.from_second < pieces.to_second
        and segments.to_second > pieces.from_second
    group by
        pieces.usage_date, pieces.node_key, pieces.gpu_key, pieces.from_second, pieces.energy_method, pieces.millijoules, segments.workload_key,
        segments.attempt_key

),

floors as (

    select
        *,
        sum(weight) over piece as total_weight,
        {{ int_div(wide_int('millijoules') ~ ' * ' ~ wide_int('weight'), wide_int('sum(weight) over piece')) }} as floor_millijoules,
        {{ wide_int('millijoules') }} * {{ wide_int('weight') }} % {{ wide_int('sum(weight) over piece') }} as remainder
    from weights
    window piece as (partition by usage_date, gpu_key, from_second)

),

ranked as (

    select
        *,
        millijoules - sum(floor_millijoules) over (partition by usage_date, gpu_key, from_second) as leftover,
        row_number() over (partition by usage_date, gpu_key, from_second order by remainder desc, attempt_key nulls first) as remainder_rank
    from floors

),

shares as (

    select
        usage_date, node_key, gpu_key, false as is_gap, workload_key, attempt_key, energy_method,
        cast(sum(floor_millijoules + case when remainder_rank <= leftover then 1 else 0 end) as bigint) as millijoules,
        cast(sum(weight) as bigint) as measured_weight
    from ranked
    group by usage_date, node_key, gpu_key, workload_key, attempt_key, energy_method
    union all
    select
        usage_date, node_key, gpu_key, true, cast(null as {{ dbt.type_string() }}), cast(null as {{ dbt.type_string() }}), energy_method,
        cast(sum(millijoules) as bigint),
        cast(0 as bigint)
    from pieces
    where is_gap
    group by usage_date, node_key, gpu_key, energy_method

)

select * from shares
