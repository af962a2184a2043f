-- Grain: day x hour x source x service x region x instance family: usage that a commitment could cover, by how it was paid. Spot is none of it:
-- nobody commits to what may be taken away.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

eligible as (

    select
        buckets.*,
        {{ covered_amount('buckets', commitment_kind_of('buckets')) }} as covered_amount,
        {{ region_of_zone('region') }} as commitment_region,
        coalesce({{ instance_family('sku') }}, '(no SKU)') as instance_family,
        case when {{ int_div('window_from', '3600') }} = {{ int_div('greatest(window_to - 1, window_from)', '3600') }} then window_from - window_from % 3600 end as hour_from
    from {{ ref('int_charge_buckets') }} as buckets
    where fixed_cost_class is null
        and charge_category = 'Usage'
        and (compute_kind is not null or covered_cost is not null)
        and coalesce(pricing_category, '') not in ('spot', 'rate_card')

),

summed as (

    select
        usage_date,
        hour_from,
        source,
        provider,
        service,
        commitment_region,
        instance_family,
        cast(sum(case when covered_amount is null then effective_cost else 0 end) as decimal(38, 12)) as on_demand_cost_usd,
        cast(sum(case when covered_amount is null then list_cost - coalesce(covered_list_cost, 0) end) as decimal(38, 12)) as on_demand_list_cost_usd,
        cast(sum(coalesce(covered_amount, 0)) as decimal(38, 12)) as covered_cost_usd,
        cast(sum(covered_list_cost) as decimal(38, 12)) as covered_list_cost_usd,
        cast(sum(case
            when covered_amount is null and list_cost is null then effective_cost
            when covered_cost is not null and covered_list_cost is null and line_item_type <> 'CommitmentAmortisation' then covered_cost
            else 0 end) as decimal(38, 12)) as list_missing_cost_usd
    from eligible
    group by usage_date, hour_from, source, provider, service, commitment_region, instance_family

)

select
    usage_date,
    {{ timestamp_of('hour_from') }} as usage_hour,
    source,
    provider,
    service,
    commitment_region as region,
    instance_family,
    on_demand_cost_usd,
    on_demand_list_cost_usd,
    covered_cost_usd,
    covered_list_cost_usd,
    list_missing_cost_usd,
    case when coalesce(covered_list_cost_usd, 0) + coalesce(on_demand_list_cost_usd, 0) > 0 and list_missing_cost_usd = 0
        then cast(coalesce(covered_list_cost_usd, 0) as double) / cast(coalesce(covered_list_cost_usd, 0) + coalesce(on_demand_list_cost_usd, 0) as double)
    end as coverage_ratio
from summed
