-- Grain: day x unit x second before the day (its first one included) at which an interval on the unit ended: no fill behind an earlier sample
-- crosses midnight. What a day knows of the intervals of the evening before: those that name the GPU, those whose label the unit bore in the
-- day's lead-in, and those whose count is all of the node if no unit of it bore their label there.
with

days as (

    select * from {{ ref('int_days') }}

),

units as (

    select fleet.usage_date, fleet.node_key, fleet.gpu_key, fleet.unit_key
    from {{ ref('int_gpu_fleet') }} as fleet
    inner join days on fleet.usage_date = days.usage_date and fleet.from_second = days.day_from
    where not fleet.is_remainder

),

gpu_ids as (

    select distinct element_source, element from {{ json_elements(ref('int_workload_attempts'), 'gpu_ids') }} as gpu_id_elements

),

ended as (

    select stints.usage_date, stints.node_key, stints.stint_key, stints.gpu_ids, stints.gpu_count, stints.ended_second, days.day_from
    from {{ ref('int_stints') }} as stints
    inner join days
        on stints.usage_date = days.usage_date
        and stints.ended_second <= days.day_from
        and stints.ended_second > days.day_from - {{ longest_lead_in_seconds() }}
    where stints.node_key is not null and stints.started_second < stints.ended_second

),

named as (

    select ended.usage_date, ended.node_key, units.unit_key, ended.ended_second
    from ended
    {{ join_named_units('ended', 'gpu_ids', ref('int_gpu_device_names'), 'units') }}

),

labelled as (

    select distinct blocks.usage_date, blocks.node_key, blocks.unit_key, stints.stint_key, stints.ended_second
    from {{ ref('int_gpu_unit_blocks') }} as blocks
    inner join days on blocks.usage_date = days.usage_date and blocks.first_sampled_second < days.day_from
    inner join {{ ref('int_label_stints') }} as stints
        on blocks.usage_date = stints.usage_date
        and blocks.node_key = stints.node_key
        and blocks.holder_label = stints.holder_label
        and blocks.pod_uid is not distinct from stints.pod_uid
        and stints.started_second < stints.ended_second
        and stints.ended_second <= days.day_from
        and stints.ended_second > days.day_from - {{ longest_lead_in_seconds() }}

),

whole_node as (

    select ended.usage_date, ended.node_key, units.unit_key, ended.ended_second
    from ended
    inner join {{ ref('int_node_sizes') }} as sizes
        on ended.usage_date = sizes.usage_date
        and ended.node_key = sizes.node_key
        and ended.day_from >= sizes.from_second
        and ended.day_from < sizes.to_second
        and ended.gpu_count >= sizes.gpu_count
    inner join units on ended.usage_date = units.usage_date and ended.node_key = units.node_key
    left join (select distinct usage_date, node_key, stint_key from labelled) as by_label
        on ended.usage_date = by_label.usage_date and ended.node_key = by_label.node_key and ended.stint_key = by_label.stint_key
    where ended.gpu_ids is null and ended.gpu_count > 0 and by_label.stint_key is null

),

edges as (

    select usage_date, node_key, unit_key, ended_second as edge_second from named
    union
    select usage_date, node_key, unit_key, ended_second from labelled
    union
    select usage_date, node_key, unit_key, ended_second from whole_node

)

select * from edges
