{#- Law of form: no mart has two rows of one grain (`meta: grain` of each), NULLs taken as equal; marts with a usage_date are looked
    at for the night's days only. -#}
{%- set marts = [
    ref('fct_activity_sensitivity'), ref('fct_telemetry_coverage'), ref('fct_telemetry_gap'),
    ref('dim_date'), ref('dim_metric'), ref('dim_showback_member'), ref('fct_showback'), ref('dim_node'), ref('dim_tag_policy'), ref('dim_workload'), ref('fct_charge_bucket'), ref('fct_cost_allocation'), ref('fct_cost_daily'), ref('fct_cost_estimate'), ref('fct_commitment_coverage'), ref('fct_commitment_daily'), ref('fct_storage_resource_daily'), ref('fct_realised_saving'), ref('fct_alert'),
    ref('fct_data_quality'), ref('fct_delivery_control'), ref('fct_energy'), ref('fct_gpu_utilization'), ref('fct_gpu_utilization_daily'), ref('fct_idle_cost'),
    ref('fct_idle_gpu'), ref('fct_inference_unit_cost'), ref('fct_inference_unit_cost_hourly'), ref('fct_method_sensitivity'), ref('fct_model_quality'), ref('fct_reconciliation'),
    ref('fct_model_version_cost'), ref('fct_model_version_run'), ref('fct_retrain_cadence'), ref('fct_retrain_gain'), ref('fct_run_attempt_cost'), ref('fct_run_cost'), ref('fct_tag_coverage'), ref('fct_budget_status'), ref('fct_forecast_backtest'), ref('fct_spend_anomaly'), ref('fct_spend_forecast'), ref('fct_untagged_spend'), ref('fct_guardrail_violation'), ref('fct_lever'), ref('fct_workload_hourly'), ref('fct_managed_api_usage'), ref('fct_serving_configuration')] -%}
{%- for mart in marts if execute %}
{%- set grain = graph.nodes['model.apportion.' ~ mart.identifier].config.meta.grain %}
select '{{ mart.identifier }}' as mart, count(*) as repeated_grains
from (
    select {{ grain | join(', ') }} from {{ mart }}
    {% if 'usage_date' in grain -%} where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }}) {%- endif %}
    group by {{ grain | join(', ') }} having count(*) > 1
) as repeated
having count(*) > 0
{% if not loop.last %}union all{% endif %}
{%- endfor %}
