-- Grain: budget x its period (the current one and the one before): what was spent of it, when its thresholds were crossed, where it will end, and what
-- nobody can say because days are not priced or not published.
with

budgets as (

    select * from {{ source('policy', 'budgets') }}

),

dates as (

    select
        min(usage_date) as first_date,
        max(usage_date) as last_date,
        cast(date_trunc('month', max(usage_date)) as date) as month_start,
        cast(date_trunc('quarter', max(usage_date)) as date) as quarter_start
    from {{ ref('dim_date') }}

),

starts as (

    {% for period, months in [('month', 1), ('quarter', 3)] %}{% for back in [0, 1] -%}
    select
        '{{ period }}' as period,
        cast({{ dbt.dateadd('month', -1 * back * months, period ~ '_start') }} as date) as start_date,
        cast({{ dbt.dateadd('month', (1 - back) * months, period ~ '_start') }} as date) as next_date,
        first_date,
        last_date
    from dates
    {% if not (loop.last and period == 'quarter') %}union all{% endif %}
    {% endfor %}{% endfor %}

),

periods as (

    select
        budgets.*,
        starts.first_date,
        starts.last_date,
        greatest(starts.start_date, coalesce(budgets.valid_from, starts.start_date)) as period_start,
        cast({{ dbt.dateadd('day', -1, 'least(starts.next_date, coalesce(budgets.valid_to, starts.next_date))') }} as date) as period_end
    from budgets
    inner join starts on budgets.period = starts.period
    where coalesce(budgets.valid_from, starts.start_date) < starts.next_date
        and coalesce(budgets.valid_to, starts.next_date) > starts.start_date

),

-- periods of which something is published
told as (

    select
        periods.*,
        {{ day_number('period_start') }} as start_number,
        {{ day_number('period_end') }} as end_number,
        {{ day_number('first_date') }} as first_number,
        {{ day_number('last_date') }} as last_number
    from periods
    where period_start <= last_date and period_end >= first_date

),

published as (

    select told.budget_id, told.period_start, count(*) as published_days
    from told
    inner join {{ ref('dim_date') }} as dates on dates.usage_date between told.period_start and told.period_end
    group by told.budget_id, told.period_start

),

series as (

    select * from {{ ref('int_spend_series') }}
    where series_kind = 'budget'

),

forecasts as (

    select * from {{ ref('fct_spend_forecast') }}
    where series_kind = 'budget'

),

-- a published day that waits for its bill costs at least what is there with its estimate, and at least what the forecast expects
days as (

    select
        told.budget_id,
        told.period_start,
        told.amount_usd,
        coalesce(series.usage_date, forecasts.forecast_date) as day,
        series.usage_date is not null as is_published,
        series.unsettled_reason is not null as is_unpriced,
        series.spent_usd,
        series.missing_usd,
        series.estimated_usd,
        series.unpriced_gpu_seconds,
        series.without_price_gpu_seconds,
        series.unsettled_reason,
        case
            when series.usage_date is null then forecasts.forecast_usd
            when series.unsettled_reason is null then series.spent_usd
            when forecasts.forecast_usd is null then null
            else greatest(series.spent_usd + coalesce(series.estimated_usd, 0), forecasts.forecast_usd)
        end as expected_usd
    from told
    inner join (
        select series, usage_date as day from series
        union
        select series, forecast_date as day from forecasts
    ) as calendar
        on told.budget_id = calendar.series and calendar.day between told.period_start and told.period_end
    left join series on calendar.series = series.series and calendar.day = series.usage_date
    left join forecasts on calendar.series = forecasts.series and calendar.day = forecasts.forecast_date

),

running as (

    select
        *,
        sum(spent_usd) over (partition by budget_id, period_start order by day rows between unbounded preceding and current row) as spent_so_far_usd,
        sum(expected_usd) over (partition by budget_id, period_start order by day rows between unbounded preceding and current row) as expected_so_far_usd
    from days

),

sums as (

    select
        budget_id,
        period_start,
        cast(sum(spent_usd) as decimal(38, 12)) as actual_usd,
        cast(sum(missing_usd) as decimal(38, 12)) as missing_usd,
        cast(sum(case when is_unpriced then estimated_usd end) as decimal(38, 12)) as estimated_usd,
        cast(sum(unpriced_gpu_seconds) as decimal(38, 6)) as unpriced_gpu_seconds,
        cast(sum(without_price_gpu_seconds) as decimal(38, 6)) as without_price_gpu_seconds,
        sum(case when is_unpriced then 1 else 0 end) as unpriced_days,
        min(case when is_unpriced then day end) as first_unpriced_date,
        max(case when is_unpriced then day end) as last_unpriced_date,
        max(case when unsettled_reason = 'source_silent' then 1 else 0 end) = 1 as has_silent_source,
        case when count(expected_usd) = count(*) then cast(sum(expected_usd) as decimal(38, 12)) end as forecast_usd
    from running
    group by budget_id, period_start

),

