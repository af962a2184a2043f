-- Grain: day x source x kind x commitment: what was committed, what of it was used, what nobody used, and what it covered. Usage that names no
-- commitment (Google's) has a row of its own with commitment_id NULL.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

kinded as (

    select *, {{ commitment_kind_of('buckets') }} as kind
    from {{ ref('int_charge_buckets') }} as buckets
    where fixed_cost_class = 'unused_commitment'
        or (fixed_cost_class is null and charge_category = 'Usage'
            and (commitment_id is not null or commitment_kind is not null or covered_cost is not null))

),

told as (

    select
        kinded.*,
        fixed_cost_class is not null as is_fee,
        case when fixed_cost_class is not null and kinded.commitment_kind is not null then coalesce(commitment_id, sku) else commitment_id end as told_id,
        case when fixed_cost_class is null then {{ covered_amount('kinded', 'kind') }} end as covered_amount,
        case
            -- Google's fee: what the day's usage used of it was taken off
            when fixed_cost_class is not null and kinded.commitment_kind is not null then net_cost - effective_cost
            when fixed_cost_class is not null or line_item_type = 'CommitmentAmortisation' then 0
            when kind = 'capacity_reservation' then effective_cost
            else coalesce({{ covered_amount('kinded', 'kind') }}, 0)
        end as used_amount
    from kinded

),

summed as (

    select
        usage_date,
        source,
        provider,
        kind as commitment_kind,
        told_id as commitment_id,
        case when min(case when is_fee then team end) = max(case when is_fee then team end) then min(case when is_fee then team end) end as team,
        cast(sum(used_amount) as decimal(38, 12)) as used_cost_usd,
        cast(sum(case when is_fee then effective_cost else 0 end) as decimal(38, 12)) as unused_cost_usd,
        cast(sum(coalesce(covered_amount, 0)) as decimal(38, 12)) as covered_cost_usd,
        cast(sum(covered_list_cost) as decimal(38, 12)) as covered_list_cost_usd,
        cast(sum(case when covered_list_cost is null and line_item_type <> 'CommitmentAmortisation' then coalesce(covered_cost, 0) else 0 end) as decimal(38, 12))
            as list_missing_cost_usd,
        -- how many days the longest fee is for: a reservation's fee is for its month and stands on the first day
        max(case when is_fee and (effective_cost <> 0 or line_item_type = 'RIFee') then greatest({{ int_div('window_to - window_from + 86399', '86400') }}, 1) end) as fee_days,
        max(commitment_ends_at) as ends_at,
        max(case when is_fee then 0 else 1 end) = 1 as has_usage
    from told
    group by usage_date, source, provider, kind, told_id

),

judged as (

    select
        *,
        case
            when commitment_kind = 'capacity_reservation' and not has_usage and coalesce(commitment_id, '') not like '%:capacity-reservation/%' then 'use_not_told'
            when max(case when commitment_id is null and used_cost_usd > 0 then 1 else 0 end) over (partition by usage_date, source, commitment_kind) = 1
                then 'usage_names_no_commitment'
            when fee_days > 1 then 'fee_of_a_period'
            when used_cost_usd + unused_cost_usd <= 0 then 'nothing_committed'
        end as utilization_reason
    from summed

)

select
    usage_date,
    source,
    provider,
    commitment_kind,
    commitment_id,
    team,
    case when coalesce(utilization_reason, '') <> 'use_not_told' then cast(used_cost_usd + unused_cost_usd as decimal(38, 12)) end as committed_cost_usd,
    case when coalesce(utilization_reason, '') <> 'use_not_told' then used_cost_usd end as used_cost_usd,
    unused_cost_usd,
    covered_cost_usd,
    covered_list_cost_usd,
    list_missing_cost_usd,
    case when utilization_reason is null then cast(used_cost_usd as double) / cast(used_cost_usd + unused_cost_usd as double) end as utilization_ratio,
    utilization_reason,
    cast(fee_days as bigint) as fee_days,
    ends_at
from judged
