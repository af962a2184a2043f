-- Grain: day x UTC hour x GPU node x holder (a workload, or nobody) x pricing category: what each held of a node, what that cost by class, and how
-- much of the GPUs it needed. Compute charges of GPU nodes only, before distribution. A charge longer than an hour has no hour.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

compute as (

    select usage_date, bucket_key, node_key from {{ ref('int_bucket_nodes') }}
    where compute_kind is not null

),

allocations as (

    select
        compute.node_key,
        allocations.*,
        case when {{ epoch_seconds('window_start') }} - {{ epoch_seconds('window_start') }} % 3600 + 3600 >= {{ epoch_seconds('window_end') }}
            then {{ epoch_seconds('window_start') }} - {{ epoch_seconds('window_start') }} % 3600 end as hour_from
    from {{ ref('int_bucket_allocations') }} as allocations
    inner join compute on allocations.usage_date = compute.usage_date and allocations.bucket_key = compute.bucket_key

),

summed as (

    select
        usage_date,
        hour_from,
        node_key,
        workload_key,
        pricing_category,
        min(provider) as provider,
        min(region) as region,
        -- the instance type at the end of an AWS usage type; Google's SKUs name parts of machines and have none
        max(nullif(regexp_extract(sku, '[a-z][a-z0-9.-]*[.][a-z0-9-]+$'), '')) as instance_type,
        max(team) as team,
        max(model) as model,
        max(environment) as environment,
        max(case when coalesce(sharing, 'none') <> 'none' then 1 else 0 end) = 1 as is_shared,
        cast(coalesce(sum(gpu_seconds), 0) as decimal(38, 6)) as gpu_seconds,
        {%- for class in gpu_cost_classes() %}
        cast(coalesce(sum(case when cost_class = '{{ class }}' then gpu_seconds end), 0) as decimal(38, 6)) as {{ class }}_seconds,
        cast(sum(case when cost_class = '{{ class }}' then effective_cost else 0 end) as decimal(38, 12)) as {{ class }}_cost_usd,
        {%- endfor %}
        cast(sum(effective_cost) as decimal(38, 12)) as cost_usd
    from allocations
    group by usage_date, hour_from, node_key, workload_key, pricing_category

),

holders as (

    select distinct usage_date, node_key, hour_from, holder_key, workload_key
    from {{ ref('int_gpu_hours') }}
    where holder_key <> ''

),

attempts as (

    select usage_date, node_key, hour_from, workload_key, cast(count(distinct holder_key) as bigint) as attempt_count
    from holders
    group by usage_date, node_key, hour_from, workload_key

),

-- of the busiest GPU of the hour its mean, and the most memory in use on any
peaks as (

    select
        holders.usage_date, holders.node_key, holders.hour_from, holders.workload_key,
        max(activity.activity_ppm) as activity_ppm,
        max(activity.peak_fb_used_kib) as memory_kib
    from {{ ref('int_gpu_activity') }} as activity
    inner join (select distinct usage_date, node_key, unit_key from {{ ref('int_gpu_fleet') }}) as units
        on activity.usage_date = units.usage_date and activity.unit_key = units.unit_key
    inner join holders
        on units.usage_date = holders.usage_date
        and units.node_key = holders.node_key
        and activity.hour_from = holders.hour_from
        and activity.holder_key = holders.holder_key
    group by holders.usage_date, holders.node_key, holders.hour_from, holders.workload_key

),

tolerance as (

    select usage_date, workload_key, max(tolerance_basis) as tolerance_basis
    from {{ ref('int_attempt_outcomes') }}
    group by usage_date, workload_key

),

nodes as (

    select nodes.*, tag_sets.team
    from {{ ref('int_nodes') }} as nodes
    left join {{ ref('int_tag_sets') }} as tag_sets on nodes.labels = tag_sets.tags

),

final as (

    select
        summed.usage_date,
        {{ timestamp_of('summed.hour_from') }} as usage_hour,
        summed.node_key,
        nodes.hostname as node,
        nodes.pool,
        nodes.cluster,
        summed.provider,
        summed.region,
        nodes.gpu_model,
        nodes.gpu_count as node_gpu_count,
        summed.instance_type,
        {{ dbt.split_part('summed.workload_key', "'/'", 1) }} as workload_type,
        summed.workload_key,
        coalesce(summed.team, nodes.team) as owner_team,
        summed.model,
        summed.environment,
        summed.pricing_category,
        tolerance.tolerance_basis,
        summed.is_shared,
        attempts.attempt_count,
        {{ ratio_of_millionths('peaks.activity_ppm') }} as peak_activity_ratio,
        peaks.memory_kib as peak_memory_kib,
        summed.gpu_seconds,
        {%- for class in gpu_cost_classes() %}
        summed.{{ class }}_seconds,
        {%- endfor %}
        summed.cost_usd,
        {%- for class in gpu_cost_classes() %}
        summed.{{ class }}_cost_usd{% if not loop.last %},{% endif %}
        {%- endfor %}
    from summed
    inner join nodes on summed.usage_date = nodes.usage_date and summed.node_key = nodes.node_key
    left join attempts
        on summed.usage_date = attempts.usage_date
        and summed.node_key = attempts.node_key
        and summed.hour_from = attempts.hour_from
        and summed.workload_key = attempts.workload_key
    left join peaks
        on summed.usage_date = peaks.usage_date
        and summed.node_key = peaks.node_key
        and summed.hour_from = peaks.hour_from
        and summed.workload_key = peaks.workload_key
    left join tolerance on summed.usage_date = tolerance.usage_date and summed.workload_key = tolerance.workload_key

)

select * from final