crossings as (

    select
        told.budget_id,
        told.period_start,
        thresholds.threshold_percent,
        min(case when 100 * running.spent_so_far_usd >= thresholds.threshold_percent * told.amount_usd and running.is_published then running.day end) as crossed_date
    from told
    inner join {{ source('policy', 'budget_thresholds') }} as thresholds on told.budget_id = thresholds.budget_id
    left join running on told.budget_id = running.budget_id and told.period_start = running.period_start
    group by told.budget_id, told.period_start, thresholds.threshold_percent

),

thresholds as (

    select
        budget_id,
        period_start,
        max(case when crossed_date is not null then threshold_percent end) as crossed_percent,
        max_by(crossed_date, case when crossed_date is not null then threshold_percent end) as crossed_date,
        -- the last one before the whole budget is gone
        max(case when threshold_percent < 100 then threshold_percent end) as warning_percent,
        concat('{', {{ ordered_text("concat('\"', cast(threshold_percent as " ~ dbt.type_string() ~ "), '\": ', case when crossed_date is null then 'null' else concat('\"', cast(crossed_date as " ~ dbt.type_string() ~ "), '\"') end)", ', ', 'threshold_percent') }}, '}') as threshold_dates
    from crossings
    group by budget_id, period_start

),

forecast_crossings as (

    select told.budget_id, told.period_start, min(running.day) as forecast_crossed_date
    from told
    inner join running on told.budget_id = running.budget_id and told.period_start = running.period_start
    where 100 * running.expected_so_far_usd >= told.forecast_threshold_percent * told.amount_usd
    group by told.budget_id, told.period_start

),

ends as (

    select series as budget_id, forecast_date as period_end, cumulative_usd - cumulative_low_usd as below_usd, cumulative_high_usd - cumulative_usd as above_usd, interval_level_ratio
    from forecasts

),

figures as (

    select
        told.*,
        coalesce(sums.actual_usd, 0) as actual_usd,
        case when told.end_number <= told.last_number and coalesce(sums.unpriced_days, 0) = 0 then sums.actual_usd else sums.forecast_usd end as forecast_usd,
        ends.below_usd,
        ends.above_usd,
        ends.interval_level_ratio,
        thresholds.crossed_percent,
        thresholds.crossed_date,
        thresholds.warning_percent,
        thresholds.threshold_dates,
        forecast_crossings.forecast_crossed_date,
        told.end_number - told.start_number + 1 as period_days,
        published.published_days,
        coalesce(sums.unpriced_days, 0) as unpriced_days,
        -- before anything was published, and holes between published days
        greatest(least(told.end_number + 1, told.first_number) - told.start_number, 0) as days_before_publication,
        least(told.end_number, told.last_number) - greatest(told.start_number, told.first_number) + 1 - published.published_days as missing_days,
        sums.budget_id is null as has_no_spend,
        coalesce(sums.missing_usd, 0) as missing_usd,
        sums.estimated_usd,
        coalesce(sums.unpriced_gpu_seconds, 0) as unpriced_gpu_seconds,
        coalesce(sums.without_price_gpu_seconds, 0) as without_price_gpu_seconds,
        coalesce(sums.has_silent_source, false) as has_silent_source,
        sums.first_unpriced_date,
        sums.last_unpriced_date
    from told
    inner join published on told.budget_id = published.budget_id and told.period_start = published.period_start
    left join sums on told.budget_id = sums.budget_id and told.period_start = sums.period_start
    left join thresholds on told.budget_id = thresholds.budget_id and told.period_start = thresholds.period_start
    left join forecast_crossings on told.budget_id = forecast_crossings.budget_id and told.period_start = forecast_crossings.period_start
    left join ends on told.budget_id = ends.budget_id and told.period_end = ends.period_end

),

judged as (

    select
        *,
        case
            when without_price_gpu_seconds > 0 then 'no_price'
            when unpriced_gpu_seconds > 0 then 'awaiting_bill'
            when has_silent_source then 'source_silent'
            when missing_days > 0 then 'days_missing'
            when missing_usd > 0 then 'list_price_missing'
        end as unpriced_reason
    from figures

)

{{ budget_columns('judged') }}
