{#- A service's incident and a team's that are the same dollars: who is told. -#}

{#- CTEs ending in `told_twice`: the incidents that another one tells. A service whose change is to seven tenths one team's is told by the team, if that shows
    anything; else it tells of the teams whose change is to seven tenths the service's. All changes are those of the days of the service's incident, against
    the days that it is compared with, times both counts of days, so that nothing is divided. `incidents`, `points`, `ordinary`: of fct_spend_anomaly. -#}
{% macro told_twice(incidents, points, ordinary, ledger) -%}
pair_days as (

    select
        services.incident_key as service_key,
        holders.incident_key as holder_key,
        services.source,
        services.service,
        holders.team,
        holders.model,
        holders.environment,
        case services.direction when 'up' then 1 else -1 end as sign,
        service_points.day_number,
        case when service_points.day_number >= services.from_day then 1 else 0 end as role,
        service_points.micros as service_micros,
        holder_points.micros as holder_micros
    from {{ incidents }} as services
    inner join {{ incidents }} as holders
        on services.series_kind = 'service' and holders.team is not null and services.direction = holders.direction and services.measure = holders.measure
        and services.from_day <= holders.until_day + 1 and holders.from_day <= services.until_day + 1
    inner join {{ points }} as starts on services.point_key = starts.point_key and services.from_day = starts.day_number
    inner join {{ points }} as service_points
        on services.point_key = service_points.point_key
        and (not services.is_aware or starts.is_weekend = service_points.is_weekend)
        and (
            service_points.day_number between services.from_day and services.until_day
            or service_points.day_number between services.compared_from_day and services.compared_until_day
        )
    inner join {{ points }} as holder_points on holders.point_key = holder_points.point_key and service_points.day_number = holder_points.day_number
    left join {{ ordinary }} as usual on services.point_key = usual.point_key and service_points.day_number = usual.day_number
    where service_points.day_number >= services.from_day or usual.point_key is not null

),

service_costs as (

    select {{ day_number('usage_date') }} as day_number, source, service, owner_team, model, environment, sum(cost_usd) as cost_usd
    from {{ ledger }}
    where {{ is_watched_spend() }} and not {{ is_gpu_time() }} and service is not null and owner_team is not null
    group by {{ day_number('usage_date') }}, source, service, owner_team, model, environment

),

shared_days as (

    select
        days.service_key, days.holder_key, days.sign, days.role, days.day_number, days.service_micros, days.holder_micros,
        {{ micros('coalesce(sum(costs.cost_usd), 0)') }} as shared_micros
    from pair_days as days
    left join service_costs as costs
        on days.day_number = costs.day_number and days.source = costs.source and days.service = costs.service and days.team = costs.owner_team
        and (days.model is null or days.model = costs.model)
        and (days.environment is null or days.environment = costs.environment)
    group by days.service_key, days.holder_key, days.sign, days.role, days.day_number, days.service_micros, days.holder_micros

),

pair_changes as (

    select
        service_key,
        holder_key
        {%- for figure in ['service', 'holder', 'shared'] %},
        sign * (
            sum(case when role = 1 then {{ figure }}_micros else 0 end) * sum(1 - role) - sum(case when role = 0 then {{ figure }}_micros else 0 end) * sum(role)
        ) as {{ figure }}_change
        {%- endfor %}
    from shared_days
    group by service_key, holder_key, sign

),

told_by_teams as (

    select distinct service_key as incident_key
    from pair_changes
    where shared_change > 0 and 10 * shared_change >= 7 * service_change

),

told_twice as (

    select incident_key from told_by_teams
    union
    select pair_changes.holder_key
    from pair_changes
    left join told_by_teams on pair_changes.service_key = told_by_teams.incident_key
    where told_by_teams.incident_key is null and shared_change > 0 and 10 * shared_change >= 7 * holder_change

)
{%- endmacro %}
