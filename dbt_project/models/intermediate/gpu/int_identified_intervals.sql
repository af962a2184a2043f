-- Grain: one stint as a source told it (once however often it was delivered) x the stretch of it that belongs to one run. Which run: what a
-- source states; for a scheduler's job or pod its own run or endpoint label, else the run of a tracker (MLflow) whose tags name it, else what
-- the scheduler calls it. Where several runs claim one job, each second goes to one: a child before its parent, then the later start, then
-- the key; between claims and around them, within the UTC days that a claim touches, to the neighbour: a claim changes no other day.
with

staged as (

    {{ staged('workload_intervals', workload_interval_columns()) }}

),

ranked as (

    select
        *,
        {{ telling_of_stint() }} as telling
    from staged

),

told as (

    select
        ranked.*,
        {{ digest(['workload_type', 'workload_id', 'attempt_id', 'hostname', 'started_at']) }} as telling_key,
        {{ epoch_seconds('started_at') }} as started_second,
        -- no end yet: open, up to the end of whatever day asks
        coalesce({{ epoch_seconds('ended_at') }}, 9223372036) as ended_second,
        case when identity = 'owner' then tag_sets.run_id end as run_tag,
        case when identity = 'owner' then tag_sets.endpoint end as endpoint_tag,
        tag_sets.hpc_job as hpc_job_tag,
        tag_sets.pod_uid as pod_uid_tag,
        tag_sets.pod as pod_tag,
        tag_sets.job as job_tag
    from ranked
    -- a stint is whose it was by the rules of the day on which it started, on every day
    left join {{ ref('int_tag_sets') }} as tag_sets on ranked.labels = tag_sets.tags and {{ in_era('cast(ranked.started_at as date)') }}
    where telling = 1

),

job_names as (

    select distinct element_source as job_names, element as job_name
    from {{ json_elements('told', 'job_names') }} as job_name_elements

),

-- who can be claimed: what a scheduler names, and no label of its own says better
owned as (

    select * from told where identity = 'owner' and run_tag is null and endpoint_tag is null

),

names as (

    select owned.telling_key, case when owned.hpc_job is null then 'job' else 'hpc_job' end as name_kind, job_names.job_name as name
    from owned
    inner join job_names on owned.job_names = job_names.job_names
    union
    select telling_key, 'hpc_job', hpc_job from owned where hpc_job is not null
    union
    select telling_key, 'pod_uid', pod_uid from owned where pod_uid is not null
    union
    select telling_key, 'pod', pod from owned where pod is not null
    union
    select telling_key, 'pod', concat(namespace, '/', pod) from owned where pod is not null and namespace is not null

),

-- who claims: runs of a tracker, and stated runs that name their job but no GPU
claimants as (

    select
        told.telling_key as claim_key, told.workload_type, told.workload_id, told.parent_workload_id,
        -- what it inherits from its parent holds while its parent ran
        case when parents.telling_key is null then told.started_second else greatest(told.started_second, parents.started_second) end as started_second,
        case when parents.telling_key is null then told.ended_second else least(told.ended_second, parents.ended_second) end as ended_second,
        {% for tag, column in [('hpc_job_tag', 'hpc_job'), ('pod_uid_tag', 'pod_uid'), ('pod_tag', 'pod'), ('job_tag', 'cast(null as ' ~ dbt.type_string() ~ ')')] -%}
        -- a child run that names no job is where its parent is
        case
            when parents.telling_key is not null then parents.{{ tag }}
            else coalesce(told.{{ tag }}, {% if column == 'pod' %}case when told.namespace is not null and told.pod is not null then concat(told.namespace, '/', told.pod) else told.pod end{% elif 'cast' in column %}{{ column }}{% else %}told.{{ column }}{% endif %})
        end as {{ tag | replace('_tag', '') }}{% if not loop.last %},{% endif %}
        {% endfor %}
    from told
    left join told as parents
        on told.source = parents.source and told.parent_workload_id = parents.workload_id and told.identity = 'tracker' and parents.identity = 'tracker'
        and coalesce(told.hpc_job_tag, told.pod_uid_tag, told.pod_tag, told.job_tag) is null
    where told.identity = 'tracker' or (told.identity = 'stated' and told.gpu_ids is null and told.gpu_count is null)

),

references_made as (

    {% for kind in ['hpc_job', 'pod_uid', 'pod', 'job'] -%}
    select claim_key, '{{ kind }}' as name_kind, {% if kind == 'hpc_job' %}{{ job_of_step('hpc_job') }}{% else %}{{ kind }}{% endif %} as name
    from claimants where {{ kind }} is not null
    {% if not loop.last %}union{% endif %}
    {% endfor %}

),

claims as (

    select distinct
        owned.telling_key, owned.started_second as job_from, owned.ended_second as job_to,
        claimants.workload_type, claimants.workload_id, claimants.parent_workload_id,
        claimants.started_second as claim_from, claimants.ended_second as claim_to,
        claimants.started_second - claimants.started_second % 86400 as days_from,
        claimants.ended_second + 86399 - (claimants.ended_second + 86399) % 86400 as days_to
    from references_made
    inner join names on references_made.name_kind = names.name_kind and references_made.name = names.name
    inner join owned on names.telling_key = owned.telling_key
    inner join claimants on references_made.claim_key = claimants.claim_key
    where claimants.started_second < owned.ended_second and claimants.ended_second > owned.started_second

),

