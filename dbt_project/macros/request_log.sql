{#- A query: the requests of a log (relation `requests`, handed in), each told once, with whom they were answered by. `is_managed`: somebody else's
    API answered (LiteLLM's provider names it); such a request holds none of our GPUs. A request that failed before it had a provider belongs to
    what the rest of its endpoint's day is. -#}
{% macro request_rows(requests) -%}
    select *
    from (
        select
            *,
            is_foreign or (provider is null and day_is_managed) as is_managed
        from (
            select
                told.*,
                max(case when is_foreign then 1 else 0 end) over (partition by source, endpoint, cast(request_at as date)) = 1
                    and max(case when not is_foreign and provider is not null then 1 else 0 end) over (partition by source, endpoint, cast(request_at as date)) = 0
                    as day_is_managed
            from (
                select
                    _source as source,
                    endpoint,
                    nullif(replica, '') as replica,
                    request_at,
                    date_trunc('hour', request_at) as window_start,
                    lower(nullif(trim(provider), '')) as provider,
                    coalesce(lower(nullif(trim(provider), '')) not in ({{ self_hosted_providers() }}), false) as is_foreign,
                    nullif(trim(model), '') as model,
                    nullif(trim(model_version), '') as model_version,
                    nullif(trim(team_id), '') as team,
                    coalesce(lower(nullif(status, '')), 'success') in ('success', 'ok', 'succeeded', 'completed', '200') as is_ok,
                    coalesce(lower(cache_hit), '') in ('true', 't', '1', 'yes') as is_cache_hit,
                    prompt_tokens,
                    cached_tokens,
                    output_tokens,
                    latency_seconds,
                    {{ money('spend') }} as spend_usd,
                    -- a request told twice within a day, in two files or two lines, is one request; a log without ids cannot tell
                    case when request_id is null or request_id = '' then 1
                        else row_number() over (partition by _source, endpoint, request_id, cast(request_at as date) order by request_at, status, prompt_tokens, output_tokens, spend) end as telling
                from {{ requests }}
                where request_at is not null and endpoint is not null
            ) as told
            where telling = 1
        ) as judged
    ) as labelled
{%- endmacro %}

{#- LiteLLM's provider names behind which stands a server of one's own; every other provider is somebody's API. -#}
{% macro self_hosted_providers() -%}
'hosted_vllm', 'vllm', 'triton', 'ollama', 'ollama_chat', 'llamafile', 'lm_studio', 'xinference', 'infinity', 'custom', 'custom_openai', 'oobabooga', 'petals', 'docker_model_runner', 'self_hosted'
{%- endmacro %}
