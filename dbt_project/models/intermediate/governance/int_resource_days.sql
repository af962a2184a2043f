-- Grain: day x source x account x service x category x region x resource x pool x namespace x workload x people x machine type x creator: dollars of the
-- day before distribution, small enough that untagged spend and guardrails never read the ledger's history.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

{%- set ledger_columns = ['usage_date', 'source', 'account_id', 'service', 'charge_category', 'region', 'resource_id', 'pool', 'cluster', 'namespace', 'workload_key',
    'team', 'model', 'environment', 'project'] %}

with

ledger as (

    select
        {% for column in ledger_columns %}allocations.{{ column }}, {% endfor %}
        {{ instance_type_of('allocations.sku') }} as instance_type,
        buckets.compute_kind is not null as is_compute,
        buckets.creator,
        allocations.effective_cost
    from {{ ref('int_bucket_allocations') }} as allocations
    inner join {{ ref('int_charge_buckets') }} as buckets
        on allocations.usage_date = buckets.usage_date and allocations.bucket_key = buckets.bucket_key

)

select
    {{ ledger_columns | join(', ') }}, instance_type, is_compute, creator,
    cast(sum(effective_cost) as decimal(38, 12)) as cost_usd,
    cast(sum(case when effective_cost > 0 then effective_cost else 0 end) as decimal(38, 12)) as positive_cost_usd,
    cast(sum(case when effective_cost < 0 then effective_cost else 0 end) as decimal(38, 12)) as negative_cost_usd
from ledger
group by {{ ledger_columns | join(', ') }}, instance_type, is_compute, creator
