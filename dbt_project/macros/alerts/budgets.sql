{#- Alerts about budgets: budget_threshold, budget_forecast, budget_unpriced. -#}

{#- `status`: fct_budget_status. Days that wait for their bill since at most this many days before the last published one are the bill's usual lag: info. -#}
{% macro usual_bill_lag_days() %}{{ return(3) }}{% endmacro %}

{% macro budgets_alerts(status) -%}
{%- set evidence -%}
concat(
    '{"actual_usd": "', {{ text_of('actual_usd') }}, '", "amount_usd": "', {{ text_of('amount_usd') }}, '", "basis": "', basis,
    '", "days_before_publication": ', {{ text_of('days_before_publication') }},
    ', "forecast_usd": ', case when forecast_usd is null then 'null' else concat('"', {{ text_of('forecast_usd') }}, '"') end,
    ', "missing_days": ', {{ text_of('missing_days') }}, ', "period_end": "', {{ text_of('period_end') }}, '", "period_start": "', {{ text_of('period_start') }},
    '", "scope": ', {{ json_string('scope') }}, ', "unpriced_days": ', {{ text_of('unpriced_days') }},
    ', "unpriced_estimate_usd": ', case when unpriced_estimate_usd is null then 'null' else concat('"', {{ text_of('unpriced_estimate_usd') }}, '"') end,
    ', "unpriced_gpu_seconds": "', {{ text_of('unpriced_gpu_seconds') }}, '"}')
{%- endset -%}
{%- set of_period -%}
concat('Budget ', budget_id, ' (', {{ usd_text('amount_usd') }}, ' for ', {{ text_of('period_start') }}, ' to ', {{ text_of('period_end') }}, ')')
{%- endset -%}
select
    'budget_threshold' as alert_kind,
    case when crossed_threshold_percent >= 100 then 'critical' when status in ('warning', 'over') then 'warning' else 'info' end as severity,
    coalesce(team, owner) as team,
    'budget' as subject_type,
    budget_id as subject,
    crossed_threshold_date as since_date,
    as_of_date as usage_date,
    actual_usd as amount_usd,
    concat({{ usd_text('actual_usd') }}, ' spent') as measured,
    concat({{ text_of('crossed_threshold_percent') }}, ' % of ', {{ usd_text('amount_usd') }}) as threshold,
    concat({{ of_period }}, ': ', {{ usd_text('actual_usd') }}, ' is spent, ', {{ text_of('crossed_threshold_percent') }}, ' % was crossed on ', {{ text_of('crossed_threshold_date') }}, '.') as message,
    {{ evidence }} as evidence,
    concat('apportion budgets --budget ', budget_id) as explain
from {{ status }}
where crossed_threshold_percent is not null and period_end >= as_of_date
union all
select
    'budget_forecast', 'warning', coalesce(team, owner), 'budget', budget_id, as_of_date, as_of_date, cast(forecast_usd - amount_usd as decimal(38, 12)),
    concat({{ usd_text('forecast_usd') }}, ' forecast'),
    concat({{ text_of('forecast_threshold_percent') }}, ' % of ', {{ usd_text('amount_usd') }}),
    concat({{ of_period }}, ' is forecast to end at ', {{ usd_text('forecast_usd') }},
        case when forecast_low_usd is not null then concat(' (80 % interval ', {{ usd_text('forecast_low_usd') }}, ' to ', {{ usd_text('forecast_high_usd') }}, ')') else ' (too few days for an interval)' end,
        case when forecast_crossed_date is not null then concat(', crossing on ', {{ text_of('forecast_crossed_date') }}) else '' end, '; ', {{ usd_text('actual_usd') }}, ' is spent.'),
    {{ evidence }},
    concat('apportion budgets --budget ', budget_id)
from {{ status }}
where is_forecast_over and actual_usd < amount_usd and period_end > as_of_date
union all
select
    'budget_unpriced',
    case
        when unpriced_reason = 'awaiting_bill' and first_unpriced_date > {{ dbt.dateadd('day', -1 * usual_bill_lag_days(), 'as_of_date') }}
            and 100 * (actual_usd + coalesce(unpriced_estimate_usd, 0)) < forecast_threshold_percent * amount_usd then 'info'
        else 'warning'
    end,
    coalesce(team, owner), 'budget', budget_id, coalesce(first_unpriced_date, period_start), coalesce(last_unpriced_date, as_of_date), unpriced_estimate_usd,
    concat({{ text_of('unpriced_days') }}, ' days unpriced, ', {{ text_of('missing_days') }}, ' days missing'),
    'every day of the period priced',
    concat({{ of_period }}, ' cannot be called kept: ',
        case unpriced_reason
            when 'days_missing' then concat({{ text_of('missing_days') }}, ' of its days are not published')
            when 'source_silent' then concat('a bill source has said nothing for ', {{ text_of('unpriced_days') }}, ' of its days')
            when 'list_price_missing' then concat({{ usd_text('list_missing_cost_usd') }}, ' of its spend has no list price')
            else concat(
                {{ text_of('unpriced_days') }}, ' days with ', {{ text_of('cast(round(unpriced_gpu_seconds / 3600, 1) as decimal(38, 1))') }}, ' GPU-hours wait for their bill (',
                case when without_price_gpu_seconds > 0 then 'not all have an estimate' else concat('estimated ', {{ usd_text('unpriced_estimate_usd') }}) end, ')')
        end, '; ', {{ usd_text('actual_usd') }}, ' is spent as far as it is priced.'),
    {{ evidence }},
    concat('apportion budgets --budget ', budget_id)
from {{ status }}
where unpriced_reason is not null and period_end >= {{ dbt.dateadd('day', -7, 'as_of_date') }}
{%- endmacro %}
