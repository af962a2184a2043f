{#- What fct_budget_status publishes, from its figures. -#}

{#- A budget that is over is over whatever is still missing; one that is not may only be called ok when nothing is missing. -#}
{% macro budget_status() -%}
case
  when actual_usd >= amount_usd then 'over'
  when unpriced_reason is not null then 'unknown'
  when 100 * forecast_usd >= forecast_threshold_percent * amount_usd and period_end > last_date then 'forecast_over'
  when crossed_percent >= warning_percent then 'warning'
  else 'ok'
end
{%- endmacro %}

{% macro budget_columns(figures) -%}
select
    budget_id,
    period_start,
    period_end,
    period,
    scope,
    team,
    owner,
    basis,
    includes_idle,
    includes_shared,
    last_date as as_of_date,
    amount_usd,
    cast(actual_usd as decimal(38, 12)) as actual_usd,
    cast(actual_usd as double) / cast(amount_usd as double) as actual_ratio,
    crossed_percent as crossed_threshold_percent,
    crossed_date as crossed_threshold_date,
    threshold_dates,
    forecast_usd,
    -- what is spent is no guess: the interval lies on what is not
    case when forecast_usd - below_usd is not null then cast(greatest(actual_usd, forecast_usd - below_usd) as decimal(38, 12)) end as forecast_low_usd,
    cast(forecast_usd + above_usd as decimal(38, 12)) as forecast_high_usd,
    interval_level_ratio,
    cast(forecast_usd as double) / cast(amount_usd as double) as forecast_ratio,
    forecast_threshold_percent,
    coalesce(100 * forecast_usd >= forecast_threshold_percent * amount_usd, false) as is_forecast_over,
    case when 100 * forecast_usd >= forecast_threshold_percent * amount_usd then forecast_crossed_date end as forecast_crossed_date,
    cast(period_days as bigint) as period_days,
    cast(published_days as bigint) as published_days,
    cast(unpriced_days as bigint) as unpriced_days,
    cast(missing_days as bigint) as missing_days,
    cast(days_before_publication as bigint) as days_before_publication,
    first_unpriced_date,
    last_unpriced_date,
    cast(unpriced_gpu_seconds as decimal(38, 6)) as unpriced_gpu_seconds,
    cast(without_price_gpu_seconds as decimal(38, 6)) as without_price_gpu_seconds,
    estimated_usd as unpriced_estimate_usd,
    cast(missing_usd as decimal(38, 12)) as list_missing_cost_usd,
    has_no_spend,
    unpriced_reason,
    case when forecast_usd is null then case when has_no_spend then 'no_spend' else 'too_little_history' end end as forecast_reason,
    {{ budget_status() }} as status
from {{ figures }}
{%- endmacro %}
