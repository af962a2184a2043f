-- Grain: one pod (by uid: names are used again), put together from every snapshot and event that shows it. Field by field the latest that
-- knows something counts. A pod without a known end that a later list lacks ended when it was last seen, at the earliest: that lower bound is
-- its end.
with

source as (

    select
        *,
        {{ seen_key() }} as seen_key
    from {{ source('kubernetes', 'pods') }}

),

lists as (

    -- what a list speaks for: the namespaces that it shows, and every one where it shows the cluster's own
    select distinct _source, observed_at, namespace from source where is_listed and observed_at is not null

),

put_together as (

    select
        _source,
        uid,
        {% for column in ['namespace', 'name', 'node_name', 'owner_kind', 'owner_name', 'owner_uid', 'root_kind', 'root_name', 'phase', 'reason',
                          'priority_class', 'gpus', 'gpu_core_percent', 'gpu_memory_percent', 'gpu_memory_mib', 'gpu_fraction', 'gpu_fraction_devices',
                          'mig_profile', 'mig_instances', 'gpu_ids', 'vcpus', 'memory_gib', 'labels'] -%}
        max_by({{ column }}, case when {{ column }} is not null then seen_key end) as {{ column }},
        {% endfor -%}
        min(container_started_at) as container_started_at,
        min(accepted_at) as accepted_at,
        max(finished_at) as finished_at,
        max(condition_at) as condition_at,
        max(deletion_at) as deletion_at,
        max(case when event = 'DELETED' then observed_at end) as deleted_at,
        max(observed_at) as last_seen_at
    from source
    group by _source, uid

),

gone as (

    select distinct pods._source, pods.uid
    from put_together as pods
    inner join lists
        on pods._source = lists._source
        and lists.observed_at > pods.last_seen_at
        and lists.namespace in (pods.namespace, 'kube-system')

),

pods as (

    select
        put_together.*,
        coalesce(container_started_at, accepted_at) as started_at,
        coalesce(
            finished_at, deleted_at, case when deletion_at is not null then greatest(deletion_at, coalesce(last_seen_at, deletion_at)) end, condition_at,
            case when gone.uid is not null then last_seen_at end
        ) as ended_at,
        gone.uid is not null and coalesce(finished_at, deleted_at, deletion_at, condition_at) is null as is_end_a_lower_bound
    from put_together
    left join gone on put_together._source = gone._source and put_together.uid = gone.uid

)

select * from pods
