-- Grain: day x node x workload attempt (or none) x cost class x pricing status. What GPU-seconds cost by the rate card, beside the ledger and
-- never in it; where charges have come, what the ledger says of the same node-hours, and the difference.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

costs as (

    select
        *,
        case when not is_priced and rate_rule is null then 'awaiting_bill' when is_priced then 'replaced' else 'estimated' end as pricing_status
    from {{ ref('int_estimated_costs') }}
    -- what the bill has priced needs no estimate where there is none
    where rate_rule is not null or not is_priced

),

estimates as (

    select
        usage_date,
        node_key,
        workload_key,
        attempt_key,
        cost_class,
        pricing_status,
        case when min(rate_rule) = max(rate_rule) then min(rate_rule) when min(rate_rule) < max(rate_rule) then 'several' end as rate_rule,
        case when min(rate_rule) = max(rate_rule) then min(rate_unit) end as rate_unit,
        case when min(rate_rule) = max(rate_rule) then min(hourly_rate_usd) end as hourly_rate_usd,
        sum(weight) as weight,
        -- one part without dollars leaves the row without: a part of it would look whole
        case when count(estimated_cost) = count(*) then cast(sum(estimated_cost) as decimal(38, 12)) end as estimated_cost
    from costs
    group by usage_date, node_key, workload_key, attempt_key, cost_class, pricing_status

),

ledger as (

    select *, 'replaced' as pricing_status
    from {{ ref('int_compared_costs') }}

),

compared as (

    select
        coalesce(estimates.usage_date, ledger.usage_date) as usage_date,
        coalesce(estimates.node_key, ledger.node_key) as node_key,
        coalesce(estimates.workload_key, ledger.workload_key) as workload_key,
        coalesce(estimates.attempt_key, ledger.attempt_key) as attempt_key,
        coalesce(estimates.cost_class, ledger.cost_class) as cost_class,
        coalesce(estimates.pricing_status, ledger.pricing_status) as pricing_status,
        estimates.rate_rule,
        estimates.rate_unit,
        estimates.hourly_rate_usd,
        coalesce(estimates.weight, 0) as weight,
        -- a class that only one side knows is 0 on the other: both sides are whole for these node-hours
        case when estimates.usage_date is null then cast(0 as decimal(38, 12)) else estimates.estimated_cost end as estimated_cost,
        case when coalesce(estimates.pricing_status, ledger.pricing_status) = 'replaced'
            then cast(coalesce(ledger.effective_cost, 0) as decimal(38, 12)) end as effective_cost
    from estimates
    full outer join ledger
        on estimates.usage_date = ledger.usage_date
        and estimates.node_key = ledger.node_key
        and coalesce(estimates.workload_key, '') = coalesce(ledger.workload_key, '')
        and coalesce(estimates.attempt_key, '') = coalesce(ledger.attempt_key, '')
        and estimates.cost_class = ledger.cost_class
        and estimates.pricing_status = ledger.pricing_status

),

nodes as (

    select * from {{ ref('int_nodes') }}

),

final as (

    select
        compared.usage_date,
        compared.node_key,
        nodes.hostname as node,
        nodes.provider,
        nodes.pool,
        nodes.cluster,
        nodes.gpu_model,
        compared.workload_key,
        {{ dbt.split_part('compared.workload_key', "'/'", 1) }} as workload_type,
        compared.attempt_key,
        compared.cost_class,
        compared.pricing_status,
        compared.rate_rule,
        compared.rate_unit,
        compared.hourly_rate_usd,
        {{ gpu_seconds('compared.weight', scaled=true) }} as gpu_seconds,
        compared.estimated_cost as estimated_cost_usd,
        compared.effective_cost as effective_cost_usd,
        cast(compared.effective_cost - compared.estimated_cost as decimal(38, 12)) as difference_usd,
        case
            when compared.estimated_cost is not null then null
            when compared.rate_rule is null then 'no_rate'
            else 'no_currency_rate'
        end as reason
    from compared
    inner join nodes on compared.usage_date = nodes.usage_date and compared.node_key = nodes.node_key

)

select * from final
