-- Law of time: in every hour the units of a physical GPU (itself, or its MIG instances and what they leave), and the shares of their holders,
-- sum to one GPU, and it is not held, measured or covered for more seconds than the hour has.
with

days as (

    select * from {{ ref('int_days') }}

),

units as (

    select fleet.usage_date, fleet.gpu_key, sum(fleet.unit_share * (fleet.to_second - fleet.from_second)) as weight
    from {{ ref('int_gpu_fleet') }} as fleet
    group by fleet.usage_date, fleet.gpu_key

),

shares as (

    select usage_date, gpu_key, hour_from, sum(unit_share * (to_second - from_second)) as weight
    from {{ ref('int_gpu_segments') }}
    where usage_date in (select usage_date from days)
    group by usage_date, gpu_key, hour_from

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

select usage_date, gpu_key, 'parts of its units' as broken, cast(weight as {{ dbt.type_string() }}) as found
from units
where weight <> {{ gpu_parts() }} * 86400
union all
select usage_date, gpu_key, 'parts of its holders', cast(weight as {{ dbt.type_string() }})
from shares
where weight <> {{ gpu_parts() }} * 3600
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
