-- Grain: charge bucket x workload attempt x cost class x component x reason, of the night's days, before distribution: per bucket and
-- basis the rows sum to the bucket exactly.
{{ config(materialized='table') }}

with

shares as (

    select * from {{ ref('int_bucket_shares') }}

),

buckets as (

    select * from {{ ref('int_charge_buckets') }}

),

workload_tags as (

    select * from {{ ref('int_workload_day_tags') }}

),

nodes as (

    select nodes.usage_date, nodes.node_key, nodes.hostname, nodes.pool, nodes.cluster, tag_sets.team, tag_sets.environment, tag_sets.project
    from {{ ref('int_nodes') }} as nodes
    left join {{ ref('int_tag_sets') }} as tag_sets on nodes.labels = tag_sets.tags and {{ in_era('nodes.usage_date') }}

),

-- the node of the inventory that a charge is for where it carries no GPU time: machines without GPUs, and by them their cluster
places as (

    select usage_date, resource_id, min(hostname) as hostname, min(pool) as pool, min(cluster) as cluster
    from {{ ref('int_nodes') }}
    group by usage_date, resource_id

),

totals as (

    select usage_date, bucket_key, {{ wide_int('sum(weight)') }} as total_weight, count(*) as share_count
    from shares
    group by usage_date, bucket_key

),

