{#- Alerts of the guardrails: a run over its limit by itself; everything else one alert for each rule and team, with its dearest subject.
    violations: fct_guardrail_violation; dim_date: the published days. What could not be judged alerts nobody. -#}
{% macro guardrails_alerts(violations, dim_date) -%}
{%- set text = dbt.type_string() %}
with

broken as (

    select
        *,
        case guardrail_kind when 'max_run_cost' then 'run_over_limit' when 'untagged_share' then 'untagged_share' else 'guardrail_broken' end as alert_kind,
        case when guardrail_kind in ('max_run_cost', 'untagged_share') then subject end as own_subject
    from {{ violations }}
    where verdict = 'broken' and is_current

),

ranked as (

    select
        *,
        row_number() over (partition by guardrail_id, team, own_subject order by cost_usd desc, subject, account_id, source, tag_key) as choice
    from broken

),

summed as (

    select
        guardrail_id, guardrail_kind, alert_kind, team, own_subject, action,
        cast(count(*) as bigint) as subject_count,
        min(since_date) as since_date,
        max(last_date) as last_date,
        cast(sum(cost_usd) as decimal(38, 12)) as cost_usd,
        max(case when choice = 1 then subject_type end) as subject_type,
        max(case when choice = 1 then subject end) as dearest_subject,
        max(case when choice = 1 then measured end) as measured,
        max(case when choice = 1 then measured_value end) as measured_value,
        max(case when choice = 1 then threshold end) as threshold,
        max(case when choice = 1 then tag_key end) as tag_key
    from ranked
    group by guardrail_id, guardrail_kind, alert_kind, team, own_subject, action

),

worded as (

    select *, concat('$', cast(cast(cost_usd as decimal(38, 2)) as {{ text }})) as dollars from summed

)

select
    alert_kind,
    case when action = 'block' then 'critical' else 'warning' end as severity,
    team,
    case when own_subject is not null then subject_type else 'guardrail' end as subject_type,
    case alert_kind when 'run_over_limit' then dearest_subject when 'untagged_share' then concat(guardrail_id, '/', own_subject) else guardrail_id end as subject,
    since_date,
    last_date as usage_date,
    cost_usd as amount_usd,
    measured,
    threshold,
    case alert_kind
        when 'run_over_limit' then concat(dearest_subject, ' has cost $', measured, ', ', threshold, ' (', guardrail_id, ')')
        when 'untagged_share' then concat(measured, ' have no ', tag_key, ', ', threshold, ' (', guardrail_id, ')')
        else concat(cast(subject_count as {{ text }}), ' subject(s) break ', guardrail_id, ' (', threshold, ') for ', dollars, ' since ',
            cast(since_date as {{ text }}), '; the dearest: ', dearest_subject, ', ', measured)
    end as message,
    concat('{"cost_usd":"', cast(cost_usd as {{ text }}), '","dearest_subject":', {{ json_string('dearest_subject') }}, ',"guardrail_id":', {{ json_string('guardrail_id') }},
        ',"subject_count":', cast(subject_count as {{ text }}), '}') as evidence,
    case
        when guardrail_kind in ('required_tags', 'untagged_share') then concat('apportion tags --missing ', tag_key)
        when guardrail_kind in ('max_run_cost', 'max_gpus_per_run') then concat('apportion explain ', dearest_subject)
        else 'apportion tags'
    end as explain
from worded
{%- endmacro %}
