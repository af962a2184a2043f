{#- The columns of each fact that staging hands over. A staging model of a new source has exactly these (any order). -#}

{% macro charge_columns() %}{{ return([
  'source', 'provider', 'billing_period', 'invoice_id', 'billing_account_id', 'account_id', 'usage_start', 'usage_end', 'service', 'service_category',
  'sku', 'region', 'resource_id', 'resource_alias', 'line_item_type', 'charge_category', 'charge_class', 'quarantine_reason',
  'cost_class', 'pricing_category', 'commitment_id', 'compute_kind', 'compute_seconds', 'usage_quantity', 'usage_unit', 'currency',
  'source_cost', 'net_cost', 'billed_cost', 'effective_cost', 'list_cost', 'contracted_cost', 'covered_cost', 'covered_list_cost', 'commitment_kind', 'commitment_ends_at',
  'tags', 'charge_description', 'delivery_id', 'file_name', 'row_number']) }}{% endmacro %}

{% macro charge_split_columns() %}{{ return([
  'source', 'usage_start', 'usage_end', 'parent_resource_id', 'cluster', 'namespace', 'pod', 'pod_uid', 'split_component', 'split_cost',
  'unused_cost', 'tags', 'delivery_id', 'file_name', 'row_number']) }}{% endmacro %}

{% macro rate_columns() %}{{ return([
  'source', 'provider', 'gpu_model', 'pool', 'rate_unit', 'hourly_rate', 'currency', 'valid_from', 'valid_to', 'is_bill',
  'delivery_id', 'file_name', 'row_number']) }}{% endmacro %}

{% macro currency_rate_columns() %}{{ return([
  'source', 'currency', 'rate_to_usd', 'valid_from', 'valid_to', 'delivery_id', 'file_name', 'row_number']) }}{% endmacro %}

{% macro carbon_factor_columns() %}{{ return([
  'source', 'provider', 'region', 'zone', 'cluster', 'valid_from', 'valid_to', 'grams_co2e_per_kwh', 'pue', 'stated_source',
  'delivery_id', 'file_name', 'row_number']) }}{% endmacro %}

{% macro model_quality_columns() %}{{ return([
  'source', 'model', 'model_version', 'run_id', 'metric', 'evaluation_set', 'quality', 'is_higher_better', 'measured_at',
  'delivery_id', 'file_name', 'row_number']) }}{% endmacro %}

{% macro revenue_rate_columns() %}{{ return([
  'source', 'endpoint', 'model', 'revenue_per_1k_usd', 'valid_from', 'valid_to', 'delivery_id', 'file_name', 'row_number']) }}{% endmacro %}

{% macro gpu_sample_columns() %}{{ return([
  'source', 'sampled_at', 'slot_seconds', 'hostname', 'gpu_uuid', 'gpu_index', 'pci_bus_id', 'gpu_model', 'mig_profile',
  'mig_instance_id', 'namespace', 'pod', 'pod_uid', 'hpc_job', 'exporter', 'sm_active_millionths', 'gr_engine_active_millionths',
  'gpu_util_millionths', 'fb_used_kib', 'power_milliwatts', 'energy_millijoules', 'discarded_values', 'discarded_meter_values']) }}{% endmacro %}

{% macro node_columns() %}{{ return([
  'source', 'hostname', 'provider', 'resource_id', 'gpu_count', 'gpu_model', 'gpu_sharing', 'gpu_replicas', 'vcpus', 'memory_gib', 'pool', 'cluster',
  'zone', 'valid_from', 'valid_to', 'labels', 'aliases', 'volumes', 'gpus']) }}{% endmacro %}

{% macro workload_interval_columns() %}{{ return([
  'source', 'workload_type', 'workload_id', 'attempt_id', 'started_at', 'ended_at', 'state', 'hostname', 'gpu_ids', 'gpu_count',
  'vcpus', 'memory_gib', 'parent_workload_id', 'namespace', 'pod', 'pod_uid', 'hpc_job', 'labels', 'identity', 'job_names']) }}{% endmacro %}

{% macro inference_count_columns() %}{{ return([
  'source', 'endpoint', 'replica', 'window_start', 'model', 'model_version', 'requests_ok', 'requests_failed', 'prompt_tokens', 'cached_tokens',
  'output_tokens', 'latency_p50_seconds', 'latency_p95_seconds', 'latency_p99_seconds', 'unmeasured_reason']) }}{% endmacro %}

{% macro managed_usage_columns() %}{{ return([
  'source', 'endpoint', 'provider', 'model', 'team', 'project', 'window_start', 'requests_ok', 'requests_failed', 'cache_hit_requests', 'unpriced_requests',
  'prompt_tokens', 'cached_tokens', 'output_tokens', 'spend_usd', 'spend_basis', 'unpaired_reason', 'latency_p50_seconds', 'latency_p95_seconds', 'latency_p99_seconds']) }}{% endmacro %}
