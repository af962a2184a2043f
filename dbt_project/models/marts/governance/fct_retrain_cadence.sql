-- Grain: one model x team x environment: what a retrain costs, what it was measured to gain, and at which cadence it would pay. Looks at the policy's window
-- of days. How gains at other cadences are reckoned stands in docs/training.md and in the column assumptions.
with

bounds as (

    {{ window_of_days(last_day(ref('dim_date')), governance('training.window_days')) }}

),

versions as (

    select
        version_costs.*,
        version_costs.workload_key is not null and version_costs.incomplete_reason is null
            and cast(version_costs.started_at as date) >= bounds.window_from as is_counted,
        bounds.window_from,
        bounds.window_to,
        bounds.to_second
    from {{ ref('fct_model_version_cost') }} as version_costs
    cross join bounds
    where version_costs.last_usage_date >= bounds.window_from

),

retrains as (

    select
        {{ lineage() | join(', ') }},
        max(window_from) as window_from,
        max(window_to) as window_to,
        max(to_second) as to_second,
        min(case when is_counted then first_usage_date end) as first_usage_date,
        max(case when is_counted then last_usage_date end) as last_usage_date,
        max(started_at) as last_started_at,
        max_by(run_id, case when workload_key is not null then {{ started_text('started_at', 'workload_key') }} end) as last_run_id,
        cast(count(workload_key) as bigint) as version_count,
        {{ wide_int('sum(case when is_counted then 1 else 0 end)') }} as retrain_count,
        cast(sum(case when workload_key is not null and not is_counted then 1 else 0 end) as bigint) as uncounted_version_count,
        cast(sum(case when workload_key is null then run_count else 0 end) as bigint) as open_run_count,
        cast(sum(case when workload_key is null then version_cost_usd end) as decimal(38, 12)) as open_cost_usd,
        cast(sum(case when is_counted then version_cost_usd end) as decimal(38, 12)) as retrain_cost_usd,
        cast(sum(case when is_counted then version_cost_usd - own_cost_usd + own_interrupted_cost_usd end) as decimal(38, 12)) as interrupted_cost_usd,
        cast(sum(case when is_counted then held_idle_cost_usd end) as decimal(38, 12)) as held_idle_cost_usd,
        cast(sum(case when is_counted then unknown_cost_usd end) as decimal(38, 12)) as unknown_cost_usd,
        {{ discrete_percentile('case when is_counted then version_cost_usd end', '0.5') }} as cost_p50,
        {{ discrete_percentile('case when is_counted then version_cost_usd end', '0.9') }} as cost_p90,
        {{ discrete_percentile('case when is_counted then seconds_since_previous end', '0.5') }} as interval_seconds
    from versions
    group by {{ lineage() | join(', ') }}

),

gains as (

    select gains.*
    from {{ ref('fct_retrain_gain') }} as gains
    inner join versions on gains.workload_key = versions.workload_key
    where cast(gains.started_at as date) >= versions.window_from

),

-- ranks within an interval of 90 % for the median: without assuming how gains are distributed (docs/training.md)
ranked as (

    select
        *,
        row_number() over (partition by {{ lineage() | join(', ') }}, metric, evaluation_set order by quality_gain nulls last, workload_key) as rank_up,
        count(quality_gain) over (partition by {{ lineage() | join(', ') }}, metric, evaluation_set) as gain_count
    from gains

),

measured as (

    select
        {{ lineage() | join(', ') }},
        metric,
        evaluation_set,
        cast(count(quality_gain) as bigint) as measured_gain_count,
        max_by(is_higher_better, {{ started_text('measured_at', 'workload_key') }}) as is_higher_better,
        {{ discrete_percentile('quality_gain', '0.5') }} as gain_p50,
        max(case when {{ is_within_median('rank_up', 'gain_count') }} then quality_gain end) as gain_low,
        min(case when {{ is_within_median('gain_count + 1 - rank_up', 'gain_count') }} then quality_gain end) as gain_high,
        {{ discrete_percentile('largest_repeat_difference', '0.5') }} as repeat_difference
    from ranked
    group by {{ lineage() | join(', ') }}, metric, evaluation_set

),

-- the metric and set that the policy names, else those with most measured gains
chosen as (

    select
        measured.*,
        count(*) over (partition by measured.model, measured.team, measured.environment) - 1 as other_metric_count,
        row_number() over (
            partition by measured.model, measured.team, measured.environment
            order by measured.measured_gain_count desc, measured.metric, measured.evaluation_set
        ) as choice
    from measured
    left join {{ source('policy', 'training_models') }} as worth on measured.model = worth.model
    where measured.metric = coalesce(worth.metric, measured.metric) and measured.evaluation_set = coalesce(worth.evaluation_set, measured.evaluation_set)

),

-- measurements of the model that no version here accounts for
unmatched as (

    select quality.model, cast(count(distinct quality.model_version) as bigint) as unmatched_version_count
    from {{ ref('fct_model_quality') }} as quality
    left join (select distinct model, run_id from {{ ref('fct_model_version_run') }} where cost_role = 'version') as runs
        on quality.model = runs.model and coalesce(quality.run_id, quality.model_version) = runs.run_id
    left join {{ ref('fct_model_version_cost') }} as own_runs
        on quality.model = own_runs.model and coalesce(quality.run_id, quality.model_version) = own_runs.run_id
    where runs.run_id is null and own_runs.run_id is null
    group by quality.model

),

