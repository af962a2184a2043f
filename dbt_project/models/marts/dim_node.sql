-- Grain: a node over one validity interval. Of several inventory rows for it the same one is shown that attribution takes; rows of its source
-- that name other GPU models are parts of the machine.
with

nodes as (

    {{ staged('nodes', node_columns()) }}

),

ranked as (

    select
        nodes.*,
        concat(lower(hostname), '|', {{ last_segment('resource_id') }}) as node_key,
        least(coalesce(cast(valid_to as date), last_published.last_date), last_published.last_date) as last_date,
        row_number() over (
            partition by lower(hostname), {{ last_segment('resource_id') }}, valid_from, valid_to
            order by source, gpu_count desc, gpu_model, pool, labels, gpus, volumes, aliases
        ) as choice
    from nodes
    cross join (select max(usage_date) as last_date from {{ source('ops', 'published_days') }}) as last_published

),

parts as (

    select
        ranked.node_key,
        ranked.valid_from,
        ranked.valid_to,
        coalesce(ranked.gpu_model, '') as entry_key,
        max(ranked.gpu_count) as gpu_count
    from ranked
    inner join ranked as latest
        on latest.choice = 1
        and ranked.node_key = latest.node_key
        and ranked.valid_from is not distinct from latest.valid_from
        and ranked.valid_to is not distinct from latest.valid_to
        and ranked.source = latest.source
    group by ranked.node_key, ranked.valid_from, ranked.valid_to, coalesce(ranked.gpu_model, '')

),

machines as (

    select node_key, valid_from, valid_to, cast(sum(gpu_count) as bigint) as gpu_count, {{ ordered_text("nullif(entry_key, '')", ' + ', 'entry_key') }} as gpu_model
    from parts
    group by node_key, valid_from, valid_to

),

tag_sets as (

    select * from {{ ref('int_tag_sets') }}

)

select
    nodes.node_key,
    lower(nodes.hostname) as node,
    nodes.provider,
    nodes.resource_id,
    machines.gpu_count,
    machines.gpu_model,
    nodes.vcpus,
    nodes.memory_gib,
    nodes.pool,
    nodes.cluster,
    nodes.zone,
    tag_sets.team as owner_team,
    nodes.valid_from,
    nodes.valid_to
from ranked as nodes
inner join machines
    on nodes.node_key = machines.node_key
    and nodes.valid_from is not distinct from machines.valid_from
    and nodes.valid_to is not distinct from machines.valid_to
-- by the rules of its last day, or of the last published one
left join tag_sets on nodes.labels = tag_sets.tags and {{ in_era('nodes.last_date') }}
where nodes.choice = 1