weighted as (

    select
        shares.*,
        totals.total_weight,
        {%- for basis in allocated_bases() %}
        buckets.{{ basis }} as bucket_{{ basis }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from shares
    inner join totals on shares.usage_date = totals.usage_date and shares.bucket_key = totals.bucket_key
    inner join buckets on shares.usage_date = buckets.usage_date and shares.bucket_key = buckets.bucket_key
    where totals.share_count > 1

),

units as (

    select
        *,
        {%- for basis in allocated_bases() %}
        {{ allocation_units('bucket_' ~ basis) }} as {{ basis }}_units{% if not loop.last %},{% endif %}
        {%- endfor %}
    from weighted

),

floors as (

    select
        *,
        {%- for basis in allocated_bases() %}
        {{ allocation_floor(basis ~ '_units', 'weight', 'total_weight') }} as {{ basis }}_floor,
        {{ allocation_remainder(basis ~ '_units', 'weight', 'total_weight') }} as {{ basis }}_remainder{% if not loop.last %},{% endif %}
        {%- endfor %}
    from units

),

ranked as (

    select
        *,
        {%- for basis in allocated_bases() %}
        {{ basis }}_units - sum({{ basis }}_floor) over (partition by usage_date, bucket_key) as {{ basis }}_leftover,
        row_number() over (
            partition by usage_date, bucket_key
            order by {{ basis }}_remainder desc, workload_key nulls first, cost_class, component, attempt_key nulls first, reason nulls first, sharing nulls first, is_unmeasured nulls first
        ) as {{ basis }}_rank{% if not loop.last %},{% endif %}
        {%- endfor %}
    from floors

),

allocated as (

    select
        bucket_key, usage_date, node_key, workload_key, attempt_key, cost_class, component, route, reason, evidence, method_id, activity_rung,
        sharing, is_unmeasured, activity_coverage_ratio, weight, total_weight, gpu_second_weight,
        {%- for basis in allocated_bases() %}
        {{ allocation_amount('bucket_' ~ basis, basis ~ '_floor', basis ~ '_leftover', basis ~ '_rank') }} as {{ basis }},
        {%- endfor %}
        false as is_whole
    from ranked
    union all
    -- most buckets are not split at all: one share takes the bucket's own amounts
    select
        shares.bucket_key, shares.usage_date, shares.node_key, shares.workload_key, shares.attempt_key, shares.cost_class, shares.component, shares.route,
        shares.reason, shares.evidence, shares.method_id, shares.activity_rung, shares.sharing, shares.is_unmeasured, shares.activity_coverage_ratio, shares.weight, totals.total_weight, shares.gpu_second_weight,
        {%- for basis in allocated_bases() %}
        cast(null as decimal(38, 12)) as {{ basis }},
        {%- endfor %}
        true as is_whole
    from shares
    inner join totals on shares.usage_date = totals.usage_date and shares.bucket_key = totals.bucket_key
    where totals.share_count = 1

),

-- what a repair of the policy can ask of a row; no row is looked at where the policy has no repair
subjects as (

    select distinct
        shares.usage_date, shares.workload_key, buckets.resource_id, {{ place_of('pool') }} as pool, buckets.namespace,
        {{ place_of('cluster') }} as cluster, buckets.service, buckets.account_id, buckets.source
    from (select * from shares where (select count(*) from {{ source('policy', 'tag_repairs') }}) > 0) as shares
    inner join buckets on shares.usage_date = buckets.usage_date and shares.bucket_key = buckets.bucket_key
    left join nodes on shares.usage_date = nodes.usage_date and shares.node_key = nodes.node_key
    left join places on shares.node_key is null and shares.usage_date = places.usage_date and lower(buckets.resource_id) = places.resource_id

),

repaired as (

    {{ repairs_of_subjects('subjects', source('policy', 'tag_repairs')) }}

),

ledger as (

    select
        allocated.usage_date,
        allocated.bucket_key,
        buckets.source,
        buckets.provider,
        buckets.billing_period,
        buckets.invoice_id,
        buckets.billing_account_id,
        buckets.account_id,
        {{ timestamp_of('buckets.window_from') }} as window_start,
        {{ timestamp_of('buckets.window_to') }} as window_end,
        buckets.service,
        buckets.sku,
        buckets.region,
        buckets.resource_id,
        coalesce(nodes.hostname, places.hostname) as node,
        {{ place_of('pool') }} as pool,
        {{ place_of('cluster') }} as cluster,
        buckets.namespace,
        buckets.line_item_type,
        buckets.charge_category,
        buckets.charge_class,
        buckets.pricing_category,
        buckets.commitment_id,
        buckets.currency,
        buckets.exchange_rate,
        allocated.workload_key,
        {{ dbt.split_part('allocated.workload_key', "'/'", 1) }} as workload_type,
        allocated.attempt_key,
        {{ owned('team') }} as team,
        {{ owned('model') }} as model,
        {{ owned('environment') }} as environment,
        {{ owned('project') }} as project,
        {%- for key in repaired_keys() %}
        {{ tag_origin(key) }} as {{ key }}_origin,
        {{ repair_behind(key) }} as {{ key }}_repair,
        {%- endfor %}
        coalesce(repaired.is_contradicted, 0) = 1 as has_repair_collision,
        allocated.cost_class,
        allocated.route,
        allocated.component,
        allocated.reason,
        allocated.evidence,
        allocated.method_id,
        allocated.activity_rung,
        allocated.activity_coverage_ratio,
        allocated.sharing,
        allocated.is_unmeasured,
        cast('allocated' as {{ dbt.type_string() }}) as stage,
        cast(null as {{ dbt.type_string() }}) as rule_id,
        cast(null as {{ dbt.type_string() }}) as distribution_key,
        cast(allocated.weight as decimal(38, 0)) as allocation_weight,
        cast(allocated.total_weight as decimal(38, 0)) as bucket_weight,
        case when allocated.gpu_second_weight is not null and buckets.compute_seconds is not null
            then {{ gpu_seconds('allocated.gpu_second_weight', scaled=true) }} end as gpu_seconds,
        {%- for basis in allocated_bases() %}
        case when allocated.is_whole then buckets.{{ basis }} else allocated.{{ basis }} end as {{ basis }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from allocated
    inner join buckets on allocated.usage_date = buckets.usage_date and allocated.bucket_key = buckets.bucket_key
    left join workload_tags on allocated.usage_date = workload_tags.usage_date and allocated.workload_key = workload_tags.workload_key
    left join nodes on allocated.usage_date = nodes.usage_date and allocated.node_key = nodes.node_key
    left join places on allocated.node_key is null and allocated.usage_date = places.usage_date and lower(buckets.resource_id) = places.resource_id
    left join repaired
        on allocated.usage_date = repaired.usage_date
        and buckets.source = repaired.source
        {%- for column in ['resource_id', 'namespace', 'service', 'account_id'] %}
        and buckets.{{ column }} is not distinct from repaired.{{ column }}
        {%- endfor %}
        and allocated.workload_key is not distinct from repaired.workload_key
        and {{ place_of('pool') }} is not distinct from repaired.pool
        and {{ place_of('cluster') }} is not distinct from repaired.cluster

)

select * from ledger
