{#- Levers over training runs that are no matter of the hardware: how often a model is trained again. Does not belong here: what makes a
    retrain pay (fct_retrain_cadence). -#}

{#- lever_columns(): change_retrain_cadence, where retrains certainly do not pay at the observed cadence and a rarer one costs less, its missing quality
    counted. The saving is in dollars of the bill: the counted retrains minus as many as the rarer cadence has in the same days; what quality
    is missed meanwhile stands in the evidence. `cadence`: fct_retrain_cadence. -#}
{% macro training_levers(cadence) -%}
select
    'change_retrain_cadence' as lever_kind,
    'model' as scope_type,
    model as scope,
    team,
    environment,
    observed_from,
    observed_to,
    observed_days,
    observed_cost_usd,
    saving_usd,
    {{ usd_per_month('saving_usd', 'observed_days') }} as saving_usd_per_month,
    case when measured_gain_count >= 20 and noise_floor is not null then 'high' else 'medium' end as confidence,
    'low' as effort,
    concat(
        '{"break_even_gain":', coalesce(cast(break_even_gain as {{ dbt.type_string() }}), 'null'),
        ',"cost_per_retrain_usd":', cast(cost_per_retrain_usd as {{ dbt.type_string() }}),
        ',"evaluation_set":', {{ json_string('evaluation_set') }},
        ',"gain_high":', cast(quality_gain_high as {{ dbt.type_string() }}),
        ',"gain_low":', cast(quality_gain_low as {{ dbt.type_string() }}),
        ',"gain_p50":', cast(quality_gain_p50 as {{ dbt.type_string() }}),
        ',"measured_gain_count":', cast(measured_gain_count as {{ dbt.type_string() }}),
        ',"metric":', {{ json_string('metric') }},
        ',"net_value_usd_per_year":', cast(net_value_usd as {{ dbt.type_string() }}),
        ',"observed_interval_days":', cast(interval_days as {{ dbt.type_string() }}),
        ',"proposed_cadence":', {{ json_string('cheapest_cadence') }},
        ',"retrain_count":', cast(retrain_count as {{ dbt.type_string() }}),
        ',"value_per_retrain_usd":', cast(value_per_retrain_usd as {{ dbt.type_string() }}), '}'
    ) as evidence,
    assumptions,
    concat('train ', cheapest_cadence, ' instead of every ', {{ days_text('interval_days') }}, ' days; ', what_would_change) as action,
    concat('retrain/', {{ digest(lineage()) }}) as overlap_group,
    concat('apportion explain ', last_run_id) as explain
from (
    select
        *,
        cast(retrain_cost_usd - proposed_cost_usd as decimal(38, 12)) as saving_usd
    from (
        select
            *,
            {{ proposed_cost() }} as proposed_cost_usd
        from (
            select
                *,
                first_usage_date as observed_from,
                last_usage_date as observed_to,
                retrain_cost_usd as observed_cost_usd,
                {{ days_between('first_usage_date', 'last_usage_date') }} + 1 as observed_days,
                case cheapest_cadence when 'weekly' then weekly_yearly_net_value_usd when 'monthly' then monthly_yearly_net_value_usd else nightly_yearly_net_value_usd end as net_value_usd
            from {{ cadence }}
            where verdict = 'does_not_pay' and is_active and cheapest_cadence <> 'observed'
        ) as dated
    ) as proposed
) as saved
where saving_usd > 0
{%- endmacro %}

{#- What the cheapest cadence's retrains would have cost in the observed days. -#}
{% macro proposed_cost() -%}
case cheapest_cadence
  {%- for name, days, denominator in retrain_cadences() if name != 'observed' %}
  when '{{ name }}' then {{ bounded_amount('cost_per_retrain_usd', '(' ~ denominator ~ ' * observed_days)', days) }}
  {%- endfor %}
end
{%- endmacro %}
