{#- What attribution can see of a charge: charges that agree in all of these are one bucket. -#}
{% macro bucket_dimensions() %}{{ return([
  'usage_date', 'bucketed.source', 'bucketed.provider', 'billing_period', 'invoice_id', 'billing_account_id', 'account_id', 'window_from', 'window_to',
  'service', 'service_category', 'sku', 'usage_unit', 'region', 'resource_id', 'resource_alias', 'line_item_type', 'charge_category', 'charge_class', 'fixed_cost_class',
  'quarantine_reason', 'pricing_category', 'commitment_id', 'compute_kind', 'currency', 'exchange_rate', 'bucketed.tags']) }}{% endmacro %}

{#- Support plans, whatever a provider calls their service. -#}
{% macro is_support(service, line_item_type) -%}
coalesce({{ line_item_type }} = 'Support' or lower({{ service }}) like '%support%', false)
{%- endmacro %}
