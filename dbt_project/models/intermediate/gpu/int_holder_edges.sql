-- Grain: day x node x second at which a workload interval starts or ends there, or the inventory's stretch of the node ends. Between
-- two edges neither a label nor an interval can change its meaning, and no fill is stopped.
with

days as (

    select * from {{ ref('int_days') }}

),

placed as (

    select usage_date, node_key, started_second, ended_second from {{ ref('int_stints') }}
    where node_key is not null
    union
    select usage_date, node_key, started_second, ended_second from {{ ref('int_label_stints') }}

),

seconds as (

    select usage_date, node_key, started_second as edge_second from placed
    union
    select usage_date, node_key, ended_second from placed
    union
    select usage_date, node_key, to_second from {{ ref('int_node_validity') }}

),

edges as (

    select seconds.usage_date, seconds.node_key, seconds.edge_second
    from seconds
    inner join days on seconds.usage_date = days.usage_date and seconds.edge_second > days.day_from - {{ longest_lead_in_seconds() }} and seconds.edge_second < days.day_to

)

select * from edges
