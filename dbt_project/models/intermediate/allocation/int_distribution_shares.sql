-- Grain: pool x recipient (a workload, or a team): the whole-number weight with which it receives. A pool without any recipient that day
-- has no row and stays where it is.
with

pools as (

    select * from {{ ref('int_distribution_pools') }}

),

-- who was there that day, with what they spent themselves; what a rule hands out counts for nobody
present as (

    select
        usage_date, workload_key, {{ distribution_scopes() | join(', ') }},
        cast(sum(effective_cost) as decimal(38, 12)) as effective_cost,
        cast(sum(gpu_seconds) as decimal(38, 6)) as gpu_seconds
    from {{ ref('int_bucket_allocations') }}
    where workload_key is not null
    group by usage_date, workload_key, {{ distribution_scopes() | join(', ') }}

),

recipients as (

    select usage_date, 'workload' as recipient, workload_key as recipient_key, {{ distribution_scopes() | join(', ') }}, effective_cost, gpu_seconds
    from present
    union all
    select usage_date, 'team', team, {{ distribution_scopes() | join(', ') }}, effective_cost, gpu_seconds
    from present
    where team is not null

),

measured as (

    select
        pools.pool_key,
        pools.rule_id,
        pools.recipient,
        pools.weight as weight_name,
        recipients.recipient_key,
        sum(recipients.effective_cost) as effective_cost,
        sum(recipients.gpu_seconds) as gpu_seconds
    from pools
    inner join recipients
        on pools.usage_date = recipients.usage_date
        and pools.recipient = recipients.recipient
        {%- for scope in distribution_scopes() %}
        and (not pools.within_{{ scope }} or pools.{{ scope }} = recipients.{{ scope }})
        {%- endfor %}
    where pools.weight in ('even', 'cost', 'gpu_hours')
    group by pools.pool_key, pools.rule_id, pools.recipient, pools.weight, recipients.recipient_key

),

stated as (

    select pools.pool_key, pools.rule_id, pools.recipient, pools.weight as weight_name, shares.recipient_key, {{ wide_int('shares.share_weight') }} as weight
    from pools
    inner join {{ source('policy', 'distribution_shares') }} as shares on pools.rule_id = shares.rule_id
    where pools.weight = 'fixed'

),

weighted as (

    select
        pool_key, rule_id, recipient, weight_name, recipient_key,
        case weight_name
            when 'even' then {{ wide_int('1') }}
            when 'cost' then {{ wide_int('effective_cost * 1000000') }}
            else {{ wide_int('gpu_seconds * 1000') }}
        end as weight
    from measured
    union all
    select pool_key, rule_id, recipient, weight_name, recipient_key, weight
    from stated

)

select * from weighted
where weight > 0
