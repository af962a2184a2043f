{#- Which dollars bought nothing, and which nobody can explain: the one place where (cost_class, reason) of the ledger becomes a kind. -#}

{#- (cost_class, reasons or '*', idle_kind, finding). A NULL reason is none. A pair of the ledger that is not here is `unmapped`, and
    law_idle_is_part_of_the_bill stops the night. `explained` money is no part of fct_idle_cost. -#}
{% macro idle_kinds() %}{{ return([
  ('held_idle', [none, 'no_process', 'low_activity', 'process_unknown'], 'held_idle', 'bought_nothing'),
  ('unallocated_idle', [none, 'profile_fits', 'unrequested_share'], 'unallocated_idle', 'bought_nothing'),
  ('stranded', ['outside_any_instance'], 'stranded', 'bought_nothing'),
  ('unused_commitment', '*', 'unused_commitment', 'bought_nothing'),
  ('unattributed', ['kube_unallocated'], 'kube_unallocated', 'bought_nothing'),
  ('unknown', [none, 'no_samples', 'no_activity_value', 'count_only', 'billed_window_mismatch'], 'unknown', 'unexplained'),
  ('unknown', ['node_without_telemetry'], 'node_without_telemetry', 'unexplained'),
  ('unknown', ['node_not_in_inventory'], 'node_not_in_inventory', 'unexplained'),
  ('unattributed', ['active_unlabelled'], 'active_unlabelled', 'unexplained'),
  ('unattributed', ['shared_unlabelled'], 'shared_unlabelled', 'unexplained'),
  ('unattributed', ['untagged', 'no_run_or_endpoint_tag', 'k8s_unknown', 'k8s_unsupported_sku'], 'untagged_charge', 'unexplained'),
  ('quarantined', '*', 'quarantined', 'unexplained'),
  ('unattributed', ['kube_system_overhead'], none, 'explained'),
  ('used', '*', none, 'explained'),
  ('not_measured', '*', none, 'explained'),
  ('commitment_true_up', '*', none, 'explained'),
  ('tax_and_fees', '*', none, 'explained'),
  ('credit', '*', none, 'explained'),
  ('rounding', '*', none, 'explained'),
]) }}{% endmacro %}

{#- One row of the mapping as a condition; the kinds exclude each other. -#}
{% macro idle_condition(cost_class, reason, mapped_class, mapped_reasons) -%}
{{ cost_class }} = '{{ mapped_class }}'
{%- if mapped_reasons != '*' %} and coalesce({{ reason }}, '') in (
  {%- for mapped in mapped_reasons %}'{{ mapped or '' }}'{{ ', ' if not loop.last }}{% endfor %})
{%- endif %}
{%- endmacro %}

{#- NULL for money that is explained, `unmapped` for a pair that the mapping does not have. -#}
{% macro idle_kind(cost_class, reason) -%}
case
  {%- for mapped_class, reasons, kind, finding in idle_kinds() %}
  when {{ idle_condition(cost_class, reason, mapped_class, reasons) }} then {{ "'" ~ kind ~ "'" if kind else 'null' }}
  {%- endfor %}
  else 'unmapped'
end
{%- endmacro %}

{#- bought_nothing (it stood still, or was paid for and not taken), unexplained (it may have worked), explained. -#}
{% macro idle_finding(cost_class, reason) -%}
case
  {%- for mapped_class, reasons, kind, finding in idle_kinds() %}
  when {{ idle_condition(cost_class, reason, mapped_class, reasons) }} then '{{ finding }}'
  {%- endfor %}
  else 'unmapped'
end
{%- endmacro %}

{#- What kind of commitment nothing used, as far as a bill tells. -#}
{% macro commitment_kind(line_item_type, pricing_category, charge_category, sku) -%}
case
  when {{ pricing_category }} = 'savings_plan' or {{ line_item_type }} like 'SavingsPlan%' then 'savings_plan'
  when {{ sku }} like '%CapacityBlock%' then 'capacity_block'
  when {{ line_item_type }} = 'UnusedCapacity' or {{ sku }} like '%UnusedBox%' or {{ sku }} like '%UnusedDed%' then 'capacity_reservation'
  when {{ pricing_category }} = 'reservation' and {{ line_item_type }} = 'regular' and {{ charge_category }} = 'Usage' then 'capacity_reservation'
  when {{ pricing_category }} = 'reservation' then 'reservation'
  when {{ pricing_category }} = 'committed' then 'committed_use'
  else 'commitment'
end
{%- endmacro %}

{#- 0 = the hour from Monday 00:00 UTC, 167 = the last of Sunday. 1970-01-01 was a Thursday: its Monday lies 72 hours back. -#}
{% macro hour_of_week(second) -%}
cast(({{ int_div(second, '3600') }} + 72) % 168 as bigint)
{%- endmacro %}

{#- How far back "idle since" looks, in days, so that a night's work does not grow with history. -#}
{% macro idle_lookback_days() %}{{ return(7) }}{% endmacro %}

{#- A GPU whose last sample is more hours than this behind the latest of the fleet is silent, not idle. -#}
{% macro silent_after_hours() %}{{ return(1) }}{% endmacro %}

{#- Hours in a row of the same `keys` have the same value. -#}
{% macro hour_streak(keys) %}hour_from - 3600 * row_number() over (partition by {{ keys }} order by hour_from){% endmacro %}

{#- CTEs frontier and ranked over the relation `hours` (gpu_key, hour_from, is_observed, and `is_low`: whether the GPU did too little): the latest hour in
    which any GPU was heard; each hour with its place among the GPU's heard hours, 1 the latest, and its streak of low hours. -#}
{% macro low_streaks(hours, is_low) -%}
frontier as (

    select max(hour_from) as hour_from from {{ hours }} where is_observed

),

ranked as (

    select
        {{ hours }}.*,
        row_number() over (partition by gpu_key, is_observed order by hour_from desc) as recency,
        {{ hour_streak('gpu_key, ' ~ is_low) }} as streak
    from {{ hours }}

)
{%- endmacro %}

{#- The latest of a node's rows of dim_node is 1. -#}
{% macro node_recency() %}row_number() over (partition by node_key order by valid_from desc nulls last, valid_to desc nulls first){% endmacro %}

{#- The node of each charge bucket that is a node's, and the team that answers for its pool. -#}
{% macro bucket_owners(bucket_nodes, nodes, tag_sets) -%}
    select bucket_nodes.usage_date, bucket_nodes.bucket_key, nodes.gpu_model, tag_sets.team
    from {{ bucket_nodes }} as bucket_nodes
    inner join {{ nodes }} as nodes on bucket_nodes.usage_date = nodes.usage_date and bucket_nodes.node_key = nodes.node_key
    left join {{ tag_sets }} as tag_sets on nodes.labels = tag_sets.tags and {{ in_era('nodes.usage_date') }}
{%- endmacro %}
