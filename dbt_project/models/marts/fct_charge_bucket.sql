-- Grain: charge bucket. What was delivered, before allocation: the other side of every residual.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

select
    usage_date,
    bucket_key,
    source,
    provider,
    billing_period,
    account_id,
    {{ timestamp_of('window_from') }} as window_start,
    {{ timestamp_of('window_to') }} as window_end,
    service,
    sku,
    resource_id,
    line_item_type,
    charge_category,
    fixed_cost_class,
    quarantine_reason,
    currency,
    tags,
    charge_count,
    source_cost,
    billed_cost,
    effective_cost,
    list_cost,
    contracted_cost
from {{ ref('int_charge_buckets') }}
