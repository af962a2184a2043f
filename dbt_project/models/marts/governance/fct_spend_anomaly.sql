-- Grain: one incident: days of one series of spend out of the ordinary, with what changed. Of several series that show the same dollars only the one
-- that explains them is here.
with

series as (

    select * from {{ ref('int_spend_series') }}
    where series_kind in ('all', 'source', 'service', 'team', 'team_model', 'team_environment')

),

points as (

    {% for measure, column in [('spend', 'watched_micros'), ('idle', 'idle_micros')] -%}
    select
        concat('{{ measure }}|', series_key) as point_key, series_key, series_kind, '{{ measure }}' as measure, usage_date, day_number, {{ column }} as micros,
        first_watched_day as first_day, {{ is_weekend('day_number') }} as is_weekend
    from series
    where unsettled_reason is null and day_number >= first_watched_day {% if measure == 'idle' %}and series_kind in ('all', 'team'){% endif %}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

{{ judgements('first', 'points', 'points') }},

-- days of an incident that has passed are nothing to compare with; a level that stays is
ordinary as (

    select points.*
    from points
    left join first_incidents as passed
        on points.point_key = passed.point_key and passed.has_ended and points.day_number between passed.day_number and passed.until_day
    where passed.point_key is null

),

{{ judgements('second', 'points', 'ordinary') }},

found as (

    select * from first_incidents
    union all
    select second_incidents.* from second_incidents
    left join first_incidents on second_incidents.point_key = first_incidents.point_key and second_incidents.day_number = first_incidents.day_number
    where first_incidents.point_key is null

),

jumps as (

    select found.*
    from found
    left join found as earlier
        on found.point_key = earlier.point_key and found.direction = earlier.direction
        and earlier.day_number < found.day_number and earlier.until_day >= found.day_number
    where earlier.point_key is null

),

{{ leaks('points', 'first_floors') }},

slow as (

    select leaks.*
    from leaks
    left join leaks as earlier
        on leaks.point_key = earlier.point_key and earlier.day_number < leaks.day_number and earlier.day_number >= leaks.day_number - 28
    left join jumps
        on leaks.point_key = jumps.point_key and jumps.direction = 'up' and jumps.day_number between leaks.day_number - 41 and leaks.day_number
    where earlier.point_key is null and jumps.point_key is null

),

incidents as (

    select
        concat(jumps.point_key, '|', cast(jumps.day_number as {{ dbt.type_string() }})) as incident_key,
        jumps.point_key, jumps.direction, 'jump' as shape, jumps.is_aware,
        jumps.day_number as from_day, jumps.until_day, jumps.has_ended,
        jumps.day_number - {{ compared_days() }} as compared_from_day, jumps.day_number - 1 as compared_until_day,
        jumps.median_micros, jumps.mad_micros, jumps.compared_days, jumps.is_lumpy,
        sum(points.micros - jumps.median_micros) as excess_micros
    from jumps
    inner join points on jumps.point_key = points.point_key and points.day_number between jumps.day_number and jumps.until_day
    group by
        jumps.point_key, jumps.direction, jumps.is_aware, jumps.day_number, jumps.until_day, jumps.has_ended, jumps.median_micros, jumps.mad_micros,
        jumps.compared_days, jumps.is_lumpy
    union all
    select
        concat(point_key, '|', cast(day_number as {{ dbt.type_string() }})), point_key, 'up', 'leak', false,
        day_number - 6, day_number, false, day_number - 34, day_number - 28, week_4, cast(null as bigint), 7, false, 7 * (week_0 - week_4)
    from slow

),

named as (

    select
        incidents.*, points.series_key, points.series_kind, points.measure, series.series, series.source, series.service, series.team, series.model, series.environment,
        case points.series_kind when 'all' then 0 when 'source' then 1 when 'service' then 2 when 'team' then 3 when 'team_environment' then 4 else 5 end as depth
    from incidents
    inner join points on incidents.point_key = points.point_key and incidents.until_day = points.day_number
    inner join series on points.series_key = series.series_key and points.day_number = series.day_number

),

-- wide and narrow series that show the same days: every other series is part of all, services of their
-- source, models and environments of their team
related as (

    select
        wide.incident_key as wide_key,
        narrow.incident_key as narrow_key,
        wide.series_kind as wide_kind,
        narrow.series_kind as narrow_kind,
        case when narrow.series_kind = 'service' then narrow.series end as service,
        narrow.team,
        narrow.model,
        narrow.environment,
        10 * abs(narrow.excess_micros) >= 7 * abs(wide.excess_micros)
            or (wide.shape = 'leak' and narrow.shape = 'leak' and narrow.from_day < wide.from_day) as has_most
    from named as wide
    inner join named as narrow
        on wide.direction = narrow.direction and wide.measure = narrow.measure
        -- what creeps shows in one series weeks before another
        and narrow.from_day <= wide.until_day + case when wide.shape = 'leak' and narrow.shape = 'leak' then 28 else 1 end
        and wide.from_day <= narrow.until_day + case when wide.shape = 'leak' and narrow.shape = 'leak' then 28 else 1 end
        and wide.depth < narrow.depth
        and (
            wide.series_kind = 'all'
            or (wide.series_kind = 'source' and (narrow.source is null or (narrow.series_kind = 'service' and narrow.source = wide.source)))
            or (wide.series_kind in ('team', 'team_environment') and wide.team = narrow.team)
        )

),

-- a service that has most of all or of its source explains it, if no other service shows anything. Else: one narrow series has most of it, and no other of its sort shows anything: it explains the wide one. Several at once have a cause in common. A
-- source is where money is charged, not who spends it: whoever does is told instead.
explained as (

    select wide_key as incident_key
    from related
    where narrow_kind <> 'source'
    group by wide_key, wide_kind
    having (wide_kind = 'source' and count(team) > 0)
        or (wide_kind in ('all', 'source') and max(case when has_most and service is not null then 1 else 0 end) = 1 and count(distinct service) = 1)
        or (
            wide_kind <> 'source'
            and max(case when has_most and service is null then 1 else 0 end) = 1
            and (wide_kind <> 'all' or count(distinct team) = 1)
            and (wide_kind <> 'team' or (count(distinct model) <= 1 and count(distinct environment) <= 1))
        )

),

covered as (

    select related.narrow_key as incident_key
    from related
    left join explained on related.wide_key = explained.incident_key
    where explained.incident_key is null and related.wide_kind <> 'team_environment'

),

reported as (

    select named.*
    from named
    left join (select distinct incident_key from explained) as explained on named.incident_key = explained.incident_key
    left join (select distinct incident_key from covered) as covered on named.incident_key = covered.incident_key
    where explained.incident_key is null and covered.incident_key is null

),

{{ told_twice('reported', 'points', 'ordinary', ref('fct_cost_daily')) }},

-- spend that rose because idle rose is told once; whatever idles in all is told by whose it is
final_incidents as (

    select reported.*
    from reported
    left join (
        select distinct idle.incident_key
        from reported as idle
        inner join named as spend
            on idle.measure = 'idle' and spend.measure = 'spend' and spend.direction = 'up'
            and spend.series_kind <> 'service'
            and (spend.series_kind = 'all' or spend.team = idle.team or idle.series_kind = 'all')
            and spend.from_day <= idle.until_day + 1 and idle.from_day <= spend.until_day + 1
    ) as told on reported.incident_key = told.incident_key
    left join told_twice on reported.incident_key = told_twice.incident_key
    where told.incident_key is null and told_twice.incident_key is null

),

{{ incident_changes('final_incidents', 'ordinary', ref('fct_cost_daily')) }},

{{ drivers('sides') }}

{{ anomaly_columns() }}
