-- Grain: endpoint x configuration (hosting, provider, GPU model, model, version) over the observed days up to the last published one: what it cost,
-- how fast, how reliable and how good it was, and whether it is the cheapest that meets what its task asks. Unknown never counts as meeting.
with

window_of_days as (

    select
        {{ last_day(ref('dim_date')) }} as observed_to,
        cast({{ dbt.dateadd('day', '1 - ' ~ governance('inference.observed_days'), last_day(ref('dim_date'))) }} as date) as observed_from

),

self_hosted as (

    select
        usage_date, endpoint, 'self_hosted' as hosting, cast(null as {{ dbt.type_string() }}) as provider, gpu_model, model, model_version,
        'allocated' as cost_basis,
        requests_ok, requests_failed, prompt_tokens, output_tokens, allocated_cost_usd as cost_usd, used_cost_usd, unknown_cost_usd, revenue_usd,
        latency_p50_seconds, latency_p95_seconds, latency_p99_seconds, has_all_latencies, held_gpu_seconds, replica_hours,
        pricing_status = 'priced' and requests_ok is not null as is_whole
    from {{ ref('fct_inference_unit_cost') }}

),

managed as (

    select
        usage_date, endpoint, 'managed_api' as hosting, provider, cast(null as {{ dbt.type_string() }}) as gpu_model, model,
        cast(null as {{ dbt.type_string() }}) as model_version, spend_basis as cost_basis,
        requests_ok, requests_failed, prompt_tokens, output_tokens, spend_usd as cost_usd, cast(null as decimal(38, 12)) as used_cost_usd,
        cast(null as decimal(38, 12)) as unknown_cost_usd, cast(null as decimal(38, 12)) as revenue_usd,
        latency_p50_seconds, latency_p95_seconds, latency_p99_seconds, has_all_latencies, cast(null as decimal(38, 6)) as held_gpu_seconds,
        cast(null as decimal(38, 6)) as replica_hours,
        unpriced_requests = 0 and spend_usd is not null as is_whole
    from {{ ref('fct_managed_api_usage') }}
    -- a provider's own account tells neither latency nor failures, and may be of the same requests
    where spend_basis = 'gateway_price_map'

),

observed as (

    select
        window_of_days.observed_from,
        window_of_days.observed_to,
        told.*,
        concat(told.hosting, '|', coalesce(told.provider, ''), '|', coalesce(told.gpu_model, ''), '|', coalesce(told.model, ''), '|', coalesce(told.model_version, ''))
            as configuration
    from (select * from self_hosted union all select * from managed) as told
    inner join window_of_days on told.usage_date between window_of_days.observed_from and window_of_days.observed_to

),

-- days whose cost or requests are not whole are left out with both, and counted
summed as (

    select
        endpoint, configuration, hosting, provider, gpu_model, model, model_version, cost_basis,
        max(observed_from) as observed_from,
        max(observed_to) as observed_to,
        cast(count(distinct case when is_whole then usage_date end) as bigint) as observed_days,
        cast(count(case when is_whole then null else 1 end) as bigint) as observations_left_out,
        cast(coalesce(sum(case when is_whole then requests_ok end), 0) as bigint) as requests_ok,
        cast(coalesce(sum(case when is_whole then requests_failed end), 0) as bigint) as requests_failed,
        cast(sum(case when is_whole then prompt_tokens end) as bigint) as prompt_tokens,
        cast(sum(case when is_whole then output_tokens end) as bigint) as output_tokens,
        cast(sum(case when is_whole then cost_usd end) as decimal(38, 12)) as cost_usd,
        cast(sum(case when is_whole then used_cost_usd end) as decimal(38, 12)) as used_cost_usd,
        cast(sum(case when is_whole then unknown_cost_usd end) as decimal(38, 12)) as unknown_cost_usd,
        case when count(case when is_whole and requests_ok > 0 and revenue_usd is null then 1 end) = 0
            then cast(sum(case when is_whole then revenue_usd end) as decimal(38, 12)) end as revenue_usd,
        {% for percentile in ['p50', 'p95', 'p99'] -%}
        case when count(case when is_whole and not has_all_latencies then 1 end) = 0
            then max(case when is_whole then latency_{{ percentile }}_seconds end) end as latency_{{ percentile }}_seconds,
        {% endfor -%}
        cast(sum(case when is_whole then held_gpu_seconds end) as decimal(38, 6)) as held_gpu_seconds,
        cast(sum(case when is_whole then replica_hours end) as decimal(38, 6)) as replica_hours
    from observed
    group by endpoint, configuration, hosting, provider, gpu_model, model, model_version, cost_basis

),

asked as (

    select
        summed.*,
        coalesce(objectives.task, summed.endpoint) as task,
        objectives.task is not null as has_objective,
        coalesce(objectives.is_current, true) as is_current,
        objectives.p95_seconds as wanted_p95_seconds,
        objectives.max_error_ratio as wanted_error_ratio,
        objectives.quality_metric as wanted_metric,
        objectives.evaluation_set as wanted_set,
        cast(objectives.quality_floor as decimal(38, 12)) as quality_floor,
        case when summed.requests_ok > 0 then cast(summed.cost_usd as double) * 1000 / cast(summed.requests_ok as double) end as cost_per_1k_requests_usd,
        case when summed.prompt_tokens + summed.output_tokens > 0
            then cast(summed.cost_usd as double) * 1000000 / cast(summed.prompt_tokens + summed.output_tokens as double) end as cost_per_1m_tokens_usd,
        case when summed.requests_ok + summed.requests_failed > 0
            then cast(summed.requests_failed as double) / cast(summed.requests_ok + summed.requests_failed as double) end as error_ratio,
        summed.requests_ok >= {{ governance('inference.min_requests') }} as has_enough_requests
    from summed
    left join {{ source('policy', 'inference_objectives') }} as objectives on summed.endpoint = objectives.endpoint

),

