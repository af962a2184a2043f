-- Grain: endpoint x provider x model x team x UTC hour: requests that a managed API answered, as a gateway logged them. `spend_usd` is the gateway's
-- price map, an estimate and no bill. A request without a price (none, or 0 for tokens that no cache served) is counted, never free.
with

source as (

    select * from {{ source('inference_requests', 'requests') }}

),

renamed as (

    select * from (

        {{ request_rows('source') }}

    ) as request_rows
    where is_managed

),

priced as (

    select
        *,
        coalesce(provider, 'unknown') as provider_name,
        not is_cache_hit and (
            (spend_usd is null and (is_ok or coalesce(prompt_tokens, 0) + coalesce(output_tokens, 0) > 0))
            or (spend_usd = 0 and (coalesce(prompt_tokens, 0) + coalesce(output_tokens, 0) > 0 or (is_ok and prompt_tokens is null and output_tokens is null)))
        ) as is_unpriced
    from renamed

),

-- percentiles do not add: those of an hour are of all teams together, and stand on each team's row
latencies as (

    select
        source,
        endpoint,
        coalesce(provider, 'unknown') as provider_name,
        model,
        window_start,
        {{ discrete_percentile('latency_seconds', '0.50') }} as latency_p50_seconds,
        {{ discrete_percentile('latency_seconds', '0.95') }} as latency_p95_seconds,
        {{ discrete_percentile('latency_seconds', '0.99') }} as latency_p99_seconds
    from renamed
    group by source, endpoint, coalesce(provider, 'unknown'), model, window_start

),

counted as (

    select
        source,
        endpoint,
        provider_name,
        model,
        team,
        window_start,
        cast(sum(case when is_ok then 1 else 0 end) as bigint) as requests_ok,
        cast(sum(case when is_ok then 0 else 1 end) as bigint) as requests_failed,
        cast(sum(case when is_cache_hit then 1 else 0 end) as bigint) as cache_hit_requests,
        cast(sum(case when is_unpriced then 1 else 0 end) as bigint) as unpriced_requests,
        cast(sum(prompt_tokens) as bigint) as prompt_tokens,
        cast(sum(cached_tokens) as bigint) as cached_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens,
        cast(sum(spend_usd) as decimal(38, 12)) as spend_usd
    from priced
    group by source, endpoint, provider_name, model, team, window_start

)

select
    counted.source,
    counted.endpoint,
    counted.provider_name as provider,
    counted.model,
    counted.team,
    cast(null as {{ dbt.type_string() }}) as project,
    counted.window_start,
    counted.requests_ok,
    counted.requests_failed,
    counted.cache_hit_requests,
    counted.unpriced_requests,
    counted.prompt_tokens,
    counted.cached_tokens,
    counted.output_tokens,
    counted.spend_usd,
    'gateway_price_map' as spend_basis,
    cast(null as {{ dbt.type_string() }}) as unpaired_reason,
    latencies.latency_p50_seconds,
    latencies.latency_p95_seconds,
    latencies.latency_p99_seconds
from counted
inner join latencies
    on counted.source = latencies.source
    and counted.endpoint = latencies.endpoint
    and counted.provider_name = latencies.provider_name
    and counted.model is not distinct from latencies.model
    and counted.window_start = latencies.window_start
