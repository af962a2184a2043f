-- Grain: billing window x stretch of seconds on which its billed seconds lie: the earliest seconds of the node's validity within the
-- window; for a node without validity, from its first observed slot, else from the window's start. A window whose validity is too
-- short for what was billed keeps the rest as unplaced_seconds on its first row.
with

windows as (

    select * from {{ ref('int_node_windows') }}

),

validity as (

    select * from {{ ref('int_node_validity') }}

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

stretches as (

    select * from inventoried
    union all
    select * from assumed

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
        gpu_count,
        billed_seconds,
        from_second as billed_from,
        from_second + greatest(0, least(to_second - from_second, billed_seconds - seconds_before)) as billed_to,
        valid_seconds
    from running

),

unplaced as (

    -- a billed window in which the inventory does not have the node at all
    select windows.window_key, windows.usage_date, windows.node_key, windows.window_from, windows.window_to, windows.gpu_count,
        windows.billed_seconds, windows.window_from as billed_from, windows.window_from as billed_to, 0 as valid_seconds
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
    *,
    case when row_number() over (partition by window_key order by billed_from) = 1
        then billed_seconds - sum(billed_to - billed_from) over (partition by window_key) else 0 end as unplaced_seconds,
    abs(valid_seconds - billed_seconds) > {{ parameter('billed_window_tolerance_seconds') }} as is_mismatched
from every
