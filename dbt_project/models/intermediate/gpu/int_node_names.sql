-- Grain: day x one name under which telemetry or workloads may know a node: its host name, its first label, its resource id, an
-- alias.
with

nodes as (

    select * from {{ ref('int_nodes') }}

),

alias_names as (

    select distinct element_source as aliases, lower(element) as alias_name
    from {{ json_elements('nodes', 'aliases') }} as alias_elements

),

names as (

    select usage_date, node_key, hostname as node_name, 1 as name_rank, valid_from_second, valid_to_second from nodes
    union all
    select usage_date, node_key, resource_id, 2, valid_from_second, valid_to_second from nodes
    union all
    select nodes.usage_date, nodes.node_key, alias_names.alias_name, 3, nodes.valid_from_second, nodes.valid_to_second
    from nodes
    inner join alias_names on nodes.aliases = alias_names.aliases
    union all
    select usage_date, node_key, {{ dbt.split_part('hostname', "'.'", 1) }}, 4, valid_from_second, valid_to_second from nodes

),

distinct_names as (

    select
        usage_date,
        node_name,
        node_key,
        min(name_rank) as name_rank,
        coalesce(min(valid_from_second), 0) as valid_from_second,
        coalesce(max(valid_to_second), 9223372036) as valid_to_second
    from names
    where node_name is not null and node_name <> ''
    group by usage_date, node_name, node_key

)

select * from distinct_names
