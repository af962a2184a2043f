{#- The published measures of an endpoint in a window: additive numerators and denominators beside every ratio. Sums are divided,
    quotients never summed; without a successful request, and while part of the window waits for its bill (part of
    the cost over all of the requests would look cheap), the ratio is NULL and `unit_cost_reason` says why. -#}
{% macro inference_measures() -%}
        cast(sum(requests_ok) as bigint) as requests_ok,
        cast(sum(requests_failed) as bigint) as requests_failed,
        cast(sum(prompt_tokens) as bigint) as prompt_tokens,
        cast(sum(cached_tokens) as bigint) as cached_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens,
        max(latency_p50_seconds) as latency_p50_seconds,
        max(latency_p95_seconds) as latency_p95_seconds,
        max(latency_p99_seconds) as latency_p99_seconds,
        {{ gpu_seconds('sum(held_weight)') }} as held_gpu_seconds,
        {{ gpu_seconds('sum(used_weight)', scaled=true) }} as used_gpu_seconds,
        case when sum(measured_weight) > 0 then cast(sum(used_weight) as double) / (cast(sum(measured_weight) as double) * 1000000) end as activity_ratio,
        {{ pricing_status('sum(awaiting_weight)', 'sum(allocated_cost_usd)') }} as pricing_status,
        cast(sum(allocated_cost_usd) as decimal(38, 12)) as allocated_cost_usd,
        cast(sum(used_cost_usd) as decimal(38, 12)) as used_cost_usd,
        {{ per_unit('sum(allocated_cost_usd)', 'sum(requests_ok)', 1000) }} as cost_per_1k_requests_usd,
        {{ per_unit('sum(used_cost_usd)', 'sum(requests_ok)', 1000) }} as used_cost_per_1k_requests_usd,
        {{ per_unit('sum(allocated_cost_usd)', 'sum(prompt_tokens)', 1000000) }} as cost_per_1m_prompt_tokens_usd,
        {{ per_unit('sum(allocated_cost_usd)', 'sum(output_tokens)', 1000000) }} as cost_per_1m_output_tokens_usd,
        case
            when sum(awaiting_weight) > 0 then 'awaiting_bill'
            when sum(allocated_cost_usd) is null then 'no_cost_found'
            when sum(requests_ok) is null then 'no_request_counts'
            when sum(requests_ok) = 0 then 'no_successful_request'
        end as unit_cost_reason
{%- endmacro %}

{% macro per_unit(cost, units, scale) -%}
case when {{ units }} > 0 and sum(awaiting_weight) = 0 then cast({{ cost }} as double) * {{ scale }} / cast({{ units }} as double) end
{%- endmacro %}
