-- Grain: one attempt of a workload on one node.
with

source as (

    select * from {{ source('workloads', 'intervals') }}

),

renamed as (

    select
        _source as source,
        coalesce(nullif(workload_type, ''), 'job') as workload_type,
        workload_id,
        coalesce(nullif(attempt_id, ''), nullif(pod_uid, ''), concat(workload_id, '@', cast(started_at as {{ dbt.type_string() }}))) as attempt_id,
        started_at,
        ended_at,
        nullif(state, '') as state,
        nullif(hostname, '') as hostname,
        case when gpu_ids in ('', '[]') then null else gpu_ids end as gpu_ids,
        gpu_count,
        nullif(namespace, '') as namespace,
        nullif(pod, '') as pod,
        nullif(pod_uid, '') as pod_uid,
        nullif(hpc_job, '') as hpc_job,
        coalesce(nullif(labels, ''), '{}') as labels
    from source

)

select * from renamed
