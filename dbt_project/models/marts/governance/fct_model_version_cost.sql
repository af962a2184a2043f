-- Grain: one version of a model (a run that succeeded), with what was spent on the model since the version before it; and per model, team and environment one
-- open row (workload_key NULL) for what no success followed yet. The rows sum to all runs that name a model.
with

runs as (

    select * from {{ ref('fct_model_version_run') }}

),

summed as (

    select
        {{ lineage() | join(', ') }},
        version_workload_key as workload_key,
        min(began_at) as first_began_at,
        substr(version_workload_key, length({{ dbt.split_part('version_workload_key', "'/'", 1) }}) + 2) as run_id,
        min(case when cost_role = 'version' then began_at end) as started_at,
        max(case when cost_role = 'version' then ended_at end) as ended_at,
        max(case when workload_key = version_workload_key then tracker_url end) as tracker_url,
        min(first_usage_date) as first_usage_date,
        max(last_usage_date) as last_usage_date,
        cast(count(*) as bigint) as run_count,
        {%- for outcome in version_outcomes() %}
        cast(sum(case when {{ is_spent_as(outcome) }} then 1 else 0 end) as bigint) as {{ outcome }}_run_count,
        {%- endfor %}
        cast(sum(case when pricing_status <> 'priced' then 1 else 0 end) as bigint) as unpriced_run_count,
        cast(sum(held_gpu_seconds) as decimal(38, 6)) as held_gpu_seconds,
        cast(sum(used_gpu_seconds) as decimal(38, 6)) as used_gpu_seconds,
        cast(sum(run_cost_usd) as decimal(38, 12)) as version_cost_usd,
        cast(sum(case when cost_role = 'version' then run_cost_usd end) as decimal(38, 12)) as own_cost_usd,
        cast(sum(case when cost_role = 'version' then interrupted_cost_usd end) as decimal(38, 12)) as own_interrupted_cost_usd,
        -- 0 where there is no such run, NULL where none of them is priced
        {%- for outcome in version_outcomes() %}
        cast(coalesce(
            sum(case when {{ is_spent_as(outcome) }} then run_cost_usd end), case when sum(case when {{ is_spent_as(outcome) }} then 1 else 0 end) = 0 then 0 end
        ) as decimal(38, 12)) as {{ outcome }}_run_cost_usd,
        {%- endfor %}
        cast(sum(held_idle_cost_usd) as decimal(38, 12)) as held_idle_cost_usd,
        cast(sum(unknown_cost_usd) as decimal(38, 12)) as unknown_cost_usd
    from runs
    group by {{ lineage() | join(', ') }}, version_workload_key

),

followed as (

    select
        {{ lineage() | join(', ') }},
        workload_key,
        lag(workload_key) over (partition by {{ lineage() | join(', ') }} order by {{ started_text('started_at', 'workload_key') }}) as previous_workload_key,
        lag(started_at) over (partition by {{ lineage() | join(', ') }} order by {{ started_text('started_at', 'workload_key') }}) as previous_started_at
    from summed
    where workload_key is not null

)

select
    summed.model,
    summed.team,
    summed.environment,
    summed.workload_key,
    case when summed.workload_key is null then 'open' else 'version' end as row_kind,
    summed.run_id,
    summed.tracker_url,
    summed.started_at,
    summed.ended_at,
    summed.first_usage_date,
    summed.last_usage_date,
    followed.previous_workload_key,
    cast({{ epoch_seconds('summed.started_at') }} - {{ epoch_seconds('followed.previous_started_at') }} as bigint) as seconds_since_previous,
    case
        when summed.unpriced_run_count > 0 then 'not_priced'
        when summed.first_began_at < (select cast(min(usage_date) as timestamp) from {{ ref('dim_date') }}) then 'begins_before_first_day'
        when summed.workload_key is not null and followed.previous_workload_key is null then 'no_earlier_version'
    end as incomplete_reason,
    summed.run_count,
    {%- for outcome in version_outcomes() %}
    summed.{{ outcome }}_run_count,
    {%- endfor %}
    summed.unpriced_run_count,
    summed.held_gpu_seconds,
    summed.used_gpu_seconds,
    summed.version_cost_usd,
    summed.own_cost_usd,
    summed.own_interrupted_cost_usd,
    {%- for outcome in version_outcomes() %}
    summed.{{ outcome }}_run_cost_usd,
    {%- endfor %}
    summed.held_idle_cost_usd,
    summed.unknown_cost_usd
from summed
left join followed on summed.workload_key = followed.workload_key and {{ same_lineage('summed', 'followed') }}
