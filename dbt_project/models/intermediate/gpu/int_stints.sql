-- Grain: day x stint of an attempt whose node the inventory knows on that day, cut to the day. A stint of the day before is kept for
-- its label: a label that outlives its interval loses.
with

days as (

    select * from {{ ref('int_days') }}

),

attempts as (

    select * from {{ ref('int_workload_attempts') }}
    where not is_empty

),

dated as (

    select
        days.usage_date,
        days.day_from,
        days.day_to,
        attempts.*,
        greatest(attempts.started_second, days.day_from) as from_second,
        least(attempts.ended_second, days.day_to) as to_second
    from attempts
    inner join days on attempts.started_second < days.day_to and attempts.ended_second > days.day_from - 86400

),

placed as (

    select
        dated.*,
        names.node_key,
        row_number() over (
            partition by dated.usage_date, dated.stint_key order by
                case when names.valid_from_second < dated.ended_second and names.valid_to_second > dated.started_second then 0 else 1 end,
                names.name_rank, names.valid_from_second desc, names.node_key
        ) as choice
    from dated
    left join {{ ref('int_node_names') }} as names on dated.usage_date = names.usage_date and dated.hostname = names.node_name

)

select * from placed
where choice = 1
