-- Grain: one workload that any source has told of, or that holds money by a tag alone.
with

labelled as (

    select
        attempts.workload_key, attempts.started_second,
        case when attempts.parent_workload_id is not null then concat(attempts.workload_type, '/', attempts.parent_workload_id) end as parent_workload_key,
        tag_sets.team, tag_sets.model, tag_sets.environment, tag_sets.project
    from {{ ref('int_workload_attempts') }} as attempts
    left join {{ ref('int_tag_sets') }} as tag_sets on attempts.labels = tag_sets.tags and {{ in_era('cast(attempts.started_at as date)') }}

),

tags as (

    select
        workload_key,
        {{ latest_filled('team') }} as team,
        {{ latest_filled('model') }} as model,
        {{ latest_filled('environment') }} as environment,
        {{ latest_filled('project') }} as project,
        {{ latest_filled('parent_workload_key') }} as parent_workload_key
    from labelled
    group by workload_key

),

spans as (

    select
        workload_key,
        min(workload_type) as workload_type,
        min(workload_id) as workload_id,
        min(started_at) as started_at,
        case when count(ended_at) = count(*) then max(ended_at) end as ended_at,
        max_by(state, concat(lpad(cast(started_second as {{ dbt.type_string() }}), 12, '0'), coalesce(state, ''))) as state,
        {{ latest_outcome('state', 'ended_at', 'started_second') }} as outcome,
        cast(count(distinct attempt_key) as bigint) as attempt_count
    from {{ ref('int_workload_attempts') }}
    group by workload_key

),

-- what the policy says of a workload by its key alone: the repair that began last
repairs as (

    select
        workload_key,
        {%- for key in repaired_keys() %}
        max(case when canonical_key = '{{ key }}' and is_override then canonical_value end) as {{ key }}_override,
        max(case when canonical_key = '{{ key }}' and not is_override then canonical_value end) as {{ key }}_fill{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        select
            *, row_number() over (partition by workload_key, canonical_key, is_override order by coalesce(valid_from, date '0001-01-01') desc, repair_rank) as choice
        from {{ source('policy', 'tag_repairs') }}
        where workload_key is not null and {% for column in repair_columns() if column != 'workload_key' %}{{ column }} is null{{ ' and ' if not loop.last }}{% endfor %}
    ) as ranked
    where choice = 1
    group by workload_key

),

told as (

    select
        tags.workload_key, spans.workload_type, spans.workload_id, tags.parent_workload_key,
        {% for key in repaired_keys() %}coalesce(repairs.{{ key }}_override, tags.{{ key }}, repairs.{{ key }}_fill) as {{ key }}, {% endfor %}
        spans.state, spans.outcome, spans.started_at, spans.ended_at, spans.attempt_count, true as is_registered
    from tags
    inner join spans on tags.workload_key = spans.workload_key
    left join repairs on tags.workload_key = repairs.workload_key

),

only_in_ledger as (

    -- nobody tells of it but the tags of its charges
    select
        attempt_days.workload_key,
        max(attempt_days.team) as team,
        max(attempt_days.model) as model,
        max(attempt_days.environment) as environment,
        max(attempt_days.project) as project
    from {{ ref('int_attempt_days') }} as attempt_days
    left join told on attempt_days.workload_key = told.workload_key
    where told.workload_key is null
    group by attempt_days.workload_key

),

workloads as (

    select * from told
    union all
    select
        workload_key,
        {{ dbt.split_part('workload_key', "'/'", 1) }} as workload_type,
        substr(workload_key, length({{ dbt.split_part('workload_key', "'/'", 1) }}) + 2) as workload_id,
        cast(null as {{ dbt.type_string() }}) as parent_workload_key,
        team,
        model,
        environment,
        project,
        cast(null as {{ dbt.type_string() }}) as state,
        'unknown' as outcome,
        cast(null as timestamp) as started_at,
        cast(null as timestamp) as ended_at,
        cast(0 as bigint) as attempt_count,
        false as is_registered
    from only_in_ledger

)

select * from workloads
