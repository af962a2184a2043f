{#- The one forecast: what a day of each weekday is expected to cost, as of a day of origin. Forecast and back-test both end here. -#}

{#- CTEs ending in `profiles`: series_key x origin x slot (1 is the day after the origin, 7 a week after it): expected_micros of that day and
    drift_micros, what each further week adds. `days`: settled days of each series with week_change_micros; `origins`: (series_key, origin).

    With two or more settled days of that weekday in the last 28: their median, each carried on by the drift; else the mean of the last seven settled
    days. The drift is the median of the week-over-week changes, if there are 14 and seven of ten have its sign; else 0. -#}
{% macro weekday_profiles(days, origins) -%}
history as (

    select
        origins.series_key,
        origins.origin,
        days.day_number,
        days.run_rate_micros,
        -- the change lies within the window
        case when days.day_number - 7 > origins.origin - {{ forecast_window_days() }} then days.week_change_micros end as week_change_micros,
        7 - (origins.origin - days.day_number) % 7 as slot,
        {{ int_div('origins.origin - days.day_number', '7') }} + 1 as weeks,
        row_number() over (partition by origins.series_key, origins.origin order by days.day_number desc) as recency
    from {{ origins }} as origins
    inner join {{ days }} as days
        on origins.series_key = days.series_key
        and days.day_number <= origins.origin
        and days.day_number > origins.origin - {{ forecast_window_days() }}

),

changes as (

    select
        series_key,
        origin,
        count(*) as history_days,
        count(week_change_micros) as change_days,
        {{ median_of('week_change_micros') }} as change_micros,
        sum(case when week_change_micros > 0 then 1 else 0 end) as rises,
        sum(case when week_change_micros < 0 then 1 else 0 end) as falls,
        {{ int_div('sum(case when recency <= 7 then run_rate_micros else 0 end)', 'sum(case when recency <= 7 then 1 else 0 end)') }} as recent_micros
    from history
    group by series_key, origin

),

levels as (

    select
        *,
        case
            when change_days < 14 then 0
            when change_micros > 0 and 10 * rises >= 7 * change_days then change_micros
            when change_micros < 0 and 10 * falls >= 7 * change_days then change_micros
            else 0
        end as drift_micros
    from changes
    where history_days >= {{ governance('forecast.least_history_days') }}

),

weekdays as (

    select
        history.series_key,
        history.origin,
        history.slot,
        count(*) as weekday_count,
        {{ median_of('history.run_rate_micros + history.weeks * levels.drift_micros') }} as expected_micros
    from history
    inner join levels on history.series_key = levels.series_key and history.origin = levels.origin
    group by history.series_key, history.origin, history.slot

),

slots as (

    {% for slot in range(1, 8) -%}
    select {{ slot }} as slot{% if not loop.last %} union all {% endif %}
    {%- endfor %}

),

profiles as (

    select
        levels.series_key,
        levels.origin,
        slots.slot,
        levels.history_days,
        cast(levels.drift_micros as bigint) as drift_micros,
        coalesce(weekdays.weekday_count >= 2, false) as is_by_weekday,
        cast(case when weekdays.weekday_count >= 2 then weekdays.expected_micros else levels.recent_micros end as bigint) as expected_micros
    from levels
    cross join slots
    left join weekdays on levels.series_key = weekdays.series_key and levels.origin = weekdays.origin and slots.slot = weekdays.slot

)
{%- endmacro %}

{#- CTE `settled`: the settled days of the series that are forecast, with the change against the day a week before where that is settled too. -#}
{% macro settled_days(series) -%}
known as (

    select * from {{ series }}
    where unsettled_reason is null and series_kind in ('all', 'team', 'team_environment', 'budget')

),

settled as (

    select known.*, known.run_rate_micros - before.run_rate_micros as week_change_micros
    from known
    left join known as before on known.series_key = before.series_key and known.day_number - 7 = before.day_number

)
{%- endmacro %}

{#- How many series of a kind are forecast: the dearest of the last half year. -#}
{% macro most_forecast_series() %}{{ return(500) }}{% endmacro %}
