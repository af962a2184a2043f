-- Grain: one distinct tag set of the night's charges and workload labels x the days (valid_from to valid_to, NULL without end) on which the same
-- rules of the tag policy hold for it (alias, folding, value map): one row where no rule that it meets has days of its own. Two aliases that
-- disagree within one set: the alias that the policy names first wins, and the collision is told.
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

candidates as (

    select
        entries.tags,
        aliases.canonical_key,
        aliases.alias_rank,
        aliases.valid_from,
        aliases.valid_to,
        lower(entries.tag_value) as raw_value,
        case when aliases.is_case_folded then lower(entries.tag_value) else entries.tag_value end as tag_value
    from entries
    inner join aliases on entries.tag_key = aliases.alias
    where entries.tag_value <> ''
        -- Google's names for what belongs to no namespace: nobody's team, and no workload
        and (aliases.canonical_key = 'namespace'
            or entries.tag_value not in ('kube:unallocated', 'kube:system-overhead', 'goog-k8s-unknown', 'goog-k8s-unsupported-sku'))

),

-- the days on which a rule that the set meets begins or ends
cuts as (

    select tags, date '0001-01-01' as cut_date from tag_sets
    {%- for bound in ['valid_from', 'valid_to'] %}
    union
    select tags, {{ bound }} from candidates where {{ bound }} is not null
    union
    select candidates.tags, value_map.{{ bound }}
    from candidates
    inner join value_map on candidates.canonical_key = value_map.canonical_key and candidates.raw_value = value_map.raw_value
    where value_map.{{ bound }} is not null
    {%- endfor %}

),

eras as (

    select tags, cut_date as era_from, lead(cut_date) over (partition by tags order by cut_date) as era_to
    from cuts

),

matched as (

    select
        eras.tags,
        eras.era_from,
        candidates.canonical_key,
        candidates.alias_rank,
        coalesce(value_map.canonical_value, candidates.tag_value) as canonical_value
    from eras
    inner join candidates
        on eras.tags = candidates.tags
        and (candidates.valid_from is null or eras.era_from >= candidates.valid_from)
        and (candidates.valid_to is null or eras.era_from < candidates.valid_to)
    left join value_map
        on candidates.canonical_key = value_map.canonical_key
        and candidates.raw_value = value_map.raw_value
        and (value_map.valid_from is null or eras.era_from >= value_map.valid_from)
        and (value_map.valid_to is null or eras.era_from < value_map.valid_to)

),

ranked as (

    select
        *,
        row_number() over (partition by tags, era_from, canonical_key order by alias_rank, canonical_value) as choice,
        count(*) over (partition by tags, era_from, canonical_key) as offered,
        min(canonical_value) over (partition by tags, era_from, canonical_key) as lowest_value,
        max(canonical_value) over (partition by tags, era_from, canonical_key) as highest_value
    from matched

),

pivoted as (

    select
        eras.tags,
        nullif(eras.era_from, date '0001-01-01') as valid_from,
        eras.era_to as valid_to,
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
        max(case when canonical_key = 'creator' then canonical_value end) as creator,
        coalesce(max(case when lowest_value <> highest_value then 1 else 0 end), 0) = 1 as has_collision
    from eras
    left join ranked on eras.tags = ranked.tags and eras.era_from = ranked.era_from and ranked.choice = 1
    group by eras.tags, eras.era_from, eras.era_to

)

select * from pivoted
