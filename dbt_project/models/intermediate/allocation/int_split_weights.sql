-- Grain: instance x billing window x container: the weight with which split cost allocation data hands the instance to it. Rows only where the
-- policy uses that data (attribution: split_cost_allocation). Weights, never money: they divide the instance's own charges.
with

staged as (

    {{ staged('charge_splits', charge_split_columns()) }}

),

wanted as (

    select
        *,
        cast(usage_start as date) as usage_date,
        {{ epoch_seconds('usage_start') }} as window_from,
        {{ epoch_seconds('usage_end') }} as window_to
    from staged
    where {{ parameter('split_cost_allocation', dbt.type_string()) }} = 'use'
        and cast(usage_start as date) in (select usage_date from {{ source('ops', 'dirty_days') }})

),

by_uid as (

    select pod_uid, min(workload_key) as workload_key, min(attempt_key) as attempt_key
    from {{ ref('int_workload_attempts') }}
    where pod_uid is not null
    group by pod_uid

),

by_name as (

    select namespace, pod, min(workload_key) as workload_key, min(attempt_key) as attempt_key
    from {{ ref('int_workload_attempts') }}
    where pod is not null
    group by namespace, pod
    having count(distinct attempt_key) = 1

),

tag_sets as (

    select * from {{ ref('int_tag_sets') }}

),

named as (

    -- the container's own interval by its uid, else by its name where that is unambiguous, else its tags; else it is nobody that we know
    select
        wanted.usage_date,
        wanted.window_from,
        wanted.window_to,
        lower(wanted.parent_resource_id) as parent_resource_id,
        wanted.cluster,
        wanted.namespace,
        wanted.pod,
        wanted.pod_uid,
        coalesce(
            by_uid.workload_key,
            by_name.workload_key,
            case when tag_sets.run_id is not null then concat('training_run/', tag_sets.run_id) end,
            case when tag_sets.endpoint is not null then concat('endpoint/', tag_sets.endpoint) end,
            concat('unregistered/', wanted.namespace, '/', wanted.pod)
        ) as workload_key,
        case when by_uid.workload_key is not null then by_uid.attempt_key else by_name.attempt_key end as attempt_key,
        coalesce(wanted.split_cost, 0) + coalesce(wanted.unused_cost, 0) as cost
    from wanted
    left join by_uid on wanted.pod_uid = by_uid.pod_uid
    left join by_name on wanted.namespace = by_name.namespace and wanted.pod = by_name.pod
    left join tag_sets on wanted.tags = tag_sets.tags and {{ in_era('wanted.usage_date') }}

),

weights as (

    select
        usage_date,
        window_from,
        window_to,
        parent_resource_id,
        cluster,
        namespace,
        pod,
        pod_uid,
        workload_key,
        attempt_key,
        {{ wide_int('sum(cost) * 1000000000000') }} as weight
    from named
    group by usage_date, window_from, window_to, parent_resource_id, cluster, namespace, pod, pod_uid, workload_key, attempt_key

)

select * from weights
where weight > 0
