{#- Energy: readings packed into one number, and the units in which it is published. -#}

{#- A whole second and a whole value (below 10^19) as one number that is ordered by second, then value. NULL where the value is. -#}
{% macro packed_reading(second, value) %}({{ wide_int(second) }} * {{ wide_int("'10000000000000000000'") }} + {{ value }}){% endmacro %}
{% macro reading_second(packed) %}cast({{ int_div(packed, wide_int("'10000000000000000000'")) }} as bigint){% endmacro %}
{% macro reading_value(packed) %}cast({{ packed }} % {{ wide_int("'10000000000000000000'") }} as bigint){% endmacro %}

{#- Whole millijoules as joules: exact. -#}
{% macro joules(millijoules) %}cast(cast({{ millijoules }} as decimal(38, 0)) * cast('0.001' as decimal(4, 3)) as decimal(38, 6)){% endmacro %}

{#- Joules as kWh, rounded at 1e-12 (3.6 MJ = 1 kWh); not for sums, joules are. -#}
{% macro kilowatt_hours(joules) -%}
cast({{ int_div(wide_int(joules ~ ' * 1000') ~ ' * 10000 + 18', wide_int('36')) }} * cast('0.000000000001' as decimal(13, 12)) as decimal(38, 12))
{%- endmacro %}

{#- Grams of CO2e: kWh x grams for a kWh x PUE (1 where none is stated), rounded once at 1e-6 g. NULL where the energy or the factor is. -#}
{% macro carbon_grams(joules, grams_per_kwh, pue) -%}
cast(
  {{ int_div(
      wide_int(joules ~ ' * 1000') ~ ' * ' ~ wide_int(grams_per_kwh ~ ' * 1000000') ~ ' * ' ~ wide_int('coalesce(' ~ pue ~ ', 1) * 1000000') ~ ' + ' ~ wide_int("'1800000000000000'"),
      wide_int("'3600000000000000'")) }}
  * cast('0.000001' as decimal(7, 6)) as decimal(38, 6))
{%- endmacro %}

{#- A query: the energy of workloads from `energy` (fct_energy, handed in: what a macro names itself, explain would need too), by `keys`. Grams are NULL where any of the energy has no factor: a part would look
    like the whole. -#}
{% macro workload_energy(energy, keys) -%}
    select
        {{ keys | join(', ') }},
        cast(sum(energy_joules) as decimal(38, 6)) as energy_joules,
        {{ kilowatt_hours('sum(energy_joules)') }} as energy_kwh,
        case when sum(held_gpu_seconds) > 0
            then {{ ratio_of_millionths(int_div(wide_int('sum(measured_gpu_seconds) * 1000000'), wide_int('sum(held_gpu_seconds)'))) }} end as energy_coverage_ratio,
        case when count(grams_co2e) = count(energy_joules) then cast(sum(grams_co2e) as decimal(38, 6)) end as grams_co2e
    from {{ energy }}
    where holder = 'workload'
    group by {{ keys | join(', ') }}
{%- endmacro %}
