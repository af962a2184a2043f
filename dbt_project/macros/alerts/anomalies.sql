{#- Alerts about spend out of the ordinary: spend_anomaly, one per incident of the last week. -#}

{#- `anomalies`: fct_spend_anomaly; `dim_date`: the published days. -#}
{% macro anomalies_alerts(anomalies, dim_date) -%}
{%- set parts = ['price', 'volume', 'mix', 'utilization', 'other'] -%}
select
    'spend_anomaly' as alert_kind,
    case when is_maybe_incomplete then 'info' else 'warning' end as severity,
    coalesce(team, leading_team) as team,
    'spend' as subject_type,
    concat(series_kind, ': ', series) as subject,
    since_date,
    until_date as usage_date,
    excess_usd as amount_usd,
    concat({{ usd_text('actual_usd') }}, ' in ', {{ text_of('incident_days') }}, ' days') as measured,
    concat({{ usd_text('baseline_usd') }}, ' expected') as threshold,
    concat(
        case measure when 'idle' then 'Idle spend of ' else 'Spend of ' end, case series_kind when 'all' then 'the company' else series end,
        case when shape = 'leak' then ' has crept up for five weeks: ' when direction = 'up' then ' jumped: ' else ' fell: ' end,
        {{ usd_text('actual_usd') }}, ' from ', {{ text_of('since_date') }}, ' to ', {{ text_of('until_date') }}, ' instead of ', {{ usd_text('baseline_usd') }},
        ', mostly by ', case driver when 'other' then concat('spend without GPU time', case when leading_service is not null then concat(' (', leading_service, ')') else '' end) else driver end,
        case when leading_gpu_model is not null then concat(', on ', leading_gpu_model) else '' end,
        case when is_maybe_incomplete then '; the bill may not be complete yet' else '' end, '.') as message,
    concat('{"baseline_usd": "', {{ text_of('baseline_usd') }}, '", "change_usd": "', {{ text_of('change_usd') }}, '", "driver": "', driver, '"'
        {%- for part in parts | sort %}, ', "{{ part }}_usd": "', {{ text_of(part ~ '_usd') }}, '"'{% endfor %}, '}') as evidence,
    concat('apportion anomalies --incident ', incident_id) as explain
from {{ anomalies }}
where until_date > {{ dbt.dateadd('day', -7, last_day(dim_date)) }}
{%- endmacro %}
