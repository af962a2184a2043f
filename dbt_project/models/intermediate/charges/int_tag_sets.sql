-- Grain: one distinct tag set of the night's charges and workload labels, read through the tag policy (alias, folding, value
-- map). Two aliases that disagree within one set: the alias that the policy names first wins, and the collision is told.
with

charge_tags as (

    select distinct tags from {{ ref('int_charges') }}

),

workload_labels as (

    select distinct labels as tags from ({{ staged('workload_intervals', ['labels']) }}) as staged_intervals

),

node_labels as (

    select distinct labels as tags from ({{ staged('nodes', ['labels']) }}) as staged_nodes

),

tag_sets as (

    select tags from charge_tags
    union
    select tags from workload_labels
    union
    select tags from node_labels

),

entries as (

    select entry_source as tags, {{ normalised_tag_key('entry_key') }} as tag_key, {{ normalised_tag_value('entry_value') }} as tag_value
    from {{ json_entries('tag_sets', 'tags') }} as tag_entries

),

aliases as (

    select * from {{ source('policy', 'tag_aliases') }}

),

value_map as (

    select * from {{ source('policy', 'tag_values') }}

),

matched as (

    select
        entries.tags,
        aliases.canonical_key,
        aliases.alias_rank,
        coalesce(value_map.canonical_value, case when aliases.is_case_folded then lower(entries.tag_value) else entries.tag_value end) as canonical_value
    from entries
    inner join aliases on entries.tag_key = aliases.alias
    left join value_map
        on aliases.canonical_key = value_map.canonical_key
        and lower(entries.tag_value) = value_map.raw_value
    where entries.tag_value <> ''
        -- Google's names for what belongs to no namespace: nobody's team, and no workload
        and (aliases.canonical_key = 'namespace'
            or entries.tag_value not in ('kube:unallocated', 'kube:system-overhead', 'goog-k8s-unknown', 'goog-k8s-unsupported-sku'))

),

ranked as (

    select
        *,
        row_number() over (partition by tags, canonical_key order by alias_rank, canonical_value) as choice,
        count(*) over (partition by tags, canonical_key) as offered,
        min(canonical_value) over (partition by tags, canonical_key) as lowest_value,
        max(canonical_value) over (partition by tags, canonical_key) as highest_value
    from matched

),

pivoted as (

    select
        tag_sets.tags,
        max(case when canonical_key = 'team' then canonical_value end) as team,
        max(case when canonical_key = 'model' then canonical_value end) as model,
        max(case when canonical_key = 'environment' then canonical_value end) as environment,
        max(case when canonical_key = 'project' then canonical_value end) as project,
        max(case when canonical_key = 'cluster' then canonical_value end) as cluster,
        max(case when canonical_key = 'pool' then canonical_value end) as pool,
        max(case when canonical_key = 'namespace' then canonical_value end) as namespace,
        max(case when canonical_key = 'run_id' then canonical_value end) as run_id,
        max(case when canonical_key = 'endpoint' then canonical_value end) as endpoint,
        max(case when canonical_key = 'hpc_job' then canonical_value end) as hpc_job,
        max(case when canonical_key = 'pod' then canonical_value end) as pod,
        max(case when canonical_key = 'pod_uid' then canonical_value end) as pod_uid,
        max(case when canonical_key = 'job' then canonical_value end) as job,
        coalesce(max(case when lowest_value <> highest_value then 1 else 0 end), 0) = 1 as has_collision
    from tag_sets
    left join ranked on tag_sets.tags = ranked.tags and ranked.choice = 1
    group by tag_sets.tags

)

select * from pivoted
