-- Grain: one stint of one attempt of a workload on one node (or on no known node), each told once however often it was delivered. Where two
-- sources tell of one stint (the same pod, the same job, or the same attempt on one node at one time), one of them is a repetition and
-- holds nothing: named GPUs win over a count, a count over none, then what a user states over what a scheduler tells, then the source's name.
with

identified as (

    select * from {{ ref('int_identified_intervals') }}

),

ranked as (

    select
        *,
        row_number() over (
            partition by workload_type, workload_id, attempt_id, hostname, started_at
            order by case when ended_at is null then 1 else 0 end, ended_at desc, source, state, labels, gpu_ids
        ) as telling
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

),

repeated as (

    {% for same in ['pod_uid', 'hpc_job', 'attempt_key'] -%}
    select attempts.stint_key
    from attempts
    inner join attempts as others
        on attempts.hostname = others.hostname
        and attempts.{{ same }} = others.{{ same }}
        and attempts.source <> others.source
        and attempts.preference > others.preference
        and attempts.started_second < others.ended_second
        and attempts.ended_second > others.started_second
    {% if not loop.last %}union{% endif %}
    {% endfor %}

),

final as (

    select attempts.*, repeated.stint_key is not null as is_repeated
    from attempts
    left join repeated on attempts.stint_key = repeated.stint_key

)

select * from final
