-- Grain: day x stint that repeats what another source tells of the same pod, job or attempt on the same node at the same time of that day
-- (or the day before). A repetition holds nothing.
with

days as (

    select * from {{ ref('int_days') }}

),

stints as (

    select
        days.usage_date, days.day_from, attempts.stint_key, attempts.workload_key, attempts.source, attempts.preference, attempts.hostname, attempts.pod_uid,
        attempts.hpc_job, attempts.attempt_key, attempts.ended_second,
        greatest(attempts.started_second, days.day_from - 86400) as from_second,
        least(attempts.ended_second, days.day_to) as to_second
    from {{ ref('int_workload_attempts') }} as attempts
    inner join days on attempts.started_second < days.day_to and attempts.ended_second > days.day_from - 86400
    where attempts.hostname is not null

),

repeated as (

    {% for same in ['pod_uid', 'hpc_job', 'attempt_key'] -%}
    select stints.usage_date, stints.stint_key, stints.workload_key, stints.ended_second > stints.day_from as is_of_the_day
    from stints
    inner join stints as others
        on stints.usage_date = others.usage_date
        and stints.hostname = others.hostname
        and stints.{{ same }} = others.{{ same }}
        and stints.source <> others.source
        and stints.preference > others.preference
        and stints.from_second < others.to_second
        and stints.to_second > others.from_second
    {% if not loop.last %}union{% endif %}
    {% endfor %}

)

select * from repeated
