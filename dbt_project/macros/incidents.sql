{#- What an incident's days cost, by what, against what they were expected to; and what of it is published. -#}

{% macro change_columns() %}{{ return(['source', 'owner_team', 'model', 'environment', 'pool', 'service', 'gpu_model', 'pricing_category']) }}{% endmacro %}

{#- CTEs `changes` (incident x cell of the ledger by day) and `sides` (incident x GPU model x pricing category): dollars and GPU-seconds expected (0) and actual
    (1). Expected: the mean of the days that it is compared with, for each sort of day where sorts are told apart, times the incident's days of that sort; each
    cell is rounded once. `incidents`, `ordinary`: days of series; `ledger`: fct_cost_daily. -#}
{% macro incident_changes(incidents, ordinary, ledger) -%}
roles as (

    {% for role, days, from_day, until_day in [(0, ordinary, 'compared_from_day', 'compared_until_day'), (1, 'points', 'from_day', 'until_day')] -%}
    select
        incidents.incident_key, {{ role }} as role, incidents.is_aware, days.day_number, days.is_weekend
    from {{ incidents }} as incidents
    inner join {{ days }} as days on incidents.point_key = days.point_key and days.day_number between incidents.{{ from_day }} and incidents.{{ until_day }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

sorted_roles as (

    select
        *,
        -- sorts of days are told apart only where each has something to be compared with
        is_aware and is_weekend
            and max(case when role = 0 and is_weekend then 1 else 0 end) over (partition by incident_key) = 1
            and max(case when role = 0 and not is_weekend then 1 else 0 end) over (partition by incident_key) = 1 as is_apart
    from roles

),

day_weights as (

    select incident_key, is_apart, sum(role) as incident_days, sum(1 - role) as compared_days
    from sorted_roles
    group by incident_key, is_apart

),

watched as (

    select
        {{ day_number('usage_date') }} as day_number,
        {{ change_columns() | join(', ') }},
        {{ is_gpu_time() }} as is_gpu,
        cost_usd,
        gpu_seconds,
        case when cost_class in ('held_idle', 'unallocated_idle', 'stranded') then 0 else 1 end as is_busy
    from {{ ledger }}
    where {{ is_watched_spend() }}
        and {{ day_number('usage_date') }} > (select max(day_number) from points) - {{ judged_days() + 35 }}

),

scoped as (

    select
        roles.incident_key,
        roles.role,
        roles.is_apart,
        {%- for column in change_columns() %}
        watched.{{ column }},
        {%- endfor %}
        watched.is_gpu,
        cast(sum(watched.cost_usd) as decimal(38, 12)) as usd,
        cast(sum(coalesce(watched.gpu_seconds, 0)) as decimal(38, 6)) as seconds,
        cast(sum(coalesce(watched.gpu_seconds, 0) * watched.is_busy) as decimal(38, 6)) as busy
    from sorted_roles as roles
    inner join {{ incidents }} as incidents on roles.incident_key = incidents.incident_key
    inner join watched
        on roles.day_number = watched.day_number
        and (incidents.source is null or incidents.source = watched.source)
        and (incidents.service is null or (incidents.service = watched.service and not watched.is_gpu))
        and (incidents.team is null or incidents.team = watched.owner_team)
        and (incidents.model is null or incidents.model = watched.model)
        and (incidents.environment is null or incidents.environment = watched.environment)
    group by
        roles.incident_key, roles.role, roles.is_apart,
        {%- for column in change_columns() %} watched.{{ column }},{% endfor %}
        watched.is_gpu

),

changes as (

    select
        scoped.incident_key,
        {%- for column in change_columns() %}
        scoped.{{ column }},
        {%- endfor %}
        scoped.is_gpu,
        {%- for figure in ['usd', 'seconds', 'busy'] %}
        cast(sum(case when role = 0 then coalesce({{ scaled_amount(figure, 'day_weights.incident_days', 'day_weights.compared_days') }}, 0) else 0 end) as decimal(38, 12)) as {{ figure }}_0,
        cast(sum(case when role = 1 then {{ figure }} else 0 end) as decimal(38, 12)) as {{ figure }}_1{{ ',' if not loop.last }}
        {%- endfor %}
    from scoped
    inner join day_weights on scoped.incident_key = day_weights.incident_key and scoped.is_apart = day_weights.is_apart
    group by
        scoped.incident_key,
        {%- for column in change_columns() %} scoped.{{ column }},{% endfor %}
        scoped.is_gpu

),

sides as (

    select
        incident_key, is_gpu, case when is_gpu then gpu_model end as gpu_model, case when is_gpu then pricing_category end as pricing_category
        {%- for figure in ['usd', 'seconds', 'busy'] %}{% for side in [0, 1] %},
        cast(sum({{ figure }}_{{ side }}) as decimal(38, 12)) as {{ figure }}_{{ side }}
        {%- endfor %}{% endfor %}
    from changes
    group by incident_key, is_gpu, case when is_gpu then gpu_model end, case when is_gpu then pricing_category end

)
{%- endmacro %}

{#- The published rows: each incident with its parts and, of each column, the member that changed most in the direction of the incident. -#}
{% macro anomaly_columns() -%}
, members as (

    {% for column in change_columns() -%}
    select incident_key, '{{ column }}' as member_column, {{ column }} as member, sum(usd_1 - usd_0) as member_change
    from changes
    where {{ column }} is not null {% if column == 'service' %}and not is_gpu{% elif column in ('gpu_model', 'pricing_category') %}and is_gpu{% endif %}
    group by incident_key, {{ column }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

leaders as (

    select
        members.*,
        row_number() over (partition by members.incident_key, members.member_column order by sign(drivers.change_usd) * members.member_change desc, members.member) as member_rank
    from members
    inner join drivers on members.incident_key = drivers.incident_key
    where sign(drivers.change_usd) * members.member_change > 0

),

leaders_by_column as (

    select
        incident_key
        {%- for column in change_columns() %},
        min(case when member_column = '{{ column }}' then member end) as {{ 'team' if column == 'owner_team' else column }}
        {%- endfor %}
    from leaders
    where member_rank = 1
    group by incident_key

),

fleets as (

    select incident_key, sum(seconds_0) as seconds_0, sum(seconds_1) as seconds_1, sum(busy_0) as busy_0, sum(busy_1) as busy_1
    from sides
    group by incident_key

),

incomplete as (

    select incidents.incident_key, bool_or(series.is_frontier) as is_frontier, count(*) as incident_days
    from final_incidents as incidents
    inner join series
        on incidents.series_key = series.series_key and series.day_number between incidents.from_day and incidents.until_day and series.unsettled_reason is null
    group by incidents.incident_key

)

select
    {{ digest(['incidents.point_key', 'incidents.shape', 'incidents.from_day']) }} as incident_id,
    incidents.series_kind,
    incidents.series,
    incidents.source,
    incidents.service,
    incidents.team,
    incidents.model,
    incidents.environment,
    incidents.measure,
    incidents.direction,
    incidents.shape,
    {{ day_of('incidents.from_day') }} as since_date,
    {{ day_of('incidents.until_day') }} as until_date,
    cast(incomplete.incident_days as bigint) as incident_days,
    case when incidents.shape = 'jump' then incidents.has_ended end as has_ended,
    incidents.direction = 'down' and incomplete.is_frontier as is_maybe_incomplete,
    {{ day_of('incidents.compared_from_day') }} as compared_from_date,
    {{ day_of('incidents.compared_until_day') }} as compared_until_date,
    cast(incidents.compared_days as bigint) as compared_days,
    incidents.is_aware as is_by_sort_of_day,
    incidents.is_lumpy,
    {{ usd_of_micros('incidents.median_micros') }} as median_usd_per_day,
    {{ usd_of_micros('incidents.mad_micros') }} as mad_usd_per_day,
    {{ usd_of_micros('incidents.excess_micros') }} as excess_usd,
    drivers.baseline_usd,
    drivers.actual_usd,
    drivers.change_usd,
    drivers.price_usd,
    drivers.volume_usd,
    drivers.mix_usd,
    drivers.utilization_usd,
    drivers.other_usd,
    case when incidents.measure = 'idle' then 'utilization' else {{ largest_driver() }} end as driver,
    cast(fleets.seconds_0 as decimal(38, 6)) as baseline_gpu_seconds,
    cast(fleets.seconds_1 as decimal(38, 6)) as actual_gpu_seconds,
    cast(fleets.seconds_0 - fleets.busy_0 as decimal(38, 6)) as baseline_idle_gpu_seconds,
    cast(fleets.seconds_1 - fleets.busy_1 as decimal(38, 6)) as actual_idle_gpu_seconds,
    {%- for column in change_columns() %}
    leaders_by_column.{{ 'team' if column == 'owner_team' else column }} as leading_{{ 'team' if column == 'owner_team' else column }}{{ ',' if not loop.last }}
    {%- endfor %}
from final_incidents as incidents
inner join drivers on incidents.incident_key = drivers.incident_key
inner join incomplete on incidents.incident_key = incomplete.incident_key
left join leaders_by_column on incidents.incident_key = leaders_by_column.incident_key
left join fleets on incidents.incident_key = fleets.incident_key
{%- endmacro %}
