-- Grain: UTC day x source x endpoint x provider x model x project x team: what managed APIs answered, and what it costs by the gateway's price map or by the
-- provider's own account (`spend_basis`). Never part of the ledger: where a cloud's bill has the same usage, its dollars stand there, and
-- `provider_ledger_cost_usd` says so. What a gateway and the provider tell of the same requests stands here twice, told apart by source and basis.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

usage as (

    select * from {{ ref('int_managed_usage') }}

),

ledger as (

    select
        usage_date,
        case
            when lower(service) like '%bedrock%' then 'bedrock'
            when lower(service) like '%vertex%' then 'vertex_ai'
            when lower(service) like '%azure openai%' or lower(service) like '%cognitive services%' then 'azure'
        end as provider_family,
        cast(sum(cost_usd) as decimal(38, 12)) as cost_usd
    from {{ ref('fct_cost_daily') }}
    where stage = 'allocated' and usage_date in (select usage_date from {{ ref('int_days') }})
    group by 1, 2

),

families as (

    select
        usage.*,
        case when provider like 'bedrock%' then 'bedrock' when provider like 'vertex_ai%' then 'vertex_ai' when provider like 'azure%' then 'azure' end as provider_family,
        -- a quotient over requests of which some have no price would look cheap
        unpriced_requests = 0 and spend_usd is not null and unpaired_reason is null as is_whole
    from usage

)

select
    families.usage_date,
    families.source,
    families.endpoint,
    families.provider,
    families.model,
    families.project,
    families.team,
    families.requests_ok,
    families.requests_failed,
    case when families.requests_ok + families.requests_failed > 0
        then cast(families.requests_failed as double) / cast(families.requests_ok + families.requests_failed as double) end as error_ratio,
    families.cache_hit_requests,
    families.unpriced_requests,
    families.prompt_tokens,
    families.cached_tokens,
    families.output_tokens,
    families.spend_usd,
    families.spend_basis,
    case when families.is_whole and families.requests_ok > 0
        then cast(families.spend_usd as double) * 1000 / cast(families.requests_ok as double) end as cost_per_1k_requests_usd,
    {% for kind in ['prompt', 'cached', 'output'] -%}
    case when families.is_whole and families.{{ kind }}_tokens > 0
        then cast(families.spend_usd as double) * 1000000 / cast(families.{{ kind }}_tokens as double) end as cost_per_1m_{{ kind }}_tokens_usd,
    {% endfor -%}
    case
        when families.unpaired_reason is not null then families.unpaired_reason
        when families.unpriced_requests > 0 then 'unpriced_requests'
        when families.spend_usd is null then 'no_price'
        when families.requests_ok = 0 then 'no_successful_request'
    end as unit_cost_reason,
    families.latency_p50_seconds,
    families.latency_p95_seconds,
    families.latency_p99_seconds,
    families.has_all_latencies,
    case
        when families.provider_family is null then 'not_on_a_cloud_bill'
        when ledger.cost_usd is null then 'not_on_the_bill_yet'
        else 'on_the_bill'
    end as bill_status,
    ledger.cost_usd as provider_ledger_cost_usd
from families
left join ledger on families.usage_date = ledger.usage_date and families.provider_family = ledger.provider_family
