-- Grain: endpoint x replica x UTC hour, counted from a request log: the requests that our own servers answered. A request belongs to the
-- hour in which it arrived. What a managed API answered is stg_inference_requests__managed_usage.
with

source as (

    select * from {{ source('inference_requests', 'requests') }}

),

renamed as (

    {{ request_rows('source') }}

),

counted as (

    select
        source,
        endpoint,
        replica,
        window_start,
        {{ one_or_mixed('model') }} as model,
        {{ one_or_mixed('model_version') }} as model_version,
        cast(sum(case when is_ok then 1 else 0 end) as bigint) as requests_ok,
        cast(sum(case when is_ok then 0 else 1 end) as bigint) as requests_failed,
        cast(sum(prompt_tokens) as bigint) as prompt_tokens,
        cast(sum(cached_tokens) as bigint) as cached_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens,
        {{ discrete_percentile('latency_seconds', '0.50') }} as latency_p50_seconds,
        {{ discrete_percentile('latency_seconds', '0.95') }} as latency_p95_seconds,
        {{ discrete_percentile('latency_seconds', '0.99') }} as latency_p99_seconds,
        cast(null as {{ dbt.type_string() }}) as unmeasured_reason
    from renamed
    where not is_managed
    group by source, endpoint, replica, window_start

)

select * from counted
