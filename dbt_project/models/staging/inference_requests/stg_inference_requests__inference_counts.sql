-- Grain: endpoint x replica x UTC hour, counted from a request log. A request belongs to the hour in which it arrived.
with

source as (

    select * from {{ source('inference_requests', 'requests') }}

),

renamed as (

    select
        _source as source,
        endpoint,
        nullif(replica, '') as replica,
        date_trunc('hour', request_at) as window_start,
        coalesce(lower(nullif(status, '')), 'success') in ('success', 'ok', 'succeeded', 'completed', '200') as is_ok,
        prompt_tokens,
        cached_tokens,
        output_tokens,
        latency_seconds,
        -- a request told twice within a day, in two files or two lines, is one request; a log without ids cannot tell
        case when request_id is null or request_id = '' then 1
            else row_number() over (partition by _source, endpoint, request_id, cast(request_at as date) order by request_at, status, prompt_tokens, output_tokens) end as telling
    from source
    where request_at is not null and endpoint is not null

),

counted as (

    select
        source,
        endpoint,
        replica,
        window_start,
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
    where telling = 1
    group by source, endpoint, replica, window_start

)

select * from counted
