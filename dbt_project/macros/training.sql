{#- What several models about training runs say alike: the groups of a price, the lineage of a model, exact figures per cadence. Does not belong here:
    a lever or an alert (macros/levers/, macros/alerts/). -#}

{#- The group of a charge by how it was priced: spot, commitment (plans, reservations, committed use) or other (on demand at a negotiated or
    discounted price, a rate card, credits). -#}
{% macro price_groups() %}{{ return(['spot', 'commitment', 'other']) }}{% endmacro %}

{% macro price_group(pricing_category) -%}
case
  when {{ pricing_category }} = 'spot' then 'spot'
  when {{ pricing_category }} in ('savings_plan', 'reservation', 'committed') then 'commitment'
  else 'other'
end
{%- endmacro %}

{#- Whether every priced day of a group of rows of int_attempt_days tells its components and price groups: a closed day that was published before these
    columns were there does not. -#}
{% macro has_price_groups() %}count(effective_cost) > 0 and count(effective_cost) = count(gpu_component_cost){% endmacro %}

{#- A sum over days of what a group saved against list price: NULL where dollars of the group are there and none of them has a list price, 0 where the
    group has no dollars at all. `missing` is NULL on days without dollars that lack a list price. -#}
{% macro summed_saving(saving, missing) -%}
case when {{ has_price_groups() }}
  then cast(coalesce(sum({{ saving }}), case when count({{ missing }}) = 0 then 0 end) as decimal(38, 12)) end
{%- endmacro %}

{#- The same over attempts, whose saving is NULL where none of their dollars of the group has a list price: what the others saved, NULL where they have
    nothing of the group either. -#}
{% macro saving_of_attempts(saving, cost) -%}
case when sum(case when {{ saving }} is null and {{ cost }} is not null then 1 else 0 end) = 0 then sum({{ saving }})
  else sum(nullif({{ saving }}, 0)) end
{%- endmacro %}

{#- The runs of one model that follow one another: of one team, in one environment. A missing team or environment is a value of its own. -#}
{% macro lineage() %}{{ return(['model', 'team', 'environment']) }}{% endmacro %}

{% macro same_lineage(a, b) -%}
{{ a }}.model = {{ b }}.model and {{ a }}.team is not distinct from {{ b }}.team and {{ a }}.environment is not distinct from {{ b }}.environment
{%- endmacro %}

{#- scaled_amount() within its range (below 1e14 for the amount, and for amount x numerator); NULL above, where it would break the night. -#}
{% macro bounded_amount(amount, numerator, denominator) -%}
case when abs(cast({{ amount }} as double)) < 1e14 and abs(cast({{ amount }} as double)) * abs(cast({{ numerator }} as double)) < 1e14
  then {{ scaled_amount(amount, numerator, denominator) }} end
{%- endmacro %}

{#- Over the stints of a run: the address that a label gives it in its tracker; only http and https, printable. -#}
{% macro tracker_address(labels) -%}
max(case when {{ labels }} like '%url"%' then nullif(regexp_extract(
  coalesce({{ json_text(labels, 'tracker_url') }}, {{ json_text(labels, 'mlflow_run_url') }}, {{ json_text(labels, 'wandb_url') }}), '^https?://[!#-;=?-~]+$'), '') end)
{%- endmacro %}

{#- Over the stints of a run: its id in its tracker, where a tracker told of it or a label says so. -#}
{% macro tracker_id(identified_by, workload_id, labels) -%}
coalesce(
  max(case when {{ identified_by }} = 'tracker' then {{ workload_id }} end),
  max(case when lower({{ labels }}) like '%mlflow_run_id%' then coalesce({{ json_text(labels, 'mlflow_run_id') }}, {{ json_text(labels, 'MLFLOW_RUN_ID') }}) end))
{%- endmacro %}
