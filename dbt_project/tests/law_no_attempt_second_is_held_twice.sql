-- Law of time: no attempt holds one second of one unit twice, and an attempt whose interval has only a count never holds more GPUs
-- at once than that count; and no second of a claimed job belongs to two runs.
with

segments as (

    select usage_date, node_key, unit_key, unit_share, from_second, to_second, attempt_key, evidence
    from {{ ref('int_gpu_segments') }}
    where attempt_key is not null

),

ordered as (

    select
        *,
        max(to_second) over (
            partition by usage_date, unit_key, attempt_key order by from_second, to_second rows between unbounded preceding and 1 preceding
        ) as held_until
    from segments

),

pooled as (

    -- what is taken from the free pool is cut alike on all units of the node
    select usage_date, node_key, attempt_key, from_second, sum(unit_share) as held_share
    from segments
    where evidence = 'count_only'
    group by usage_date, node_key, attempt_key, from_second

),

counts as (

    select attempt_key, sum(gpu_count) as gpu_count
    from {{ ref('int_workload_attempts') }}
    group by attempt_key

)

select usage_date, attempt_key, unit_key as subject, from_second
from ordered
where held_until > from_second
union all
-- a job that several runs claim: each of its seconds is one run's
select cast(null as date), parts.attempt_key, others.attempt_key, parts.started_second
from {{ ref('int_workload_attempts') }} as parts
inner join {{ ref('int_workload_attempts') }} as others
    on parts.source = others.source and parts.attempt_id = others.attempt_id and parts.hostname = others.hostname
    and parts.workload_key < others.workload_key
    and parts.started_second < others.ended_second and parts.ended_second > others.started_second
where parts.identified_by = 'tracker' and others.identified_by = 'tracker'
union all
select pooled.usage_date, pooled.attempt_key, pooled.node_key, pooled.from_second
from pooled
inner join counts on pooled.attempt_key = counts.attempt_key
where pooled.held_share > {{ gpu_parts() }} * counts.gpu_count