cuts as (

    select telling_key, job_from as cut_second, job_to from claims
    union
    select telling_key, claim_from, job_to from claims where claim_from > job_from
    union
    select telling_key, claim_to, job_to from claims where claim_to < job_to
    union
    select telling_key, days_from, job_to from claims where days_from > job_from
    union
    select telling_key, days_to, job_to from claims where days_to < job_to

),

pieces as (

    select
        telling_key, cut_second as from_second,
        lead(cut_second, 1, job_to) over (partition by telling_key order by cut_second) as to_second
    from cuts

),

candidates as (

    select
        pieces.telling_key, pieces.from_second, pieces.to_second, claims.workload_type, claims.workload_id, claims.claim_from, claims.claim_to,
        claims.claim_from <= pieces.from_second and claims.claim_to > pieces.from_second as is_active,
        children.telling_key is not null as has_child
    from pieces
    inner join claims on pieces.telling_key = claims.telling_key
    left join (select distinct telling_key, parent_workload_id, workload_type, claim_from, claim_to from claims) as children
        on claims.telling_key = children.telling_key
        and claims.workload_type = children.workload_type
        and claims.workload_id = children.parent_workload_id
        and children.claim_from <= pieces.from_second
        and children.claim_to > pieces.from_second
    where claims.days_from <= pieces.from_second and claims.days_to > pieces.from_second
    union all
    -- on days that no claim touches: what the scheduler calls it
    select
        pieces.telling_key, pieces.from_second, pieces.to_second, owned.workload_type, owned.workload_id,
        cast(null as bigint) as claim_from, cast(null as bigint) as claim_to, false as is_active, false as has_child
    from pieces
    inner join owned on pieces.telling_key = owned.telling_key

),

chosen as (

    select
        *,
        row_number() over (
            partition by telling_key, from_second
            order by
                case when is_active then 0 when claim_to <= from_second then 1 when claim_from is not null then 2 else 3 end,
                case when has_child then 1 else 0 end,
                case when is_active then -claim_from when claim_to <= from_second then -claim_to else claim_from end,
                workload_type, workload_id
        ) as choice
    from candidates

),

contests as (

    select telling_key, from_second, count(distinct concat(workload_type, '/', workload_id)) as rival_count
    from candidates
    where is_active and not has_child
    group by telling_key, from_second

),

won as (

    select
        chosen.telling_key, chosen.from_second, chosen.to_second, chosen.workload_type, chosen.workload_id, chosen.claim_from is not null as is_claimed,
        coalesce(contests.rival_count, 1) as rival_count,
        case when lag(concat(chosen.workload_type, '/', chosen.workload_id, case when contests.rival_count > 1 then '!' else '' end))
            over (partition by chosen.telling_key order by chosen.from_second)
            = concat(chosen.workload_type, '/', chosen.workload_id, case when contests.rival_count > 1 then '!' else '' end) then 0 else 1 end as opens
    from chosen
    left join contests on chosen.telling_key = contests.telling_key and chosen.from_second = contests.from_second
    where choice = 1

),

numbered as (

    select *, sum(opens) over (partition by telling_key order by from_second rows between unbounded preceding and current row) as part
    from won

),

parts as (

    select
        telling_key, workload_type, workload_id, min(from_second) as from_second, max(to_second) as to_second,
        max(case when is_claimed then 1 else 0 end) as is_claimed,
        sum(case when rival_count > 1 then to_second - from_second else 0 end) as contested_seconds
    from numbered
    group by telling_key, workload_type, workload_id, part

),

identified as (

    select
        told.source,
        case
            when parts.telling_key is not null then parts.workload_type
            when told.run_tag is not null and (told.endpoint_tag is null or told.workload_type <> 'endpoint') then 'training_run'
            when told.endpoint_tag is not null then 'endpoint'
            else told.workload_type
        end as workload_type,
        case
            when parts.telling_key is not null then parts.workload_id
            when told.run_tag is not null and (told.endpoint_tag is null or told.workload_type <> 'endpoint') then told.run_tag
            else coalesce(told.endpoint_tag, told.workload_id)
        end as workload_id,
        told.attempt_id,
        case when parts.from_second > told.started_second then {{ timestamp_of('parts.from_second') }} else told.started_at end as started_at,
        case when parts.to_second < told.ended_second then {{ timestamp_of('parts.to_second') }} else told.ended_at end as ended_at,
        coalesce(parts.from_second, told.started_second) as started_second,
        coalesce(parts.to_second, told.ended_second) as ended_second,
        {% for column in workload_interval_columns() if column not in ['source', 'workload_type', 'workload_id', 'attempt_id', 'started_at', 'ended_at'] -%}
        told.{{ column }},
        {% endfor -%}
        case when parts.is_claimed = 1 then 'tracker' when told.run_tag is not null or told.endpoint_tag is not null then 'label' else told.identity end as identified_by,
        coalesce(parts.contested_seconds, 0) as contested_seconds
    from told
    left join parts on told.telling_key = parts.telling_key

)

select * from identified
