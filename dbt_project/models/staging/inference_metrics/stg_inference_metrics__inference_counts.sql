-- Grain: endpoint x replica x UTC hour, from monotonic counters. The increase between two samples of one series belongs to the
-- hour of the later one; a counter that fell has restarted from 0, so its new value is the increase (B33). Each UTC day is
-- counted from its own samples and those of the day before, whatever else is loaded. The first sample of a series counts in
-- full where its endpoint was already being watched (a replica that has just started), else it is only a baseline: what was
-- counted before anybody looked is not known and not invented.
with

source as (

    select * from {{ source('inference_metrics', 'counters') }}
    where sample_at is not null and value >= 0
        and replace(metric, 'kserve_', '') in (
            'vllm:request_success_total', 'vllm:prompt_tokens_total', 'vllm:prompt_tokens_cached_total',
            'vllm:generation_tokens_total', 'nv_inference_request_success', 'nv_inference_request_failure'
        )

),

renamed as (

    select
        _source as source,
        coalesce(nullif(endpoint, ''), model_name) as endpoint,
        coalesce(nullif(exported_pod, ''), nullif(pod, ''), instance) as replica,
        model_name as model,
        model_version,
        replace(metric, 'kserve_', '') as metric,
        coalesce(finished_reason, '') as finished_reason,
        {{ digest(['labels', 'metric', '_source']) }} as series_key,
        sample_at,
        cast(sample_at as date) as sample_date,
        cast(round(value) as bigint) as counted
    from source

),

owned as (

    select *, sample_date as owner_date from renamed
    union all
    select *, cast({{ dbt.dateadd('day', 1, 'sample_date') }} as date) as owner_date from renamed

),

deduplicated as (

    -- repeated scrapes of one instant, from whichever exporter or file
    select source, endpoint, replica, model, model_version, metric, finished_reason, series_key, owner_date, sample_date, sample_at, max(counted) as counted
    from owned
    where endpoint is not null
    group by source, endpoint, replica, model, model_version, metric, finished_reason, series_key, owner_date, sample_date, sample_at

),

stepped as (

    select
        *,
        lag(counted) over (partition by series_key, owner_date order by sample_at) as previous_counted,
        min(sample_at) over (partition by source, endpoint, metric, owner_date) as watched_since
    from deduplicated

),

increases as (

    select
        *,
        case
            when previous_counted is null and sample_at = watched_since then 0
            when previous_counted is null then counted
            when counted >= previous_counted then counted - previous_counted
            else counted
        end as increase
    from stepped
    where sample_date = owner_date or previous_counted is null

),

counted as (

    select
        source,
        endpoint,
        replica,
        date_trunc('hour', sample_at) as window_start,
        {{ one_or_mixed('model') }} as model,
        {{ one_or_mixed('model_version') }} as model_version,
        cast(sum(case
            when metric = 'vllm:request_success_total' and finished_reason not in ('abort', 'error') then increase
            when metric = 'nv_inference_request_success' then increase
            else 0
        end) as bigint) as requests_ok,
        cast(sum(case
            when metric = 'vllm:request_success_total' and finished_reason in ('abort', 'error') then increase
            when metric = 'nv_inference_request_failure' then increase
            else 0
        end) as bigint) as requests_failed,
        cast(sum(case when metric = 'vllm:prompt_tokens_total' then increase end) as bigint) as prompt_tokens,
        cast(sum(case when metric = 'vllm:prompt_tokens_cached_total' then increase end) as bigint) as cached_tokens,
        cast(sum(case when metric = 'vllm:generation_tokens_total' then increase end) as bigint) as output_tokens,
        cast(null as double) as latency_p50_seconds,
        cast(null as double) as latency_p95_seconds,
        cast(null as double) as latency_p99_seconds,
        cast(null as {{ dbt.type_string() }}) as unmeasured_reason
    from increases
    where sample_date = owner_date
    group by source, endpoint, replica, date_trunc('hour', sample_at)

)

select * from counted
