{#- What training is worth a word about. Does not belong here: what makes a retrain pay (fct_retrain_cadence). -#}

{#- alert_columns(): retrain_does_not_pay, only where the verdict is certain and the model is still trained. The amount is what its retrains cost above their
    value in 365/12 days at the observed cadence. `cadence`: fct_retrain_cadence. -#}
{% macro training_alerts(cadence) -%}
select
    'retrain_does_not_pay' as alert_kind,
    'warning' as severity,
    team,
    'model' as subject_type,
    concat(model, case when environment is null then '' else concat(' (', environment, ')') end) as subject,
    first_usage_date as since_date,
    window_to as usage_date,
    {{ bounded_amount('-net_value_per_retrain_usd', "cast('365' as decimal(38, 12))", '(12 * interval_days)') }} as amount_usd,
    concat('a median gain of ', {{ quality_text('quality_gain_p50') }}, ' ', metric, ' per retrain (90 %: ', {{ quality_text('quality_gain_low') }}, ' to ',
        {{ quality_text('quality_gain_high') }}, ', ', cast(measured_gain_count as {{ dbt.type_string() }}), ' measured), worth ', {{ usd_text('value_per_retrain_usd') }}) as measured,
    concat('a retrain costs ', {{ usd_text('cost_per_retrain_usd') }}, case when break_even_gain is not null then concat(', which a gain of ', {{ quality_text('break_even_gain') }}, ' would pay') else '' end) as threshold,
    concat('Retraining ', model, ' every ', {{ days_text('interval_days') }}, ' days costs ', {{ usd_text('cost_per_retrain_usd') }}, ' and brings ',
        {{ usd_text('value_per_retrain_usd') }}, '. What would change that: ', what_would_change, '.') as message,
    concat(
        '{"cheapest_cadence":', {{ json_string('cheapest_cadence') }},
        ',"cost_per_retrain_usd":', cast(cost_per_retrain_usd as {{ dbt.type_string() }}),
        ',"evaluation_set":', {{ json_string('evaluation_set') }},
        ',"gain_high":', cast(quality_gain_high as {{ dbt.type_string() }}),
        ',"gain_p50":', cast(quality_gain_p50 as {{ dbt.type_string() }}),
        ',"interval_days":', cast(interval_days as {{ dbt.type_string() }}),
        ',"measured_gain_count":', cast(measured_gain_count as {{ dbt.type_string() }}),
        ',"metric":', {{ json_string('metric') }},
        ',"retrain_count":', cast(retrain_count as {{ dbt.type_string() }}),
        ',"value_per_retrain_high_usd":', cast(value_per_retrain_high_usd as {{ dbt.type_string() }}), '}'
    ) as evidence,
    concat('apportion explain ', last_run_id) as explain
from {{ cadence }}
where verdict = 'does_not_pay' and is_active
{%- endmacro %}
