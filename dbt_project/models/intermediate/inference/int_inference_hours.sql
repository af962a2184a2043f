-- Grain: endpoint x UTC hour: requests and tokens of all replicas and counters, the endpoint's cost of that hour, its replicas and how many of
-- them did nothing, and what the requests earn.
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
        replica,
        cast(window_start as date) as usage_date,
        {{ epoch_seconds('window_start') }} as hour_from,
        model, model_version,
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
        {{ one_or_mixed('model') }} as model,
        {{ one_or_mixed('model_version') }} as model_version,
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
        attempt_key,
        max(model) as model,
        sum(effective_cost) as allocated_cost_usd,
        sum(case when cost_class = 'held_idle' then 0 else effective_cost end) as used_cost_usd,
        sum(case when cost_class = 'unknown' then effective_cost else 0 end) as unknown_cost_usd
    from {{ ref('fct_cost_allocation') }}
    where stage = 'allocated' and workload_key like 'endpoint/%' and usage_date in (select usage_date from days)
    group by usage_date, substr(workload_key, 10), {{ epoch_seconds('window_start') }} - {{ epoch_seconds('window_start') }} % 3600, attempt_key

),

costs as (

    select
        usage_date,
        endpoint,
        hour_from,
        max(model) as model,
        sum(allocated_cost_usd) as allocated_cost_usd,
        sum(used_cost_usd) as used_cost_usd,
        sum(unknown_cost_usd) as unknown_cost_usd
    from ledger
    group by usage_date, endpoint, hour_from

),

attempts as (

    select
        gpu_hours.usage_date,
        substr(gpu_hours.workload_key, 10) as endpoint,
        gpu_hours.hour_from,
        gpu_hours.attempt_key,
        {{ one_or_mixed('nodes.gpu_model') }} as gpu_model,
        sum(gpu_hours.total_weight) as held_weight,
        sum(gpu_hours.used_weight) as used_weight,
        sum(gpu_hours.measured_weight) as measured_weight,
        sum(case when gpu_hours.is_priced then 0 else gpu_hours.total_weight end) as awaiting_weight
    from {{ ref('int_gpu_hours') }} as gpu_hours
    left join {{ ref('int_nodes') }} as nodes on gpu_hours.usage_date = nodes.usage_date and gpu_hours.node_key = nodes.node_key
    where gpu_hours.workload_key like 'endpoint/%'
    group by gpu_hours.usage_date, substr(gpu_hours.workload_key, 10), gpu_hours.hour_from, gpu_hours.attempt_key

),

held as (

    select
        usage_date,
        endpoint,
        hour_from,
        {{ one_or_mixed('gpu_model') }} as gpu_model,
        sum(held_weight) as held_weight,
        sum(used_weight) as used_weight,
        sum(measured_weight) as measured_weight,
        sum(awaiting_weight) as awaiting_weight
    from attempts
    group by usage_date, endpoint, hour_from

),

replicas as (

    {{ replica_hours('attempts', 'ledger', 'ranked', 'counts', ref('int_gpu_segments'), ref('int_workload_attempts')) }}

),

rates as (

    {{ staged('revenue_rates', revenue_rate_columns()) }}

),

keys as (

    select usage_date, endpoint, hour_from from counts
    union
    select usage_date, endpoint, hour_from from costs
    union
    select usage_date, endpoint, hour_from from held

),

joined as (

    select
        keys.usage_date,
        keys.endpoint,
        keys.hour_from,
        coalesce(counts.model, costs.model) as model,
        counts.model_version,
        held.gpu_model,
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
        coalesce(replicas.replica_seconds, 0) as replica_seconds,
        coalesce(replicas.idle_replica_seconds, 0) as idle_replica_seconds,
        coalesce(replicas.no_request_replica_seconds, 0) as no_request_replica_seconds,
        coalesce(replicas.unknown_replica_seconds, 0) as unknown_replica_seconds,
        replicas.idle_replica_cost_usd,
        cast(costs.allocated_cost_usd as decimal(38, 12)) as allocated_cost_usd,
        cast(costs.used_cost_usd as decimal(38, 12)) as used_cost_usd,
        cast(costs.unknown_cost_usd as decimal(38, 12)) as unknown_cost_usd
    from keys
    left join counts on keys.usage_date = counts.usage_date and keys.endpoint = counts.endpoint and keys.hour_from = counts.hour_from
    left join costs on keys.usage_date = costs.usage_date and keys.endpoint = costs.endpoint and keys.hour_from = costs.hour_from
    left join held on keys.usage_date = held.usage_date and keys.endpoint = held.endpoint and keys.hour_from = held.hour_from
    left join replicas on keys.usage_date = replicas.usage_date and keys.endpoint = replicas.endpoint and keys.hour_from = replicas.hour_from

),

-- a rate of the model that answered goes before one of the endpoint
hours as (

    select joined.*, {{ revenue_of('joined.requests_ok', 'coalesce(model_rates.revenue_per_1k_usd, endpoint_rates.revenue_per_1k_usd)') }} as revenue_usd
    from joined
    left join rates as model_rates
        on joined.endpoint = model_rates.endpoint
        and joined.model = model_rates.model
        and joined.usage_date >= model_rates.valid_from
        and (model_rates.valid_to is null or joined.usage_date < model_rates.valid_to)
    left join rates as endpoint_rates
        on joined.endpoint = endpoint_rates.endpoint
        and endpoint_rates.model is null
        and joined.usage_date >= endpoint_rates.valid_from
        and (endpoint_rates.valid_to is null or joined.usage_date < endpoint_rates.valid_to)

)

select * from hours
