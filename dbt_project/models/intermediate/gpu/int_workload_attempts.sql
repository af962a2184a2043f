-- Grain: one stint of one attempt of a workload on one node (or on no known node), each told once however often it was delivered.
-- `preference` puts tellings of one thing by several sources in order: named GPUs before a count, a count before none, then what a user states
-- before what a scheduler tells, then the source's name.
with

identified as (

    select * from {{ ref('int_identified_intervals') }}

),

ranked as (

    select
        *,
        {{ telling_of_stint() }} as telling
    from identified

),

attempts as (

    select
        concat(workload_type, '/', workload_id) as workload_key,
        concat(workload_type, '/', workload_id, '/', attempt_id) as attempt_key,
        {{ digest(['workload_type', 'workload_id', 'attempt_id', 'hostname', 'started_at']) }} as stint_key,
        source,
        workload_type,
        workload_id,
        attempt_id,
        started_at,
        ended_at,
        started_second,
        ended_second,
        state,
        lower(hostname) as hostname,
        gpu_ids,
        gpu_count,
        vcpus,
        memory_gib,
        parent_workload_id,
        namespace,
        pod,
        pod_uid,
        hpc_job,
        job_names,
        labels,
        identified_by,
        contested_seconds,
        ended_at is not null and ended_at <= started_at as is_empty,
        concat(
            case when gpu_ids is not null then '0' else '1' end, case when gpu_count is not null then '0' else '1' end,
            case when identity = 'stated' then '0' else '1' end, source
        ) as preference
    from ranked
    where telling = 1

)

select * from attempts
