-- Grain: forecast series x UTC day after its last settled day: what the day is expected to cost, and what all days up to it sum to. Published days that
-- wait for their bill are forecast like days to come.
with

series as (

    select * from {{ ref('int_spend_series') }}

),

{{ settled_days('series') }},

last_days as (

    select max(day_number) as last_day, max(usage_date) as last_date from series

),

origins as (

    select series_key, max(day_number) as origin from settled group by series_key

),

{{ weekday_profiles('settled', 'origins') }},

methods as (

    select series_key, min(history_days) as history_days, min(drift_micros) as drift_micros, sum(case when is_by_weekday then 1 else 0 end) as weekday_slots
    from profiles
    group by series_key

),

numbers as (

    select tens.digit * 10 + ones.digit as days_after
    from (select 0 as digit {% for digit in range(1, 10) %}union all select {{ digit }} {% endfor %}) as ones
    cross join (select 0 as digit {% for digit in range(1, 13) %}union all select {{ digit }} {% endfor %}) as tens

),

ranked_series as (

    select
        days.series_key, row_number() over (partition by min(days.series_kind) order by sum(abs(days.spent_usd)) desc, days.series_key) as place, min(days.series_kind) as series_kind, min(days.series) as series, min(days.team) as team, min(days.environment) as environment,
        min(budgets.period) as period,
        max(days.day_number) as last_day
    from series as days
    left join {{ source('policy', 'budgets') }} as budgets on days.series_kind = 'budget' and days.series = budgets.budget_id
    where days.series_kind in ('all', 'team', 'team_environment', 'budget')
    group by days.series_key

),

-- tags can name any number of teams: the dearest are forecast, and every budget
forecast_series as (

    select * from ranked_series
    where series_kind = 'budget' or place <= {{ most_forecast_series() }}

),

ends as (

    select
        forecast_series.*,
        origins.origin,
        -- a month ahead, or to the end of a quarter that has a budget
        greatest(
            forecast_series.last_day + 31,
            {{ day_number(dbt.dateadd('month', 3, "cast(date_trunc('quarter', last_days.last_date) as date)")) }} * case when period = 'quarter' then 1 else 0 end - 1
        ) as end_day,
        last_days.last_date
    from forecast_series
    cross join last_days
    left join origins on forecast_series.series_key = origins.series_key

),

ahead as (

    select
        ends.*,
        coalesce(ends.origin, ends.last_day) + numbers.days_after as day_number,
        numbers.days_after,
        {{ day_of('coalesce(ends.origin, ends.last_day) + numbers.days_after') }} as forecast_date
    from ends
    inner join numbers on numbers.days_after > 0 and coalesce(ends.origin, ends.last_day) + numbers.days_after <= ends.end_day

),

-- a charge that came on this day of the last month is expected again; a credit is not promised again
lumps as (

    select series_key, usage_date, spent_lump_usd from series where spent_lump_usd > 0

),

expected as (

    select
        ahead.*,
        methods.history_days,
        methods.drift_micros,
        case when methods.weekday_slots = 7 then 'weekday_median' when methods.weekday_slots is not null then 'recent_mean' end as method,
        profiles.expected_micros + {{ int_div('ahead.days_after - 1', '7') }} * profiles.drift_micros as run_rate_micros,
        cast(coalesce(lumps.spent_lump_usd, 0) as decimal(38, 12)) as lump_usd
    from ahead
    left join methods on ahead.series_key = methods.series_key
    left join profiles on ahead.series_key = profiles.series_key and (ahead.days_after - 1) % 7 + 1 = profiles.slot
    left join lumps
        on ahead.series_key = lumps.series_key
        and {{ dbt.dateadd('month', -1, 'ahead.forecast_date') }} = lumps.usage_date
        and extract(day from ahead.forecast_date) = extract(day from lumps.usage_date)

),

-- the shortest tested horizon that reaches this far, else the longest that is tested; wider spans widen it in proportion
intervals as (

    select
        expected.series_key,
        expected.day_number,
        coalesce(
            min(case when backtests.horizon_days >= expected.days_after then backtests.horizon_days end), max(backtests.horizon_days)
        ) as interval_horizon_days
    from expected
    inner join {{ ref('fct_forecast_backtest') }} as backtests
        on expected.series_key = backtests.series_key and backtests.low_error_usd is not null
    group by expected.series_key, expected.day_number

),

summed as (

    select
        expected.*,
        cast(sum(run_rate_micros) over (partition by expected.series_key order by expected.day_number rows between unbounded preceding and current row) as bigint) as summed_micros,
        cast(sum(lump_usd) over (partition by expected.series_key order by expected.day_number rows between unbounded preceding and current row) as decimal(38, 12)) as summed_lump_usd,
        cast(intervals.interval_horizon_days as bigint) as interval_horizon_days,
        {%- for side in ['low', 'high'] %}
        {{ micros('backtests.' ~ side ~ '_error_usd') }} as {{ side }}_micros{{ ',' if not loop.last }}
        {%- endfor %}
    from expected
    left join intervals on expected.series_key = intervals.series_key and expected.day_number = intervals.day_number
    left join {{ ref('fct_forecast_backtest') }} as backtests
        on expected.series_key = backtests.series_key and intervals.interval_horizon_days = backtests.horizon_days

)

select
    series_key,
    series_kind,
    series,
    team,
    environment,
    last_date as as_of_date,
    {{ day_of('origin') }} as origin_date,
    forecast_date,
    cast(days_after as bigint) as days_ahead,
    forecast_date <= last_date as is_published,
    {{ usd_of_micros('run_rate_micros') }} as run_rate_usd,
    lump_usd,
    cast({{ usd_of_micros('run_rate_micros') }} + lump_usd as decimal(38, 12)) as forecast_usd,
    cast({{ usd_of_micros('summed_micros') }} + summed_lump_usd as decimal(38, 12)) as cumulative_usd,
    {%- for side in ['low', 'high'] %}
    cast({{ usd_of_micros('summed_micros + ' ~ int_div(side ~ '_micros * days_after', 'interval_horizon_days')) }} + summed_lump_usd as decimal(38, 12)) as cumulative_{{ side }}_usd,
    {%- endfor %}
    case when low_micros is not null then cast(0.8 as decimal(9, 6)) end as interval_level_ratio,
    interval_horizon_days,
    method,
    {{ usd_of_micros('drift_micros') }} as weekly_drift_usd,
    cast(history_days as bigint) as history_days,
    case when origin is null then 'no_settled_day' when method is null then 'too_little_history' end as reason,
    case when method is null then 'no_forecast' when low_micros is null then 'too_few_backtests' end as interval_reason
from summed
