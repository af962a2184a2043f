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
        cast(round(gpu_count, 6) as decimal(18, 6)) as gpu_count,
        cast(round(vcpus, 6) as decimal(18, 6)) as vcpus,
        cast(round(memory_gib, 6) as decimal(18, 6)) as memory_gib,
        nullif(parent_workload_id, '') as parent_workload_id,
        nullif(namespace, '') as namespace,
        nullif(pod, '') as pod,
        nullif(pod_uid, '') as pod_uid,
        nullif(hpc_job, '') as hpc_job,
        coalesce(nullif(labels, ''), '{}') as labels
    from source

)

select * from renamed
