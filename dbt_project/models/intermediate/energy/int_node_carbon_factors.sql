-- Grain: day x node for which a carbon factor is stated: the one that names its place most closely (zone, cluster, region, provider; then
-- the latest). The region is the zone's; where the inventory names no zone, it is the bill's.
with

days as (

    select * from {{ ref('int_days') }}

),

staged as (

    {{ staged('carbon_factors', carbon_factor_columns()) }}

),

factors as (

    select days.usage_date, staged.*
    from staged
    inner join days
        on (staged.valid_from is null or staged.valid_from <= days.usage_date)
        and (staged.valid_to is null or staged.valid_to > days.usage_date)

),

billed_regions as (

    select bucket_nodes.usage_date, bucket_nodes.node_key, max(buckets.region) as region
    from {{ ref('int_bucket_nodes') }} as bucket_nodes
    inner join {{ ref('int_charge_buckets') }} as buckets
        on bucket_nodes.usage_date = buckets.usage_date and bucket_nodes.bucket_key = buckets.bucket_key
    group by bucket_nodes.usage_date, bucket_nodes.node_key

),

placed as (

    select
        nodes.usage_date,
        nodes.node_key,
        lower(nodes.provider) as provider,
        lower(nodes.zone) as zone,
        lower(nodes.cluster) as cluster,
        case when nodes.zone is null then lower(billed_regions.region) end as billed_region
    from {{ ref('int_nodes') }} as nodes
    left join billed_regions on nodes.usage_date = billed_regions.usage_date and nodes.node_key = billed_regions.node_key

),

ranked as (

    select
        placed.usage_date,
        placed.node_key,
        factors.grams_co2e_per_kwh,
        factors.pue,
        factors.stated_source,
        row_number() over (
            partition by placed.usage_date, placed.node_key
            order by
                case when factors.zone is not null then 1 when factors.cluster is not null then 2 when factors.region is not null then 3 else 4 end,
                factors.provider nulls last, factors.valid_from desc nulls last, factors.stated_source, factors.grams_co2e_per_kwh desc, factors.pue
        ) as choice
    from placed
    inner join factors
        on placed.usage_date = factors.usage_date
        and (factors.provider is null or factors.provider = placed.provider)
        and (factors.zone is null or factors.zone = placed.zone)
        and (factors.cluster is null or factors.cluster = placed.cluster)
        and (
            factors.region is null
            or factors.region = coalesce(placed.zone, placed.billed_region)
            -- us-east-1a and us-central1-a lie in us-east-1 and us-central1
            or placed.zone like concat(factors.region, '_')
            or placed.zone like concat(factors.region, '-_')
        )

)

select usage_date, node_key, grams_co2e_per_kwh, pue, stated_source
from ranked
where choice = 1
