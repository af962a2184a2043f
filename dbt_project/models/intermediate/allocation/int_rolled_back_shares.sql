-- Grain: bucket x workload attempt of which some work was thrown away in the bucket's window: the part of its dollars, as held and billed time
-- behind the checkpoint / held and billed time. Activity is known per hour, so the hour of a checkpoint is divided by time.
with

outcomes as (

    select * from {{ ref('int_attempt_outcomes') }}
    where rolled_back_from_second is not null

),

placed as (

    select distinct
        allocations.usage_date,
        allocations.bucket_key,
        allocations.attempt_key,
        {{ epoch_seconds('allocations.window_start') }} as window_from,
        {{ epoch_seconds('allocations.window_end') }} as window_to,
        outcomes.rolled_back_from_second
    from {{ ref('int_bucket_allocations') }} as allocations
    inner join outcomes on allocations.usage_date = outcomes.usage_date and allocations.attempt_key = outcomes.attempt_key

),

held as (

    select
        windows.usage_date,
        windows.node_key,
        windows.window_from,
        windows.window_to,
        segments.attempt_key,
        segments.unit_share,
        outcomes.rolled_back_from_second,
        greatest(segments.from_second, windows.billed_from) as from_second,
        least(segments.to_second, windows.billed_to) as to_second
    from {{ ref('int_gpu_segments') }} as segments
    inner join outcomes on segments.usage_date = outcomes.usage_date and segments.attempt_key = outcomes.attempt_key
    inner join {{ ref('int_node_billed_stretches') }} as windows
        on segments.usage_date = windows.usage_date
        and segments.node_key = windows.node_key
        and segments.from_second < windows.billed_to
        and segments.to_second > windows.billed_from

),

held_weights as (

    select
        usage_date,
        node_key,
        window_from,
        window_to,
        attempt_key,
        sum(unit_share * (to_second - from_second)) as held_weight,
        sum(unit_share * greatest(0, to_second - greatest(from_second, rolled_back_from_second))) as rolled_back_weight
    from held
    group by usage_date, node_key, window_from, window_to, attempt_key

),

shares as (

    -- where no second of it was held in the window (money by a container's share), the window's own time divides it
    select
        placed.usage_date,
        placed.bucket_key,
        placed.attempt_key,
        case
            when placed.rolled_back_from_second <= placed.window_from then 1
            when placed.rolled_back_from_second >= placed.window_to then 0
            else coalesce(held_weights.rolled_back_weight, placed.window_to - placed.rolled_back_from_second)
        end as rolled_back_weight,
        case
            when placed.rolled_back_from_second <= placed.window_from or placed.rolled_back_from_second >= placed.window_to then 1
            else coalesce(held_weights.held_weight, placed.window_to - placed.window_from)
        end as held_weight
    from placed
    left join {{ ref('int_bucket_nodes') }} as bucket_nodes
        on placed.usage_date = bucket_nodes.usage_date and placed.bucket_key = bucket_nodes.bucket_key
    left join held_weights
        on bucket_nodes.usage_date = held_weights.usage_date
        and bucket_nodes.node_key = held_weights.node_key
        and bucket_nodes.window_from = held_weights.window_from
        and bucket_nodes.window_to = held_weights.window_to
        and placed.attempt_key = held_weights.attempt_key

)

select usage_date, bucket_key, attempt_key, {{ wide_int('rolled_back_weight') }} as rolled_back_weight, {{ wide_int('held_weight') }} as held_weight
from shares
where rolled_back_weight > 0