joined as (

    select
        retrains.*,
        {{ bounded_amount('retrains.retrain_cost_usd', '1', 'retrains.retrain_count') }} as cost_mean,
        {{ days_of_seconds('retrains.interval_seconds') }} as interval_days,
        chosen.metric,
        chosen.evaluation_set,
        chosen.is_higher_better,
        coalesce(chosen.measured_gain_count, 0) as measured_gain_count,
        chosen.gain_p50,
        chosen.gain_low,
        chosen.gain_high,
        coalesce(worth.noise_floor, chosen.repeat_difference) as noise_floor,
        case when worth.noise_floor is not null then 'stated' when chosen.repeat_difference is not null then 'repeated_measurements' end as noise_basis,
        coalesce(chosen.other_metric_count, 0) as other_metric_count,
        coalesce(unmatched.unmatched_version_count, 0) as unmatched_version_count,
        worth.value_per_quality_point_usd,
        worth.quality_point,
        worth.value_period_days
    from retrains
    left join chosen on {{ same_lineage('retrains', 'chosen') }} and chosen.choice = 1
    left join {{ source('policy', 'training_models') }} as worth on retrains.model = worth.model
    left join unmatched on retrains.model = unmatched.model

),

-- a gain's points x what one is worth, for as long as the retrain would have been missed
pointed as (

    select
        *,
        {%- for gain in ['gain_p50', 'gain_low', 'gain_high'] %}
        {{ bounded_amount('value_per_quality_point_usd', gain, 'quality_point') }} as {{ gain }}_points_value,
        {%- endfor %}
        {{ bounded_amount('cost_mean', "coalesce(quality_point, cast('0.01' as decimal(38, 12)))", 'gain_p50') }} as cost_per_gained_point
    from joined

),

valued as (

    select
        *,
        {%- for gain in ['gain_p50', 'gain_low', 'gain_high'] %}
        {{ bounded_amount(gain ~ '_points_value', 'interval_days', 'value_period_days') }} as {{ gain }}_value,
        {%- endfor %}
        {{ bounded_amount('value_per_quality_point_usd', 'interval_days', 'value_period_days') }} as point_value,
        case when gain_p50 > 0 then {{ bounded_amount('cost_per_gained_point', 'coalesce(value_period_days, 365)', 'interval_days') }} end as break_even_value
    from pointed

),

reckoned as (

    select
        *,
        {{ bounded_amount('cost_mean', 'quality_point', 'point_value') }} as break_even_gain,
        case when gain_p50_value > 0 then cast(interval_days as double) * sqrt(cast(cost_mean as double) / cast(gain_p50_value as double)) end as break_even_interval,
        {%- for cadence, days, denominator in retrain_cadences() %}
        {{ yearly_cost('cost_mean', days, denominator) }} as {{ cadence }}_cost,
        {{ yearly_staleness('gain_p50_value', days, denominator) }} as {{ cadence }}_staleness{{ ',' if not loop.last }}
        {%- endfor %}
    from valued

),

judged as (

    select
        *,
        {%- for cadence, days, denominator in retrain_cadences() %}
        {{ cadence }}_cost + {{ cadence }}_staleness as {{ cadence }}_total,
        {%- endfor %}
        {{ retrain_reason() }} as verdict_reason
    from reckoned

)

select
    model,
    team,
    environment,
    window_from,
    window_to,
    first_usage_date,
    last_usage_date,
    last_started_at,
    last_run_id,
    coalesce(to_second - {{ epoch_seconds('last_started_at') }} <= 3 * interval_seconds + 86400, false) as is_active,
    version_count,
    cast(retrain_count as bigint) as retrain_count,
    uncounted_version_count,
    open_run_count,
    open_cost_usd,
    retrain_cost_usd,
    interrupted_cost_usd,
    held_idle_cost_usd,
    unknown_cost_usd,
    case when retrain_cost_usd > 0 then cast(interrupted_cost_usd as double) / cast(retrain_cost_usd as double) end as interrupted_ratio,
    case when retrain_cost_usd > 0 then cast(held_idle_cost_usd as double) / cast(retrain_cost_usd as double) end as held_idle_ratio,
    cost_mean as cost_per_retrain_usd,
    cost_p50 as cost_per_retrain_p50_usd,
    cost_p90 as cost_per_retrain_p90_usd,
    interval_days,
    metric,
    evaluation_set,
    is_higher_better,
    measured_gain_count,
    other_metric_count,
    unmatched_version_count,
    gain_p50 as quality_gain_p50,
    gain_low as quality_gain_low,
    gain_high as quality_gain_high,
    cast(noise_floor as decimal(38, 12)) as noise_floor,
    noise_basis,
    value_per_quality_point_usd,
    quality_point,
    value_period_days,
    gain_p50_value as value_per_retrain_usd,
    gain_low_value as value_per_retrain_low_usd,
    gain_high_value as value_per_retrain_high_usd,
    cast(gain_p50_value - cost_mean as decimal(38, 12)) as net_value_per_retrain_usd,
    break_even_gain,
    {{ no_break_even_reason() }} as break_even_reason,
    break_even_value as break_even_value_per_point_usd,
    break_even_interval as break_even_interval_days,
    {%- for cadence, days, denominator in retrain_cadences() %}
    {{ cadence }}_cost as {{ cadence }}_yearly_cost_usd,
    {{ cadence }}_staleness as {{ cadence }}_yearly_staleness_usd,
    cast(observed_total - {{ cadence }}_total as decimal(38, 12)) as {{ cadence }}_yearly_net_value_usd,
    {%- endfor %}
    case when {{ is_reckoned_retrain('verdict_reason') }} then {{ cheapest_cadence() }} end as cheapest_cadence,
    case verdict_reason when 'gain_worth_more' then 'pays' when 'gain_worth_less' then 'does_not_pay' else 'unknown' end as verdict,
    verdict_reason,
    {{ retrain_change() }} as what_would_change,
    {{ retrain_assumptions() }} as assumptions
from judged
