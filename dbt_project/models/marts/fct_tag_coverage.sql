-- Grain: day x account x canonical key x evidence level: the effective dollars that have the key, and those that have not.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

ledger as (

    select * from {{ ref('fct_cost_allocation') }}
    where stage = 'allocated' and usage_date in (select usage_date from {{ ref('int_days') }})

),

keyed as (

    {% for key in ['team', 'model', 'environment', 'project', 'workload_key'] -%}
    select
        usage_date, source, account_id, '{{ key }}' as tag_key,
        case
            when {{ key }} is null then 'missing'
            when route = 'telemetry' then evidence
            when route = 'tag' then 'tag'
            else 'charge_tag'
        end as evidence_level,
        effective_cost
    from ledger
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

coverage as (

    select
        usage_date,
        source,
        account_id,
        tag_key,
        evidence_level,
        cast(count(*) as bigint) as allocation_count,
        cast(sum(effective_cost) as decimal(38, 12)) as cost_usd
    from keyed
    group by usage_date, source, account_id, tag_key, evidence_level

)

select * from coverage
