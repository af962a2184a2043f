-- Grain: UTC day x source x endpoint x provider x model x project x team: what managed APIs answered. A gateway's endpoint is counted once a day by one source
-- (the first by name), as our own endpoints are; so is a provider's project. A gateway and a provider may both tell of one request: they are never merged.
with

days as (

    select * from {{ ref('int_days') }}

),

-- whose a provider's project is: the policy's values of `team` may name its id
project_teams as (

    select * from {{ source('policy', 'tag_values') }}
    where canonical_key = 'team'

),

staged as (

    {{ staged('managed_usage', managed_usage_columns()) }}

),

ranked as (

    select
        cast(window_start as date) as usage_date,
        staged.*,
        dense_rank() over (
            partition by
                cast(window_start as date), spend_basis,
                case when spend_basis = 'gateway_price_map' then endpoint end,
                project,
                -- usage of which nobody says the project may be of two organizations
                case when spend_basis <> 'gateway_price_map' and project is null then source end
            order by source
        ) as source_rank
    from staged
    where cast(window_start as date) in (select usage_date from days)

),

owned as (

    select
        ranked.*,
        coalesce(ranked.team, project_teams.canonical_value) as owner_team
    from ranked
    left join project_teams
        on lower({{ normalised_tag_value('ranked.project') }}) = project_teams.raw_value
        and {{ in_era('ranked.usage_date', 'project_teams') }}
    where ranked.source_rank = 1

)

select
    usage_date,
    source,
    endpoint,
    provider,
    model,
    project,
    owner_team as team,
    spend_basis,
    max(unpaired_reason) as unpaired_reason,
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
    count(case when coalesce(requests_ok, 1) > 0 and latency_p95_seconds is null then 1 end) = 0 as has_all_latencies
from owned
group by usage_date, source, endpoint, provider, model, project, owner_team, spend_basis
