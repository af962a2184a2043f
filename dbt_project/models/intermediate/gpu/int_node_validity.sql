-- Grain: day x node x stretch in which the inventory has it (overlapping rows melted together); NULL ends are open. A node without any
-- time in the inventory has no row.
with

days as (

    select * from {{ ref('int_days') }}

),

staged as (

    {{ staged('nodes', node_columns()) }}

),

stretches as (

    select distinct
        days.usage_date,
        concat(lower(staged.hostname), '|', {{ last_segment('staged.resource_id') }}) as node_key,
        coalesce({{ epoch_seconds('staged.valid_from') }}, 0) as from_second,
        coalesce({{ epoch_seconds('staged.valid_to') }}, 9223372036) as to_second
    from staged
    inner join days
        on coalesce({{ epoch_seconds('staged.valid_from') }}, 0) < days.day_to
        and coalesce({{ epoch_seconds('staged.valid_to') }}, 9223372036) > days.day_from
    where staged.valid_from is not null or staged.valid_to is not null

),

opened as (

    select
        *,
        case when from_second <= max(to_second) over (
            partition by usage_date, node_key order by from_second, to_second rows between unbounded preceding and 1 preceding
        ) then 0 else 1 end as opens
    from stretches

),

numbered as (

    select *, sum(opens) over (partition by usage_date, node_key order by from_second, to_second rows between unbounded preceding and current row) as stretch
    from opened

)

select usage_date, node_key, min(from_second) as from_second, max(to_second) as to_second
from numbered
group by usage_date, node_key, stretch
