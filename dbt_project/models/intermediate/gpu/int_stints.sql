-- Grain: day x stint of an attempt x node that bore its host name then, cut to the day (and to the node). A stint of the day before is kept for
-- its label: a label that outlives its interval loses.
with

days as (

    select * from {{ ref('int_days') }}

),

attempts as (

    select * from {{ ref('int_workload_attempts') }}

),

dated as (

    select
        days.usage_date,
        days.day_from,
        days.day_to,
        attempts.*,
        greatest(attempts.started_second, days.day_from) as from_second,
        least(attempts.ended_second, days.day_to) as to_second
    from attempts
    inner join days on attempts.started_second < days.day_to and attempts.ended_second > days.day_from - 86400
    left join {{ ref('int_repeated_stints') }} as repeated on days.usage_date = repeated.usage_date and attempts.stint_key = repeated.stint_key
    where repeated.stint_key is null

),

named as (

    -- the machines that bore the host name while the stint ran; where none did, the best that the day knows
    select
        dated.*,
        names.node_key as known_node_key,
        names.name_rank,
        names.valid_from_second,
        coalesce(names.valid_from_second < dated.ended_second and names.valid_to_second > dated.started_second, false) as is_valid
    from dated
    left join {{ ref('int_node_names') }} as names on dated.usage_date = names.usage_date and dated.hostname = names.node_name

),

ranked as (

    select
        *,
        max(case when is_valid then 1 else 0 end) over (partition by usage_date, stint_key) as has_valid,
        row_number() over (partition by usage_date, stint_key order by name_rank, valid_from_second desc, known_node_key) as choice
    from named

),

chosen as (

    select *
    from ranked
    where is_valid or (has_valid = 0 and choice = 1)

),

-- a host name that passed from one machine to the next within the stint: each has it until the next one's validity begins
tiled as (

    select
        *,
        row_number() over (partition by usage_date, stint_key order by valid_from_second, known_node_key) as tile,
        lead(valid_from_second) over (partition by usage_date, stint_key order by valid_from_second, known_node_key) as next_from_second
    from chosen

),

placed as (

    select
        usage_date,
        day_from,
        day_to,
        workload_key,
        attempt_key,
        stint_key,
        started_second,
        ended_second,
        hostname,
        gpu_ids,
        gpu_count,
        vcpus,
        memory_gib,
        namespace,
        pod,
        pod_uid,
        hpc_job,
        job_names,
        labels,
        known_node_key,
        -- a host that the inventory lacks is still a place: its GPU time is told, without dollars
        coalesce(known_node_key, concat(hostname, '|')) as node_key,
        case when tile = 1 then from_second else greatest(from_second, valid_from_second) end as from_second,
        least(to_second, coalesce(next_from_second, to_second)) as to_second
    from tiled

)

select * from placed
