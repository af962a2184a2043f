-- Grain: one run of a model: which version of the model its dollars belong to. A version is a run that succeeded; what failed, was pre-empted, cancelled
-- or ended unknown before it belongs to it, what still runs or has no success after it to none (open).
with

runs as (

    select * from {{ ref('fct_run_cost') }}
    where model is not null

),

workloads as (

    select * from {{ ref('dim_workload') }}

),

-- a nested run (a trial, a fold) is part of its parent's version, once the parent told how it ended; two levels up
nested as (

    select
        workloads.workload_key,
        coalesce(grandparents.workload_key, parents.workload_key) as root_workload_key,
        coalesce(grandparents.outcome, parents.outcome) as root_outcome,
        coalesce(grandparents.started_at, parents.started_at) as root_started_at
    from workloads
    inner join workloads as parents
        on workloads.parent_workload_key = parents.workload_key and {{ same_lineage('workloads', 'parents') }} and parents.outcome not in ('running', 'unknown')
    left join workloads as grandparents
        on parents.parent_workload_key = grandparents.workload_key and {{ same_lineage('parents', 'grandparents') }}
        and grandparents.outcome not in ('running', 'unknown')

),

rooted as (

    select
        runs.*,
        coalesce(nested.root_workload_key, runs.workload_key) as root_workload_key,
        case when nested.root_workload_key is not null then nested.root_outcome else coalesce(runs.outcome, 'unknown') end as root_outcome,
        coalesce(nested.root_started_at, runs.started_at, cast(runs.first_usage_date as timestamp)) as root_started_at
    from runs
    left join nested on runs.workload_key = nested.workload_key

),

units as (

    select
        {{ lineage() | join(', ') }},
        root_workload_key,
        root_outcome,
        {{ started_text('min(root_started_at)', 'root_workload_key') }} as unit_text
    from rooted
    group by {{ lineage() | join(', ') }}, root_workload_key, root_outcome

),

-- the first success from here on; what still runs is undecided
assigned as (

    select
        *,
        case when root_outcome <> 'running' then
            min(case when root_outcome = 'succeeded' then unit_text end) over (
                partition by {{ lineage() | join(', ') }}
                order by unit_text
                rows between current row and unbounded following
            )
        end as version_text
    from units

)

select
    rooted.workload_key,
    rooted.run_id,
    rooted.model,
    rooted.team,
    rooted.environment,
    rooted.project,
    coalesce(rooted.outcome, 'unknown') as outcome,
    rooted.root_workload_key,
    rooted.root_outcome,
    substr(assigned.version_text, 14) as version_workload_key,
    case
        when assigned.version_text is null then 'open'
        when substr(assigned.version_text, 14) = rooted.root_workload_key then 'version'
        else 'before_version'
    end as cost_role,
    coalesce(rooted.started_at, cast(rooted.first_usage_date as timestamp)) as began_at,
    rooted.ended_at,
    rooted.first_usage_date,
    rooted.last_usage_date,
    rooted.pricing_status,
    rooted.held_gpu_seconds,
    rooted.used_gpu_seconds,
    rooted.run_cost_usd,
    rooted.held_idle_cost_usd,
    rooted.unknown_cost_usd,
    case
        when rooted.run_cost_usd is null then null
        when rooted.outcome in ('failed', 'preempted', 'cancelled') then rooted.run_cost_usd
        else cast(rooted.failed_cost_usd + rooted.preempted_cost_usd as decimal(38, 12))
    end as interrupted_cost_usd,
    rooted.tracker_url
from rooted
inner join assigned on rooted.root_workload_key = assigned.root_workload_key and {{ same_lineage('rooted', 'assigned') }}
