-- Law of time: the units of a physical GPU (itself, or its MIG instances and what they leave) sum to one GPU, and in no hour is it
-- held, measured or billed for more seconds than the hour has.
with

units as (

    select usage_date, gpu_key, sum(unit_share) as unit_share
    from {{ ref('int_gpu_fleet') }}
    group by usage_date, gpu_key

),

-- and what its holders used sums to its energy, to the millijoule
device_energy as (

    select usage_date, node_key, {{ joules('sum(millijoules)') }} as energy_joules
    from {{ ref('int_gpu_energy_pieces') }}
    group by usage_date, node_key

),

holder_energy as (

    select usage_date, node_key, sum(energy_joules) as energy_joules
    from {{ ref('fct_energy') }}
    where energy_joules is not null and usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    group by usage_date, node_key

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
union all
select
    coalesce(device_energy.usage_date, holder_energy.usage_date),
    coalesce(device_energy.node_key, holder_energy.node_key),
    'joules of its holders',
    cast(coalesce(holder_energy.energy_joules, 0) - coalesce(device_energy.energy_joules, 0) as {{ dbt.type_string() }})
from device_energy
full outer join holder_energy on device_energy.usage_date = holder_energy.usage_date and device_energy.node_key = holder_energy.node_key
where device_energy.energy_joules is distinct from holder_energy.energy_joules
