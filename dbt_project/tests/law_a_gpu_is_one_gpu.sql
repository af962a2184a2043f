-- Law of time: the units of a physical GPU (itself, or its MIG instances and what they leave) sum to one GPU, and in no hour is it
-- held, measured or billed for more seconds than the hour has.
with

units as (

    select usage_date, gpu_key, sum(unit_share) as unit_share
    from {{ ref('int_gpu_fleet') }}
    group by usage_date, gpu_key

),

hours as (

    select usage_date, gpu_key, usage_hour, held_seconds, measured_seconds, covered_seconds
    from {{ ref('fct_gpu_utilization') }}
    where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})

)

select usage_date, gpu_key, 'shares of its units' as broken, cast(unit_share as {{ dbt.type_string() }}) as found
from units
where unit_share <> 28
union all
select usage_date, gpu_key, 'seconds of an hour', cast(greatest(held_seconds, measured_seconds, covered_seconds) as {{ dbt.type_string() }})
from hours
where greatest(held_seconds, measured_seconds, covered_seconds) > 3600
