-- Grain: billing window x stretch of seconds on which its billed seconds lie: the earliest seconds of the node's validity within the
-- window; for a node without validity, from its first observed slot, else from the window's start. A window whose validity is too
-- short for what was billed keeps the rest as unplaced_seconds on its first row. A stretch ends where the node's size changes: gpu_count,
-- vcpus and memory_gib are the size then.
with

windows as (

    select * from {{ ref('int_node_windows') }}

),

validity as (

    select * from {{ ref('int_node_validity') }}

),

sizes as (

    select * from {{ ref('int_node_sizes') }}

),

dated_nodes as (

    select distinct usage_date, node_key from validity

),

first_observed as (

    select windows.window_key, min(segments.from_second) as observed_from
    from windows
    inner join {{ ref('int_gpu_segments') }} as segments
        on windows.usage_date = segments.usage_date
        and windows.node_key = segments.node_key
        and segments.from_second >= windows.window_from
        and segments.from_second < windows.window_to
        and segments.is_covered
    group by windows.window_key

),

inventoried as (

    select
        windows.*,
        greatest(windows.window_from, validity.from_second) as from_second,
        least(windows.window_to, validity.to_second) as to_second
    from windows
    inner join validity
        on windows.usage_date = validity.usage_date
        and windows.node_key = validity.node_key
        and validity.from_second < windows.window_to
        and validity.to_second > windows.window_from

),

assumed as (

    select
        windows.*,
        least(coalesce(first_observed.observed_from, windows.window_from), windows.window_to - windows.billed_seconds) as from_second,
        least(coalesce(first_observed.observed_from, windows.window_from), windows.window_to - windows.billed_seconds) + windows.billed_seconds as to_second
    from windows
    left join first_observed on windows.window_key = first_observed.window_key
    left join dated_nodes on windows.usage_date = dated_nodes.usage_date and windows.node_key = dated_nodes.node_key
    where dated_nodes.node_key is null

),

timed as (

    select * from inventoried
    union all
    select * from assumed

),

stretches as (

    select
        timed.window_key,
        timed.usage_date,
        timed.node_key,
        timed.window_from,
        timed.window_to,
        timed.billed_seconds,
        greatest(timed.from_second, sizes.from_second) as from_second,
        least(timed.to_second, sizes.to_second) as to_second
    from timed
    inner join sizes
        on timed.usage_date = sizes.usage_date
        and timed.node_key = sizes.node_key
        and sizes.from_second < timed.to_second
        and sizes.to_second > timed.from_second

),

running as (

    select
        *,
        coalesce(sum(to_second - from_second) over (
            partition by window_key order by from_second rows between unbounded preceding and 1 preceding
        ), 0) as seconds_before,
        sum(to_second - from_second) over (partition by window_key) as valid_seconds
    from stretches

),

placed as (

    select
        window_key,
        usage_date,
        node_key,
        window_from,
        window_to,
        billed_seconds,
        from_second as billed_from,
        from_second + greatest(0, least(to_second - from_second, billed_seconds - seconds_before)) as billed_to,
        valid_seconds
    from running

),

unplaced as (

    -- a billed window in which the inventory does not have the node at all
    select windows.window_key, windows.usage_date, windows.node_key, windows.window_from, windows.window_to, windows.billed_seconds, windows.window_from as billed_from, windows.window_from as billed_to, 0 as valid_seconds
    from windows
    left join placed on windows.window_key = placed.window_key
    where placed.window_key is null

),

every as (

    select * from placed
    union all
    select * from unplaced

)

select
    every.*,
    sizes.gpu_count,
    sizes.vcpus,
    sizes.memory_gib,
    sizes.gpu_price_weight,
    sizes.is_mixed,
    case when row_number() over (partition by every.window_key order by every.billed_from) = 1
        then every.billed_seconds - sum(every.billed_to - every.billed_from) over (partition by every.window_key) else 0 end as unplaced_seconds,
    abs(every.valid_seconds - every.billed_seconds) > {{ parameter('billed_window_tolerance_seconds') }} as is_mismatched
from every
inner join sizes
    on every.usage_date = sizes.usage_date
    and every.node_key = sizes.node_key
    and every.billed_from >= sizes.from_second
    and every.billed_from < sizes.to_second
