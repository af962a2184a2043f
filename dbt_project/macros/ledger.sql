{#- The ledger's columns, in order: what every stage of it hands over. -#}

{% macro ledger_columns() %}{{ return([
  'usage_date', 'bucket_key', 'source', 'provider', 'billing_period', 'invoice_id', 'billing_account_id', 'account_id', 'window_start',
  'window_end', 'service', 'sku', 'region', 'resource_id', 'node', 'pool', 'cluster', 'namespace', 'line_item_type', 'charge_category',
  'charge_class', 'pricing_category', 'commitment_id', 'currency', 'exchange_rate', 'workload_key', 'workload_type', 'attempt_key',
  'team', 'model', 'environment', 'project', 'cost_class', 'route', 'component', 'reason', 'evidence', 'method_id', 'activity_rung',
  'activity_coverage_ratio', 'sharing', 'is_unmeasured', 'stage', 'rule_id', 'distribution_key', 'allocation_weight', 'bucket_weight', 'gpu_seconds'] + allocated_bases()) }}{% endmacro %}

{#- What a distribution rule may ask of an allocated row; rows alike in all of these are handed out together. -#}
{% macro distribution_conditions() %}{{ return([
  'source', 'provider', 'account_id', 'service', 'line_item_type', 'charge_category', 'cost_class', 'reason', 'cluster', 'pool',
  'namespace', 'team', 'model', 'environment', 'project']) }}{% endmacro %}

{#- What recipients may have to share with the dollars that they are handed. -#}
{% macro distribution_scopes() %}{{ return(['account_id', 'cluster', 'pool', 'team', 'model', 'environment', 'project']) }}{% endmacro %}

{#- What stays on the rows of a pool besides: where the dollars come from. -#}
{% macro distribution_origins() %}{{ return(['billing_period', 'invoice_id', 'billing_account_id', 'charge_class', 'currency', 'exchange_rate']) }}{% endmacro %}

{#- The columns of a share that carries no GPU time of its own: nothing is shared, nothing was measured. -#}
{% macro not_shared() -%}
cast(null as {{ dbt.type_string() }}) as sharing, cast(null as boolean) as is_unmeasured, cast(null as decimal(9, 6)) as activity_coverage_ratio
{%- endmacro %}

{#- Whole millionths as a ratio. -#}
{% macro ratio_of_millionths(ppm) %}cast(cast({{ ppm }} as decimal(9, 0)) * cast('0.000001' as decimal(7, 6)) as decimal(9, 6)){% endmacro %}

{#- Google's names for the parts of a cluster that no pod asked for: a reason, never an owner. NULL for a real namespace. -#}
{% macro pseudo_namespace(namespace) -%}
case {{ namespace }}
  when 'kube:unallocated' then 'kube_unallocated'
  when 'kube:system-overhead' then 'kube_system_overhead'
  when 'goog-k8s-unknown' then 'k8s_unknown'
  when 'goog-k8s-unsupported-sku' then 'k8s_unsupported_sku'
end
{%- endmacro %}
