-- Grain: UTC day x endpoint x provider x model x team: what managed APIs answered, counted once a day by one source (the first by name), as for
-- our own endpoints.
with

days as (

    select * from {{ ref('int_days') }}

),

staged as (

    {{ staged('managed_usage', managed_usage_columns()) }}

),

ranked as (

    select
        cast(window_start as date) as usage_date,
        staged.*,
        dense_rank() over (partition by cast(window_start as date), endpoint order by source) as source_rank
    from staged
    where cast(window_start as date) in (select usage_date from days)

)

select
    usage_date,
    endpoint,
    provider,
    model,
    team,
    cast(sum(requests_ok) as bigint) as requests_ok,
    cast(sum(requests_failed) as bigint) as requests_failed,
    cast(sum(cache_hit_requests) as bigint) as cache_hit_requests,
    cast(sum(unpriced_requests) as bigint) as unpriced_requests,
    cast(sum(prompt_tokens) as bigint) as prompt_tokens,
    cast(sum(cached_tokens) as bigint) as cached_tokens,
    cast(sum(output_tokens) as bigint) as output_tokens,
    cast(sum(spend_usd) as decimal(38, 12)) as spend_usd,
    max(latency_p50_seconds) as latency_p50_seconds,
    max(latency_p95_seconds) as latency_p95_seconds,
    max(latency_p99_seconds) as latency_p99_seconds,
    count(case when requests_ok > 0 and latency_p95_seconds is null then 1 end) = 0 as has_all_latencies
from ranked
where source_rank = 1
group by usage_date, endpoint, provider, model, team
