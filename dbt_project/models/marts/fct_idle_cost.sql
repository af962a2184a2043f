-- Grain: day x hour x account x node x idle kind x reason x owner x attempt x whether its work was thrown away: the dollars that bought nothing, and
-- those that nobody can explain. Before distribution; together with the explained classes they are the ledger of the day.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

allocations as (

    select
        *,
        {{ epoch_seconds('window_start') }} as window_from,
        {{ epoch_seconds('window_end') }} as window_to,
        {{ idle_kind('cost_class', 'reason') }} as idle_kind,
        {{ idle_finding('cost_class', 'reason') }} as finding
    from {{ ref('int_bucket_allocations') }}

),

pool_owners as (

    {{ bucket_owners(ref('int_bucket_nodes'), ref('int_nodes'), ref('int_tag_sets')) }}

),

idle as (

    select
        allocations.*,
        -- a window within one hour is told by its hour
        case when allocations.window_from - allocations.window_from % 3600 + 3600 >= allocations.window_to
            then allocations.window_from - allocations.window_from % 3600 end as hour_from,
        case
            when allocations.window_from is null then 'no_usage_time'
            when allocations.window_from - allocations.window_from % 3600 + 3600 < allocations.window_to then 'window_longer_than_an_hour'
        end as no_hour_reason,
        case when allocations.cost_class = 'unused_commitment'
            then {{ commitment_kind('allocations.line_item_type', 'allocations.pricing_category', 'allocations.charge_category', 'allocations.sku') }}
            else allocations.reason end as idle_reason,
        coalesce(allocations.team, pool_owners.team) as owner_team,
        case
            when workload_tags.team is not null then 'workload'
            when allocations.workload_key is null and pool_owners.team is not null then 'pool'
            when allocations.team is not null then 'tag'
            when pool_owners.team is not null then 'pool'
            when allocations.account_id is not null then 'account'
            else 'none'
        end as owner_basis,
        case when allocations.attempt_key is not null then coalesce(outcomes.outcome, 'unknown') end as outcome,
        coalesce(outcomes.has_known_rollback, false) as has_known_rollback,
        coalesce(shares.rolled_back_weight, {{ wide_int('0') }}) as rolled_back_weight,
        coalesce(shares.held_weight, {{ wide_int('1') }}) as held_weight
    from allocations
    left join {{ ref('int_workload_day_tags') }} as workload_tags
        on allocations.usage_date = workload_tags.usage_date and allocations.workload_key = workload_tags.workload_key
    left join pool_owners on allocations.usage_date = pool_owners.usage_date and allocations.bucket_key = pool_owners.bucket_key
    left join {{ ref('int_attempt_outcomes') }} as outcomes
        on allocations.usage_date = outcomes.usage_date and allocations.attempt_key = outcomes.attempt_key
    left join {{ ref('int_rolled_back_shares') }} as shares
        on allocations.usage_date = shares.usage_date
        and allocations.bucket_key = shares.bucket_key
        and allocations.attempt_key = shares.attempt_key
    where allocations.idle_kind is not null

),

parts as (

    select
        *,
        {%- for column in ['effective_cost', 'billed_cost', 'list_cost'] %}
        {{ rolled_back_part(column, 'rolled_back_weight', 'held_weight') }} as {{ column }}_behind,
        {%- endfor %}
        {{ rolled_back_part('gpu_seconds', 'rolled_back_weight', 'held_weight', places=6) }} as gpu_seconds_behind
    from idle

),

divided as (

    {% for behind in [true, false] -%}
    select
        {%- for column in ['usage_date', 'hour_from', 'no_hour_reason', 'provider', 'account_id', 'cluster', 'pool', 'node', 'cost_class', 'idle_kind', 'finding',
            'idle_reason', 'owner_team', 'owner_basis', 'workload_key', 'attempt_key', 'outcome'] %}
        {{ column }},
        {%- endfor %}
        {% if behind %}true{% else %}case when has_known_rollback then false end{% endif %} as is_rolled_back,
        {%- for column in ['effective_cost', 'billed_cost', 'list_cost', 'gpu_seconds'] %}
        {{ column ~ '_behind' if behind else column ~ ' - ' ~ column ~ '_behind' }} as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from parts
    where {{ 'rolled_back_weight > 0' if behind else 'rolled_back_weight < held_weight' }}
    {% if behind %}union all{% endif %}
    {% endfor %}

)

select
    usage_date,
    {{ timestamp_of('hour_from') }} as usage_hour,
    no_hour_reason,
    {{ hour_of_week('hour_from') }} as hour_of_week,
    provider,
    account_id,
    cluster,
    pool,
    node,
    cost_class,
    idle_kind,
    finding,
    idle_reason as reason,
    owner_team,
    owner_basis,
    workload_key,
    attempt_key,
    outcome,
    is_rolled_back,
    cast(sum(gpu_seconds) as decimal(38, 6)) as gpu_seconds,
    cast(sum(effective_cost) as decimal(38, 12)) as cost_usd,
    cast(sum(billed_cost) as decimal(38, 12)) as billed_cost_usd,
    cast(sum(list_cost) as decimal(38, 12)) as list_cost_usd
from divided
group by
    usage_date, hour_from, no_hour_reason, provider, account_id, cluster, pool, node, cost_class, idle_kind, finding, idle_reason, owner_team,
    owner_basis, workload_key, attempt_key, outcome, is_rolled_back
