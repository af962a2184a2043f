-- Grain: endpoint x UTC hour: requests and tokens of all replicas and counters, and the endpoint's cost of that hour.
with

days as (

    select * from {{ ref('int_days') }}

),

staged as (

    {{ staged('inference_counts', inference_count_columns()) }}

),

-- an endpoint that two sources tell of (a gateway's log and the servers' counters) is counted once a day: by the source that
-- measured latency, else the first by name
sourced as (

    select
        endpoint,
        source,
        cast(window_start as date) as usage_date,
        {{ epoch_seconds('window_start') }} as hour_from,
        requests_ok, requests_failed, prompt_tokens, cached_tokens, output_tokens,
        latency_p50_seconds, latency_p95_seconds, latency_p99_seconds
    from staged
    where cast(window_start as date) in (select usage_date from days)

),

ranked as (

    select *, dense_rank() over (partition by usage_date, endpoint order by source_precision, source) as source_rank
    from (
        select sourced.*, min(case when latency_p50_seconds is null then 1 else 0 end) over (partition by usage_date, endpoint, source) as source_precision
        from sourced
    ) as judged

),

counts as (

    select
        usage_date,
        endpoint,
        hour_from,
        cast(sum(requests_ok) as bigint) as requests_ok,
        cast(sum(requests_failed) as bigint) as requests_failed,
        cast(sum(prompt_tokens) as bigint) as prompt_tokens,
        cast(sum(cached_tokens) as bigint) as cached_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens,
        max(latency_p50_seconds) as latency_p50_seconds,
        max(latency_p95_seconds) as latency_p95_seconds,
        max(latency_p99_seconds) as latency_p99_seconds
    from ranked
    where source_rank = 1
    group by usage_date, endpoint, hour_from

),

ledger as (

    select
        usage_date,
        substr(workload_key, 10) as endpoint,
        {{ epoch_seconds('window_start') }} - {{ epoch_seconds('window_start') }} % 3600 as hour_from,
        sum(effective_cost) as allocated_cost_usd,
        sum(case when cost_class = 'held_idle' then 0 else effective_cost end) as used_cost_usd
    from {{ ref('fct_cost_allocation') }}
    where stage = 'allocated' and workload_key like 'endpoint/%' and usage_date in (select usage_date from days)
    group by usage_date, substr(workload_key, 10), {{ epoch_seconds('window_start') }} - {{ epoch_seconds('window_start') }} % 3600

),

held as (

    select
        usage_date,
        substr(workload_key, 10) as endpoint,
        hour_from,
        sum(total_weight) as held_weight,
        sum(used_weight) as used_weight,
        sum(measured_weight) as measured_weight,
        sum(case when is_priced then 0 else total_weight end) as awaiting_weight
    from {{ ref('int_gpu_hours') }}
    where workload_key like 'endpoint/%'
    group by usage_date, substr(workload_key, 10), hour_from

),

keys as (

    select usage_date, endpoint, hour_from from counts
    union
    select usage_date, endpoint, hour_from from ledger
    union
    select usage_date, endpoint, hour_from from held

),

hours as (

    select
        keys.usage_date,
        keys.endpoint,
        keys.hour_from,
        counts.requests_ok,
        counts.requests_failed,
        counts.prompt_tokens,
        counts.cached_tokens,
        counts.output_tokens,
        counts.latency_p50_seconds,
        counts.latency_p95_seconds,
        counts.latency_p99_seconds,
        coalesce(held.held_weight, 0) as held_weight,
        coalesce(held.used_weight, 0) as used_weight,
        coalesce(held.measured_weight, 0) as measured_weight,
        coalesce(held.awaiting_weight, 0) as awaiting_weight,
        cast(ledger.allocated_cost_usd as decimal(38, 12)) as allocated_cost_usd,
        cast(ledger.used_cost_usd as decimal(38, 12)) as used_cost_usd
    from keys
    left join counts on keys.usage_date = counts.usage_date and keys.endpoint = counts.endpoint and keys.hour_from = counts.hour_from
    left join ledger on keys.usage_date = ledger.usage_date and keys.endpoint = ledger.endpoint and keys.hour_from = ledger.hour_from
    left join held on keys.usage_date = held.usage_date and keys.endpoint = held.endpoint and keys.hour_from = held.hour_from

)

select * from hours
