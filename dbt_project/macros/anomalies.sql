{#- When a day's spend is out of the ordinary: judged against the days before it, in whole millionths of a dollar. -#}

{#- Days that are judged; days that each is compared with; days after which a new level is ordinary. -#}
{% macro judged_days() %}{{ return(60) }}{% endmacro %}
{% macro compared_days() %}{{ return(28) }}{% endmacro %}
{% macro accepted_after_days() %}{{ return(7) }}{% endmacro %}

{#- Rows of fct_cost_daily that spend anomalies look at: usage before distribution. Fees, taxes, credits and unused commitments are no run-rate. -#}
{% macro is_watched_spend() -%}
stage = 'allocated' and coalesce(charge_category, 'Usage') not in ('Purchase', 'Tax', 'Credit', 'Adjustment') and cost_class <> 'unused_commitment'
{%- endmacro %}

{#- Rows of fct_cost_daily that are GPU time: its seconds, or the machine around the GPU. All else is storage, transfer and the like. -#}
{% macro is_gpu_time() -%}
(gpu_seconds is not null or (component = 'host' and gpu_model is not null))
{%- endmacro %}

{#- CTEs ending in `<name>_flags`: the days of `points` out of the ordinary against the days of `comparables` before them.

    With three weeks of history a day is compared with days of its own sort (Monday to Friday, or the weekend), spend only. It is too high when it is
    over the floors, more than score + 12 / n robust deviations over the median (1.4826 x MAD, or half of what the highest day lies above the median), and
    beyond the highest day by as much as that lies above the median; where the days themselves spread by more than their median (runs that start and stop), when it is over three
    times the highest; a weekend day has to pass the highest working day too. It is too low when it is under a third of the lowest day of either sort. -#}
{% macro judgements(name, points, comparables) -%}
{{ name }}_pairs as (

    select
        points.point_key,
        points.day_number,
        points.measure,
        points.micros,
        comparables.micros as compared_micros,
        points.is_weekend = comparables.is_weekend as is_alike
    from {{ points }} as points
    inner join {{ comparables }} as comparables
        on points.point_key = comparables.point_key
        and comparables.day_number < points.day_number
        and comparables.day_number >= points.day_number - {{ compared_days() }}
    where points.day_number > (select max(day_number) from {{ points }}) - {{ judged_days() }}

),

{{ name }}_sorts as (

    select
        point_key,
        day_number,
        coalesce(min(measure) = 'spend' and count(*) >= 20 and count(case when is_alike then 1 end) >= 5 and count(case when not is_alike then 1 end) >= 5, false) as is_aware
    from {{ name }}_pairs
    group by point_key, day_number

),

{{ name }}_compared as (

    select pairs.*, sorts.is_aware, pairs.is_alike or not sorts.is_aware as is_compared
    from {{ name }}_pairs as pairs
    inner join {{ name }}_sorts as sorts on pairs.point_key = sorts.point_key and pairs.day_number = sorts.day_number

),

{{ name }}_ranges as (

    select
        point_key,
        day_number,
        min(micros) as micros,
        min(measure) as measure,
        bool_or(is_aware) as is_aware,
        count(*) as all_days,
        min(compared_micros) as lowest_micros,
        max(compared_micros) as highest_of_all_micros,
        5 * (max(compared_micros) - {{ discrete_percentile('compared_micros', 0.1) }}) > 6 * {{ median_of('compared_micros') }} as is_lumpy_over_all,
        sum(case when is_compared then 1 else 0 end) as compared_days,
        sum(case when is_compared and compared_micros > 0 then 1 else 0 end) as spending_days,
        max(case when is_compared then compared_micros end) as highest_micros,
        {{ discrete_percentile('case when is_compared then compared_micros end', 0.1) }} as low_micros,
        {{ median_of('case when is_compared then compared_micros end') }} as median_micros
    from {{ name }}_compared
    group by point_key, day_number

),

{{ name }}_spreads as (

    select ranges.point_key, ranges.day_number, {{ median_of('abs(compared.compared_micros - ranges.median_micros)') }} as mad_micros
    from {{ name }}_ranges as ranges
    inner join {{ name }}_compared as compared
        on ranges.point_key = compared.point_key and ranges.day_number = compared.day_number and compared.is_compared
    group by ranges.point_key, ranges.day_number

),

{{ name }}_floors as (

    select greatest(
        {{ governance('anomalies.least_usd_per_day') }} * 1000000,
        {{ int_div('coalesce(' ~ median_of("case when point_key = 'spend|all|all' then micros end") ~ ', 0) * ' ~ governance('anomalies.least_share_percent'), '100') }}
    ) as floor_micros
    from {{ points }}

),

{{ name }}_bars as (

    select
        ranges.*,
        spreads.mad_micros,
        floors.floor_micros,
        ranges.is_lumpy_over_all or ranges.highest_micros - ranges.low_micros > ranges.median_micros as is_lumpy,
        -- eight days of weekends are few: there the highest of the working days has to be passed too
        greatest(
            case when ranges.is_lumpy_over_all or ranges.highest_micros - ranges.low_micros > ranges.median_micros then 3 * ranges.highest_of_all_micros
                else 2 * ranges.highest_micros - ranges.median_micros end,
            case when ranges.compared_days < 12 then ranges.highest_of_all_micros else 0 end
        ) as bar_micros,
        -- a day without runs is no fall of a team whose quiet days are under half its ordinary ones
        least({{ int_div('ranges.lowest_micros', '3') }}, 2 * ranges.lowest_micros - ranges.median_micros) as fall_micros,
        greatest(2 * {{ int_div('14826 * spreads.mad_micros', '10000') }}, ranges.highest_micros - ranges.median_micros) as two_deviations_micros
    from {{ name }}_ranges as ranges
    inner join {{ name }}_spreads as spreads on ranges.point_key = spreads.point_key and ranges.day_number = spreads.day_number
    cross join {{ name }}_floors as floors

),

{{ name }}_judged as (

    select
        *,
        case
            when spending_days >= 7 and compared_days >= {{ governance('anomalies.least_history_days') }}
                and micros - median_micros >= floor_micros
                and 100 * (micros - median_micros) >= {{ governance('anomalies.least_change_percent') }} * median_micros
                and 2 * compared_days * (micros - median_micros) >= ({{ governance('anomalies.least_score') }} * compared_days + 12) * two_deviations_micros
                and micros > bar_micros
                then 'up'
            when measure = 'spend' and not is_lumpy and all_days >= 14 and micros < fall_micros and median_micros - micros >= floor_micros then 'down'
        end as direction
    from {{ name }}_bars

),

{{ name }}_flags as (

    select
        *,
        -- the incident lasts while days stay beyond this
        case direction
            when 'up' then greatest(bar_micros, median_micros + {{ int_div(governance('anomalies.least_change_percent') ~ ' * median_micros', '100') }})
            else fall_micros
        end as limit_micros
    from {{ name }}_judged
    where direction is not null

),

{{ name }}_follows as (

    select
        flags.point_key,
        flags.day_number,
        points.day_number as followed_day,
        (flags.direction = 'up' and points.micros > flags.limit_micros) or (flags.direction = 'down' and points.micros < flags.limit_micros) as is_beyond,
        min(case when (flags.direction = 'up' and points.micros <= flags.limit_micros) or (flags.direction = 'down' and points.micros >= flags.limit_micros)
            then points.day_number end) over (partition by flags.point_key, flags.day_number) as ordinary_again_day
    from {{ name }}_flags as flags
    inner join {{ points }} as points
        on flags.point_key = points.point_key
        and points.day_number between flags.day_number and flags.day_number + {{ accepted_after_days() - 1 }}
    -- days of the other sort say nothing where sorts are told apart
    inner join {{ points }} as starts
        on flags.point_key = starts.point_key and flags.day_number = starts.day_number and (not flags.is_aware or starts.is_weekend = points.is_weekend)

),

{{ name }}_ends as (

    select
        point_key,
        day_number,
        min(ordinary_again_day) as ordinary_again_day,
        max(case when is_beyond and followed_day < coalesce(ordinary_again_day, followed_day + 1) then followed_day end) as until_day
    from {{ name }}_follows
    group by point_key, day_number

),

{{ name }}_incidents as (

    select flags.*, ends.until_day, ends.ordinary_again_day is not null as has_ended
    from {{ name }}_flags as flags
    inner join {{ name }}_ends as ends on flags.point_key = ends.point_key and flags.day_number = ends.day_number

)
{%- endmacro %}

{#- CTE `leaks`: days on which the medians of the last five weeks have risen by 8 % or more each, to at least 1.7 times: too slow for a day to stand out. Series
    younger than eight weeks are growing up, not leaking, and those that spread by more than 1.25 medians within a week start and stop. -#}
{% macro leaks(points, floors) -%}
weeks as (

    select
        points.point_key,
        points.day_number,
        {{ int_div('points.day_number - earlier.day_number', '7') }} as week,
        count(*) as week_days,
        max(earlier.micros) - min(earlier.micros) as range_micros,
        {{ median_of('earlier.micros') }} as week_micros
    from {{ points }} as points
    inner join {{ points }} as earlier
        on points.point_key = earlier.point_key and earlier.day_number <= points.day_number and earlier.day_number > points.day_number - 35
    where points.measure = 'spend' and points.day_number > (select max(day_number) from {{ points }}) - 35 and points.first_day <= points.day_number - 56
    group by points.point_key, points.day_number, {{ int_div('points.day_number - earlier.day_number', '7') }}

),

five_weeks as (

    select
        point_key,
        day_number,
        min(week_days) as least_days,
        -- what starts and stops within a week rises by chance
        max(case when 4 * range_micros > 5 * week_micros then 1 else 0 end) = 1 as is_lumpy
        {%- for week in range(5) %},
        max(case when week = {{ week }} then week_micros end) as week_{{ week }}
        {%- endfor %}
    from weeks
    group by point_key, day_number
    having count(*) = 5

),

leaks as (

    select five_weeks.*
    from five_weeks
    cross join {{ floors }} as floors
    where least_days >= 5 and not is_lumpy and week_4 > 0 and 10 * week_0 >= 17 * week_4 and week_0 - week_4 >= floor_micros
        {%- for week in range(4) %} and 100 * week_{{ week }} >= 108 * week_{{ week + 1 }}{% endfor %}

)
{%- endmacro %}
