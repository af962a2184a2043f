-- Grain: forecast series x horizon: how the forecast would have done, made on each of the last days with enough history, against what came. Run-rate
-- spend only: lumps (monthly fees, taxes, credits) are not forecast by a rule that could err.
with

series as (

    select * from {{ ref('int_spend_series') }}

),

{{ settled_days('series') }},

origins as (

    select series_key, day_number as origin
    from settled
    where day_number > (select max(day_number) from series) - {{ backtest_days() }}

),

{{ weekday_profiles('settled', 'origins') }},

predictions as (

    select
        series_key,
        origin,
        {%- for horizon in backtest_horizons() %}
        {%- if horizon < 7 %}
        sum(case when slot <= {{ horizon }} then expected_micros else 0 end) as expected_{{ horizon }}{{ ',' if not loop.last }}
        {%- else %}
        {%- set weeks = (horizon / 7) | int %}
        -- each weekday comes once a week, and each further week adds the drift
        {{ weeks }} * sum(expected_micros) + {{ (7 * weeks * (weeks - 1) / 2) | int }} * min(drift_micros) as expected_{{ horizon }}{{ ',' if not loop.last }}
        {%- endif %}
        {%- endfor %}
    from profiles
    group by series_key, origin

),

outcomes as (

    {% for horizon in backtest_horizons() -%}
    select
        predictions.series_key,
        predictions.origin,
        {{ horizon }} as horizon_days,
        cast(min(predictions.expected_{{ horizon }}) as bigint) as expected_micros,
        cast(sum(days.run_rate_micros) as bigint) as actual_micros
    from predictions
    inner join settled as days
        on predictions.series_key = days.series_key and days.day_number > predictions.origin and days.day_number <= predictions.origin + {{ horizon }}
    group by predictions.series_key, predictions.origin
    -- every day of the horizon is known
    having count(*) = {{ horizon }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

errors as (

    select *, actual_micros - expected_micros as error_micros from outcomes

),

-- an interval as it would have been given at an origin: from the errors that were known by then
given_then as (

    select
        errors.series_key,
        errors.horizon_days,
        errors.origin,
        min(errors.error_micros) as error_micros,
        {{ discrete_percentile('earlier.error_micros', 0.1) }} as low_micros,
        {{ discrete_percentile('earlier.error_micros', 0.9) }} as high_micros
    from errors
    inner join errors as earlier
        on errors.series_key = earlier.series_key and errors.horizon_days = earlier.horizon_days and earlier.origin + earlier.horizon_days <= errors.origin
    group by errors.series_key, errors.horizon_days, errors.origin
    having count(*) >= {{ governance('forecast.least_backtests') }}

),

coverage as (

    select
        series_key,
        horizon_days,
        count(*) as interval_count,
        sum(case when error_micros between low_micros and high_micros then 1 else 0 end) as covered_count
    from given_then
    group by series_key, horizon_days

),

tested as (

    select
        series_key,
        horizon_days,
        count(*) as backtest_count,
        min(origin) as first_origin,
        max(origin) as last_origin,
        sum(actual_micros) as actual_micros,
        sum(abs(error_micros)) as absolute_error_micros,
        sum(-error_micros) as bias_micros,
        {{ discrete_percentile('error_micros', 0.1) }} as low_micros,
        {{ discrete_percentile('error_micros', 0.9) }} as high_micros
    from errors
    group by series_key, horizon_days

),

horizons as (

    {% for horizon in backtest_horizons() %}select {{ horizon }} as horizon_days{{ ' union all ' if not loop.last }}{% endfor %}

),

forecast_series as (

    select distinct series_key, series_kind, series, team, environment
    from series
    where series_kind in ('all', 'team', 'team_environment', 'budget')

)

select
    forecast_series.series_key,
    forecast_series.series_kind,
    forecast_series.series,
    forecast_series.team,
    forecast_series.environment,
    cast(horizons.horizon_days as bigint) as horizon_days,
    cast(coalesce(tested.backtest_count, 0) as bigint) as backtest_count,
    {{ day_of('tested.first_origin') }} as first_origin_date,
    {{ day_of('tested.last_origin') }} as last_origin_date,
    {{ usd_of_micros('tested.actual_micros') }} as actual_usd,
    {{ usd_of_micros('tested.absolute_error_micros') }} as absolute_error_usd,
    {{ usd_of_micros('tested.bias_micros') }} as bias_usd,
    cast(tested.absolute_error_micros as double) / cast(nullif(tested.actual_micros, 0) as double) as absolute_error_ratio,
    cast(tested.bias_micros as double) / cast(nullif(tested.actual_micros, 0) as double) as bias_ratio,
    case when tested.backtest_count >= {{ governance('forecast.least_backtests') }} then {{ usd_of_micros('tested.low_micros') }} end as low_error_usd,
    case when tested.backtest_count >= {{ governance('forecast.least_backtests') }} then {{ usd_of_micros('tested.high_micros') }} end as high_error_usd,
    cast(coalesce(coverage.interval_count, 0) as bigint) as interval_count,
    cast(coalesce(coverage.covered_count, 0) as bigint) as covered_count,
    cast(coverage.covered_count as double) / cast(coverage.interval_count as double) as coverage_ratio,
    case
        when tested.backtest_count is null then 'too_little_history'
        when tested.backtest_count < {{ governance('forecast.least_backtests') }} then 'too_few_backtests'
        when coverage.interval_count is null then 'coverage_not_tested'
    end as reason
from forecast_series
cross join horizons
left join tested on forecast_series.series_key = tested.series_key and horizons.horizon_days = tested.horizon_days
left join coverage on forecast_series.series_key = coverage.series_key and horizons.horizon_days = coverage.horizon_days