qualities as (

    {{ served_qualities('asked', ref('int_model_quality'), ['endpoint', 'configuration'], 'observed_to',
        '(asked.wanted_metric is null or measured.metric = asked.wanted_metric) and (asked.wanted_set is null or measured.evaluation_set = asked.wanted_set)') }}

),

judged as (

    select
        asked.*,
        {{ quality_columns('qualities') }},
        case
            when wanted_p95_seconds is null and wanted_error_ratio is null then null
            when latency_p95_seconds > wanted_p95_seconds or error_ratio > wanted_error_ratio then false
            when (wanted_p95_seconds is not null and latency_p95_seconds is null) or (wanted_error_ratio is not null and error_ratio is null) then null
            else true
        end as meets_slo,
        case
            when quality_floor is null or qualities.quality is null then null
            when qualities.quality_is_higher_better then qualities.quality >= quality_floor
            else qualities.quality <= quality_floor
        end as meets_quality_floor,
        has_enough_requests and cost_usd is not null and latency_p95_seconds is not null and error_ratio is not null
            and (wanted_metric is null or qualities.quality is not null) as is_comparable
    from asked
    left join qualities on asked.endpoint = qualities.endpoint and asked.configuration = qualities.configuration and qualities.recency = 1

),

decided as (

    select
        *,
        has_objective and has_enough_requests and cost_usd is not null
            and ((wanted_p95_seconds is null and wanted_error_ratio is null) or coalesce(meets_slo, false))
            and (quality_floor is null or coalesce(meets_quality_floor, false)) as meets_objective,
        {{ margin_verdict('observed_days > 0', 'cost_usd') }} as margin_verdict
    from judged

),

dominated as (

    select distinct one.endpoint, one.configuration
    from decided as one
    inner join decided as other
        on one.task = other.task
        and one.is_comparable
        and other.is_comparable
        and other.cost_per_1k_requests_usd <= one.cost_per_1k_requests_usd
        and other.latency_p95_seconds <= one.latency_p95_seconds
        and other.error_ratio <= one.error_ratio
        and (one.wanted_metric is null or (other.quality_evaluation_set = one.quality_evaluation_set
            and case when one.quality_is_higher_better then other.quality >= one.quality else other.quality <= one.quality end))
        and (other.cost_per_1k_requests_usd < one.cost_per_1k_requests_usd or other.latency_p95_seconds < one.latency_p95_seconds
            or other.error_ratio < one.error_ratio or (one.wanted_metric is not null and other.quality <> one.quality))

)

select
    decided.task,
    decided.endpoint,
    decided.configuration,
    decided.hosting,
    decided.provider,
    decided.gpu_model,
    decided.model,
    decided.model_version,
    decided.is_current,
    decided.observed_from,
    decided.observed_to,
    decided.observed_days,
    decided.observations_left_out,
    decided.requests_ok,
    decided.requests_failed,
    decided.error_ratio,
    decided.prompt_tokens,
    decided.output_tokens,
    decided.cost_usd,
    decided.cost_basis,
    decided.cost_per_1k_requests_usd,
    decided.cost_per_1m_tokens_usd,
    decided.held_gpu_seconds,
    decided.replica_hours,
    case when decided.observed_days > 0 then cast(decided.held_gpu_seconds as double) / (86400.0 * decided.observed_days) end as mean_gpus,
    case when decided.observed_days > 0 then cast(decided.replica_hours as double) / (24.0 * decided.observed_days) end as mean_replicas,
    decided.latency_p50_seconds,
    decided.latency_p95_seconds,
    decided.latency_p99_seconds,
    decided.quality,
    decided.quality_metric,
    decided.quality_evaluation_set,
    decided.quality_is_higher_better,
    decided.quality_measured_at,
    decided.revenue_usd,
    cast(decided.revenue_usd - decided.cost_usd as decimal(38, 12)) as margin_usd,
    decided.margin_verdict,
    decided.meets_slo,
    decided.meets_quality_floor,
    decided.meets_objective,
    case
        when decided.meets_objective then null
        when not decided.has_objective then 'no_objective'
        when decided.cost_usd is null then 'no_whole_cost'
        when not decided.has_enough_requests then 'too_few_requests'
        when decided.meets_slo = false then 'misses_slo'
        when decided.meets_quality_floor = false then 'below_quality_floor'
        when decided.quality_floor is not null and decided.quality is null then 'quality_unknown'
        when decided.wanted_p95_seconds is not null and decided.latency_p95_seconds is null then 'latency_unknown'
        else 'error_ratio_unknown'
    end as meets_reason,
    case when decided.is_comparable then dominated.endpoint is null end as is_pareto_optimal,
    decided.meets_objective and row_number() over (
        partition by decided.task, decided.meets_objective order by decided.cost_per_1k_requests_usd, decided.endpoint, decided.configuration
    ) = 1 as is_cheapest_that_meets
from decided
left join dominated on decided.endpoint = dominated.endpoint and decided.configuration = dominated.configuration
