{#- What the governance models share: "today", single numbers of the policy's governance section, days and months, the columns of an alert and of a lever. -#}

{#- The last published day: no model asks the wall clock. `dim_date`: the relation. -#}
{% macro last_day(dim_date) %}(select max(usage_date) from {{ dim_date }}){% endmacro %}

{#- A single number or name of the section `governance:` of the policy, named `<section>.<field>`. -#}
{% macro governance(name, type='bigint') -%}
(select cast(parameter_value as {{ type }}) from {{ source('policy', 'governance_parameters') }} where parameter_name = '{{ name }}')
{%- endmacro %}

{#- A ratio of that section as whole millionths. -#}
{% macro governance_ppm(name) -%}cast({{ governance(name, 'decimal(12, 6)') }} * 1000000 as bigint){%- endmacro %}

{#- Whole days from one date to another. -#}
{% macro days_between(first, second) -%}
{{ int_div(epoch_seconds('cast(' ~ second ~ ' as timestamp)') ~ ' - ' ~ epoch_seconds('cast(' ~ first ~ ' as timestamp)'), '86400') }}
{%- endmacro %}

{#- Dollars of some days as dollars of an average month (365 / 12 days), exact, rounded once. -#}
{% macro usd_per_month(amount, days) -%}{{ proportion(amount, '365', '12 * ' ~ days) }}{%- endmacro %}

{#- What a topic's alerts have, in order. amount_usd: the dollars at stake, NULL where unknown. evidence: a JSON object with sorted keys. -#}
{% macro alert_columns() %}{{ return([
  'alert_kind', 'severity', 'team', 'subject_type', 'subject', 'since_date', 'usage_date', 'amount_usd', 'measured', 'threshold', 'message', 'evidence', 'explain']) }}{% endmacro %}

{#- What a topic's levers have, in order. Levers of one overlap_group claim the same dollars and are never added up. -#}
{% macro lever_columns() %}{{ return([
  'lever_kind', 'scope_type', 'scope', 'team', 'environment', 'observed_from', 'observed_to', 'observed_days', 'observed_cost_usd', 'saving_usd',
  'saving_usd_per_month', 'confidence', 'effort', 'evidence', 'assumptions', 'action', 'overlap_group', 'explain']) }}{% endmacro %}
