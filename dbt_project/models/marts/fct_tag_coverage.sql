-- Grain: day x source x account x charge category x canonical key x evidence level x repair: the effective dollars, charges, resources and workloads
-- that have the key, and those that have not.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

{%- set scope = ['usage_date', 'source', 'account_id', 'charge_category'] %}
{%- set levels = ['evidence_level', 'repair_id'] %}

with

buckets as (

    select usage_date, bucket_key, charge_count from {{ ref('int_charge_buckets') }}

),

keyed as (

    {% for key in repaired_keys() + ['workload_key'] -%}
    select
        {{ scope | join(', ') }}, bucket_key, resource_id, workload_key, '{{ key }}' as tag_key,
        {%- if key == 'workload_key' %}
        {{ workload_evidence() }} as evidence_level,
        cast(null as {{ dbt.type_string() }}) as repair_id,
        {%- else %}
        {{ tag_evidence(key) }} as evidence_level,
        {{ key }}_repair as repair_id,
        {%- endif %}
        effective_cost
    from {{ ref('int_bucket_allocations') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

levelled as (

    select *, {{ evidence_key('evidence_level', 'repair_id') }} as level_key from keyed

),

dollars as (

    select
        {{ scope | join(', ') }}, tag_key, {{ levels | join(', ') }}, level_key,
        cast(count(*) as bigint) as allocation_count,
        cast(sum(effective_cost) as decimal(38, 12)) as cost_usd,
        cast(sum(case when effective_cost > 0 then effective_cost else 0 end) as decimal(38, 12)) as positive_cost_usd,
        cast(sum(case when effective_cost < 0 then effective_cost else 0 end) as decimal(38, 12)) as negative_cost_usd
    from levelled
    group by {{ scope | join(', ') }}, tag_key, {{ levels | join(', ') }}, level_key

),

-- each thing counts once per day, source, account and category: where the weakest of its dollars stand
weakest as (

    {% for thing in ['bucket_key', 'resource_id', 'workload_key'] -%}
    select {{ scope | join(', ') }}, tag_key, '{{ thing }}' as thing, {{ thing }} as thing_key, min(level_key) as level_key
    from levelled
    where {{ thing }} is not null
    group by {{ scope | join(', ') }}, tag_key, {{ thing }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

counts as (

    select
        {% for column in scope %}weakest.{{ column }}, {% endfor %}weakest.tag_key, weakest.level_key,
        cast(sum(case when weakest.thing = 'bucket_key' then buckets.charge_count else 0 end) as bigint) as charge_count,
        cast(sum(case when weakest.thing = 'resource_id' then 1 else 0 end) as bigint) as resource_count,
        cast(sum(case when weakest.thing = 'workload_key' then 1 else 0 end) as bigint) as workload_count
    from weakest
    left join buckets on weakest.thing = 'bucket_key' and weakest.usage_date = buckets.usage_date and weakest.thing_key = buckets.bucket_key
    group by {% for column in scope %}weakest.{{ column }}, {% endfor %}weakest.tag_key, weakest.level_key

)

select
    {% for column in scope %}dollars.{{ column }}, {% endfor %}
    dollars.tag_key,
    dollars.evidence_level,
    dollars.repair_id,
    dollars.allocation_count,
    coalesce(counts.charge_count, 0) as charge_count,
    coalesce(counts.resource_count, 0) as resource_count,
    coalesce(counts.workload_count, 0) as workload_count,
    dollars.cost_usd,
    dollars.positive_cost_usd,
    dollars.negative_cost_usd
from dollars
left join counts
    on dollars.usage_date = counts.usage_date
    and dollars.source = counts.source
    and dollars.account_id is not distinct from counts.account_id
    and dollars.charge_category is not distinct from counts.charge_category
    and dollars.tag_key = counts.tag_key
    and dollars.level_key = counts.level_key
