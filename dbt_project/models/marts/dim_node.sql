-- Grain: one inventory row: a node over one validity interval.
with

nodes as (

    {{ staged('nodes', node_columns()) }}

),

tag_sets as (

    select * from {{ ref('int_tag_sets') }}

)

select distinct
    concat(lower(nodes.hostname), '|', {{ last_segment('nodes.resource_id') }}) as node_key,
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
from nodes
left join tag_sets on nodes.labels = tag_sets.tags
