{#- What an endpoint did, cost and earned in a window: sums first, then every ratio as a quotient of sums. Quotients are never summed; without a
    successful request, and while part of the window waits for its bill (part of the cost over all of the requests would look cheap), a
    ratio is NULL and a reason says why. -#}

{#- Columns of a sum over rows of int_inference_hours. Revenue is whole or NULL: some of the requests' revenue would look like all of it. -#}
{% macro inference_sums() -%}
        cast(sum(requests_ok) as bigint) as requests_ok,
        cast(sum(requests_failed) as bigint) as requests_failed,
        cast(sum(prompt_tokens) as bigint) as prompt_tokens,
        cast(sum(cached_tokens) as bigint) as cached_tokens,
        cast(sum(output_tokens) as bigint) as output_tokens,
        max(latency_p50_seconds) as latency_p50_seconds,
        max(latency_p95_seconds) as latency_p95_seconds,
        max(latency_p99_seconds) as latency_p99_seconds,
        {{ one_or_mixed('model') }} as model,
        {{ one_or_mixed('model_version') }} as model_version,
        {{ one_or_mixed('gpu_model') }} as gpu_model,
        sum(held_weight) as held_weight,
        sum(used_weight) as used_weight,
        sum(measured_weight) as measured_weight,
        sum(awaiting_weight) as awaiting_weight,
        cast(coalesce(sum(replica_seconds), 0) as bigint) as replica_seconds,
        cast(coalesce(sum(idle_replica_seconds), 0) as bigint) as idle_replica_seconds,
        cast(coalesce(sum(no_request_replica_seconds), 0) as bigint) as no_request_replica_seconds,
        cast(coalesce(sum(unknown_replica_seconds), 0) as bigint) as unknown_replica_seconds,
        cast(sum(idle_replica_cost_usd) as decimal(38, 12)) as idle_replica_cost_usd,
        cast(sum(allocated_cost_usd) as decimal(38, 12)) as allocated_cost_usd,
        cast(sum(used_cost_usd) as decimal(38, 12)) as used_cost_usd,
        cast(sum(unknown_cost_usd) as decimal(38, 12)) as unknown_cost_usd,
        case when count(case when requests_ok > 0 and revenue_usd is null then 1 end) = 0 then cast(sum(revenue_usd) as decimal(38, 12)) end as revenue_usd
{%- endmacro %}

{#- The published measures over one row of sums (the relation of inference_sums), without a FROM. -#}
{% macro inference_measures() -%}
        requests_ok,
        requests_failed,
        prompt_tokens,
        cached_tokens,
        output_tokens,
        case when requests_ok + requests_failed > 0 then cast(requests_failed as double) / cast(requests_ok + requests_failed as double) end as error_ratio,
        latency_p50_seconds,
        latency_p95_seconds,
        latency_p99_seconds,
        model,
        model_version,
        gpu_model,
        {{ gpu_seconds('held_weight') }} as held_gpu_seconds,
        {{ gpu_seconds('used_weight', scaled=true) }} as used_gpu_seconds,
        case when measured_weight > 0 then cast(used_weight as double) / (cast(measured_weight as double) * 1000000) end as activity_ratio,
        {{ hours_of('replica_seconds') }} as replica_hours,
        {{ hours_of('idle_replica_seconds') }} as idle_replica_hours,
        {{ hours_of('no_request_replica_seconds') }} as no_request_replica_hours,
        {{ hours_of('unknown_replica_seconds') }} as unknown_replica_hours,
        idle_replica_cost_usd,
        {{ pricing_status('awaiting_weight', 'allocated_cost_usd') }} as pricing_status,
        allocated_cost_usd,
        used_cost_usd,
        unknown_cost_usd,
        {% for basis, prefix in [('allocated_cost_usd', ''), ('used_cost_usd', 'used_')] -%}
        {{ per_unit(basis, 'requests_ok', 1000) }} as {{ prefix }}cost_per_1k_requests_usd,
        {{ per_unit(basis, 'prompt_tokens', 1000000) }} as {{ prefix }}cost_per_1m_prompt_tokens_usd,
        {{ per_unit(basis, 'cached_tokens', 1000000) }} as {{ prefix }}cost_per_1m_cached_tokens_usd,
        {{ per_unit(basis, 'output_tokens', 1000000) }} as {{ prefix }}cost_per_1m_output_tokens_usd,
        {% endfor -%}
        case
            when awaiting_weight > 0 then 'awaiting_bill'
            when allocated_cost_usd is null then 'no_cost_found'
            when requests_ok is null then 'no_request_counts'
            when requests_ok = 0 then 'no_successful_request'
        end as unit_cost_reason,
        {{ token_split() }},
        revenue_usd,
        {{ margin() }}
{%- endmacro %}

{% macro per_unit(cost, units, scale) -%}
case when {{ units }} > 0 and awaiting_weight = 0 then cast({{ cost }} as double) * {{ scale }} / cast({{ units }} as double) end
{%- endmacro %}

{#- Whole seconds as hours, to the millionth. -#}
{% macro hours_of(seconds) -%}
cast(cast({{ int_div(wide_int(seconds ~ ' * 1000000') ~ ' + 1800', '3600') }} as decimal(38, 0)) * cast('0.000001' as decimal(7, 6)) as decimal(38, 6))
{%- endmacro %}

{#- One cost over three kinds of tokens, without paying any token twice: weights per token (policy: governance.inference.token_weights, in
    thousandths), on input tokens that no cache served, on cached ones, on generated ones. The parts of input and cache are rounded down to
    the unit of 1e-12, output takes the rest: they sum to the cost exactly. NULL with a reason where they cannot be told apart. -#}
{% macro token_split() -%}
{%- set is_split = 'prompt_tokens is not null and output_tokens is not null and coalesce(cached_tokens, 0) <= prompt_tokens and prompt_tokens + output_tokens > 0' -%}
{%- set fresh = '(prompt_tokens - coalesce(cached_tokens, 0))' -%}
{%- set w = {'input': governance('inference.token_weight_input'), 'cached': governance('inference.token_weight_cached'), 'output': governance('inference.token_weight_output')} -%}
{%- set weight = '(' ~ wide_int(fresh) ~ ' * ' ~ w.input ~ ' + ' ~ wide_int('coalesce(cached_tokens, 0)') ~ ' * ' ~ w.cached ~ ' + ' ~ wide_int('output_tokens') ~ ' * ' ~ w.output ~ ')' -%}
{%- for basis, prefix in [('allocated_cost_usd', ''), ('used_cost_usd', 'used_')] -%}
{%- set input = token_part(basis, wide_int(fresh) ~ ' * ' ~ w.input, weight) -%}
{%- set cached = token_part(basis, wide_int('coalesce(cached_tokens, 0)') ~ ' * ' ~ w.cached, weight) -%}
{%- if not loop.first %},
        {% endif -%}
        case when {{ is_split }} then {{ input }} end as {{ prefix }}input_tokens_cost_usd,
        case when {{ is_split }} and cached_tokens is not null then {{ cached }} end as {{ prefix }}cached_tokens_cost_usd,
        case when {{ is_split }} then cast({{ basis }} - {{ input }} - {{ cached }} as decimal(38, 12)) end as {{ prefix }}output_tokens_cost_usd,
        case when {{ is_split }} then {{ per_unit(input, fresh, 1000000) }} end as {{ prefix }}weighted_cost_per_1m_input_tokens_usd,
        case when {{ is_split }} then {{ per_unit(cached, 'cached_tokens', 1000000) }} end as {{ prefix }}weighted_cost_per_1m_cached_tokens_usd,
        case when {{ is_split }} then {{ per_unit('(' ~ basis ~ ' - ' ~ input ~ ' - ' ~ cached ~ ')', 'output_tokens', 1000000) }} end as {{ prefix }}weighted_cost_per_1m_output_tokens_usd
{%- endfor %},
        case when {{ is_split }} and allocated_cost_usd is not null
            then concat({{ governance('inference.token_split_method', dbt.type_string()) }}, case when cached_tokens is null then '_cache_not_counted' else '' end) end as token_split_method,
        case
            when allocated_cost_usd is null and awaiting_weight > 0 then 'awaiting_bill'
            when allocated_cost_usd is null then 'no_cost_found'
            when prompt_tokens is null or output_tokens is null then 'no_token_counts'
            when prompt_tokens + output_tokens = 0 then 'no_token'
            when coalesce(cached_tokens, 0) > prompt_tokens then 'more_cached_than_input_tokens'
        end as token_split_reason
{%- endmacro %}

{#- The part of an amount that a weight has in a total, rounded down in its magnitude to the unit of 1e-12. -#}
{% macro token_part(amount, weight, total) -%}
cast(cast({{ int_div(wide_int('coalesce(' ~ amount ~ ', 0) * 1000000000000') ~ ' * (' ~ weight ~ ')', 'nullif(' ~ total ~ ', 0)') }} as decimal(38, 0)) * cast('0.000000000001' as decimal(13, 12)) + ({{ amount }} - {{ amount }}) as decimal(38, 12))
{%- endmacro %}

{#- Revenue minus allocated cost, and what kind of loss it is. On the used basis a replica would be busy all the time: a loss there grows with
    traffic (loses_at_scale); one that is not there is the price of idle replicas and volume cures it (loses_idle), so is a cost without any request.
    Where unmeasured time decides, nobody knows. -#}
{% macro margin() -%}
        case when awaiting_weight = 0 then cast(revenue_usd - allocated_cost_usd as decimal(38, 12)) end as margin_usd,
        case when awaiting_weight = 0 and requests_ok > 0
            then cast(revenue_usd - allocated_cost_usd as double) * 1000 / cast(requests_ok as double) end as margin_per_1k_requests_usd,
        case
            when awaiting_weight > 0 then 'awaiting_bill'
            when allocated_cost_usd is null then 'no_cost_found'
            when requests_ok is null then 'no_request_counts'
            when revenue_usd is null then 'no_revenue_rate'
        end as margin_reason,
        case when awaiting_weight = 0 then revenue_usd < allocated_cost_usd end as loses_money,
        {{ margin_verdict('awaiting_weight = 0') }} as margin_verdict
{%- endmacro %}

{#- earns, loses_idle, loses_at_scale or unknown, over summed columns; `is_whole`: a condition, whether the cost is. -#}
{% macro margin_verdict(is_whole, allocated_cost_usd='allocated_cost_usd') -%}
case
            when not ({{ is_whole }}) or revenue_usd is null or {{ allocated_cost_usd }} is null or requests_ok is null then 'unknown'
            when revenue_usd >= {{ allocated_cost_usd }} then 'earns'
            when requests_ok = 0 or revenue_usd >= used_cost_usd then 'loses_idle'
            when revenue_usd < used_cost_usd - coalesce(unknown_cost_usd, 0) then 'loses_at_scale'
            else 'unknown'
        end
{%- endmacro %}

{#- What requests earn at a rate per 1,000, exact: rates have six decimals. -#}
{% macro revenue_of(requests, rate) -%}
cast(cast({{ requests }} as decimal(18, 0)) * cast({{ rate }} as decimal(18, 6)) * cast('0.001' as decimal(3, 3)) as decimal(38, 12))
{%- endmacro %}

{#- Whether a measured model version is what `served` (model, model_version) names: both names, or one name that has both (chat:3, chat@3, chat/3,
    chat-3), as servers without versions are called. -#}
{% macro is_version_served(served, measured) -%}
(
            ({{ served }}.model = {{ measured }}.model and {{ served }}.model_version = {{ measured }}.model_version)
            or ({{ served }}.model_version is null and {{ served }}.model in (
                {%- for sign in [':', '@', '/', '-'] %}concat({{ measured }}.model, '{{ sign }}', {{ measured }}.model_version){% if not loop.last %}, {% endif %}{% endfor %}))
        )
{%- endmacro %}

{#- CTE rows: for each `key` of the relation `served` the measurements of the version that was served, as of its column `day`; recency 1 is what it goes by.
    `wanted`: a condition on a measurement. -#}
{% macro served_qualities(served, measurements, key, day, wanted=none) -%}
select
        {% for column in key %}{{ served }}.{{ column }},
        {% endfor -%}
        measured.quality,
        measured.metric as quality_metric,
        measured.evaluation_set as quality_evaluation_set,
        measured.is_higher_better as quality_is_higher_better,
        measured.measured_at as quality_measured_at,
        row_number() over (
            partition by {% for column in key %}{{ served }}.{{ column }}{{ ', ' if not loop.last }}{% endfor %} order by measured.measured_at desc, measured.metric, measured.evaluation_set
        ) as recency
    from {{ served }}
    inner join {{ measurements }} as measured
        on measured.valid_from <= {{ served }}.{{ day }}
        and (measured.valid_to is null or measured.valid_to > {{ served }}.{{ day }})
        and {{ is_version_served(served, 'measured') }}
        {%- if wanted %}
        and {{ wanted }}
        {%- endif %}
{%- endmacro %}

{#- What a row publishes of the measurement that it goes by. -#}
{% macro quality_columns(qualities) -%}
{{ qualities }}.quality,
    {{ qualities }}.quality_metric,
    {{ qualities }}.quality_evaluation_set,
    {{ qualities }}.quality_is_higher_better,
    {{ qualities }}.quality_measured_at
{%- endmacro %}
