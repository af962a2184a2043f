-- Grain: one stint of one attempt of a workload on one node (or on no known node), each told once however often it was delivered.
with

staged as (

    {{ staged('workload_intervals', workload_interval_columns()) }}

),

ranked as (

    -- the same stint told twice: the telling with an end wins over one without, a later end over an earlier one
    select
        *,
        row_number() over (
            partition by workload_type, workload_id, attempt_id, hostname, started_at
            order by case when ended_at is null then 1 else 0 end, ended_at desc, source, state, labels, gpu_ids
        ) as telling
    from staged

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
        {{ epoch_seconds('started_at') }} as started_second,
        -- no end yet: open, up to the end of whatever day asks
        coalesce({{ epoch_seconds('ended_at') }}, 9223372036) as ended_second,
        state,
        lower(hostname) as hostname,
        gpu_ids,
        gpu_count,
        vcpus,
        memory_gib,
        namespace,
        pod,
        pod_uid,
        hpc_job,
        labels,
        ended_at is not null and ended_at <= started_at as is_empty
    from ranked
    where telling = 1

)

select * from attempts
