-- Grain: a node over one validity interval. Of several inventory rows for it the same one is shown that attribution takes.
with

nodes as (

    {{ staged('nodes', node_columns()) }}

),

ranked as (

    select
        *,
        concat(lower(hostname), '|', {{ last_segment('resource_id') }}) as node_key,
        row_number() over (
            partition by lower(hostname), {{ last_segment('resource_id') }}, valid_from, valid_to
            order by source, gpu_count desc, gpu_model, pool, labels, gpus, volumes, aliases
        ) as choice
    from nodes

),

tag_sets as (

    select * from {{ ref('int_tag_sets') }}

)

select
    nodes.node_key,
    lower(nodes.hostname) as node,
    nodes.provider,
    nodes.resource_id,
    nodes.gpu_count,
    nodes.gpu_model,
    nodes.vcpus,
    nodes.memory_gib,
    nodes.pool,
    nodes.cluster,
    nodes.zone,
    tag_sets.team as owner_team,
    nodes.valid_from,
    nodes.valid_to
from ranked as nodes
left join tag_sets on nodes.labels = tag_sets.tags
where nodes.choice = 1
