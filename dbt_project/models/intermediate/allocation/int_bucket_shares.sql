-- Grain: bucket x workload attempt x cost class x component (x reason): the flat weight with which the bucket is allocated. Every
-- bucket has at least one row; which route it took is decided here and nowhere else (attribution rules, section 6).
with

buckets as (

    select * from {{ ref('int_charge_buckets') }}

),

bucket_nodes as (

    select * from {{ ref('int_bucket_nodes') }}

),

methods as (

    select * from {{ ref('int_node_methods') }}

),

windows as (

    select * from {{ ref('int_node_windows') }}

),

window_classes as (

    select
        window_key,
        workload_key,
        attempt_key,
        cost_class,
        reason,
        case when min(evidence) < max(evidence) then 'mixed' else min(evidence) end as evidence,
        case when min(activity_rung) < max(activity_rung) then 'mixed' else min(activity_rung) end as activity_rung,
        sharing,
        is_unmeasured,
        sum(rung_coverage_weight) as rung_coverage_weight,
        sum(weight) as weight
    from {{ ref('int_gpu_window_classes') }}
    group by window_key, workload_key, attempt_key, cost_class, reason, sharing, is_unmeasured

),

-- a window is explained by telemetry when anything in it was observed or held
explained_windows as (

    select distinct window_key from {{ ref('int_gpu_window_seconds') }}
    where is_covered or attempt_key is not null

),

on_node as (

    select bucket_nodes.bucket_key, bucket_nodes.usage_date, bucket_nodes.node_key, bucket_nodes.compute_kind, windows.window_key
    from bucket_nodes
    inner join windows
        on bucket_nodes.usage_date = windows.usage_date
        and bucket_nodes.node_key = windows.node_key
        and bucket_nodes.window_from = windows.window_from
        and bucket_nodes.window_to = windows.window_to
    inner join explained_windows on windows.window_key = explained_windows.window_key

),

by_telemetry as (

    select
        on_node.bucket_key, on_node.usage_date, on_node.node_key, window_classes.workload_key, window_classes.attempt_key,
        window_classes.cost_class, components.component, 'telemetry' as route, window_classes.reason, window_classes.evidence,
        components.method_id, window_classes.activity_rung, window_classes.sharing, window_classes.is_unmeasured,
        {{ ratio_of_millionths(int_div(wide_int('window_classes.rung_coverage_weight'), wide_int('window_classes.weight'))) }} as activity_coverage_ratio,
        {{ wide_int('window_classes.weight') }} * components.component_weight as weight,
        case when components.component = 'gpu' then window_classes.weight end as gpu_second_weight
    from on_node
    inner join window_classes on on_node.window_key = window_classes.window_key
    inner join methods as components on on_node.usage_date = components.usage_date and on_node.node_key = components.node_key
    where on_node.compute_kind is not null

),

holder_weights as (

    select window_key, workload_key, attempt_key, sum(weight) as weight
    from window_classes
    where attempt_key is not null
    group by window_key, workload_key, attempt_key

),

carried_by_holders as (

    select
        on_node.bucket_key, on_node.usage_date, on_node.node_key, holder_weights.workload_key, holder_weights.attempt_key,
        'not_measured' as cost_class, 'other' as component, 'telemetry' as route, cast(null as {{ dbt.type_string() }}) as reason,
        'holder' as evidence, cast(null as {{ dbt.type_string() }}) as method_id, cast(null as {{ dbt.type_string() }}) as activity_rung,
        {{ not_shared() }},
        {{ wide_int('holder_weights.weight') }} as weight,
        cast(null as bigint) as gpu_second_weight
    from on_node
    inner join holder_weights on on_node.window_key = holder_weights.window_key
    where on_node.compute_kind is null

),

telemetry_buckets as (

    select distinct bucket_key, usage_date from by_telemetry
    union
    select distinct bucket_key, usage_date from carried_by_holders

),

whole_buckets as (

    select
        buckets.*,
        bucket_nodes.node_key,
        {{ is_gpu_compute('buckets.compute_kind', 'buckets.sku') }} or (bucket_nodes.node_key is not null and buckets.compute_kind is not null) as is_gpu,
        case
            when buckets.run_id is not null then concat('training_run/', buckets.run_id)
            when buckets.endpoint is not null then concat('endpoint/', buckets.endpoint)
        end as tagged_workload_key
    from buckets
    left join telemetry_buckets on buckets.bucket_key = telemetry_buckets.bucket_key and buckets.usage_date = telemetry_buckets.usage_date
    left join bucket_nodes on buckets.bucket_key = bucket_nodes.bucket_key and buckets.usage_date = bucket_nodes.usage_date
    where telemetry_buckets.bucket_key is null

),

-- containers of an instance that no telemetry explains, where the policy uses split cost allocation data
by_split as (

    select
        whole_buckets.bucket_key, whole_buckets.usage_date, whole_buckets.node_key, splits.workload_key, splits.attempt_key,
        case when whole_buckets.is_gpu then 'unknown' else 'not_measured' end as cost_class,
        case when whole_buckets.is_gpu then 'gpu' else 'other' end as component,
        'rule' as route, cast(null as {{ dbt.type_string() }}) as reason, 'split_cost_allocation' as evidence,
        'split_cost_allocation' as method_id, cast(null as {{ dbt.type_string() }}) as activity_rung, {{ not_shared() }},
        {{ wide_int('sum(splits.weight)') }} as weight,
        cast(null as bigint) as gpu_second_weight
    from whole_buckets
    inner join {{ ref('int_split_weights') }} as splits
        on whole_buckets.usage_date = splits.usage_date
        and lower(whole_buckets.resource_id) = splits.parent_resource_id
        and whole_buckets.window_from = splits.window_from
        and whole_buckets.window_to = splits.window_to
    where whole_buckets.fixed_cost_class is null and whole_buckets.compute_kind is not null
    group by whole_buckets.bucket_key, whole_buckets.usage_date, whole_buckets.node_key, splits.workload_key, splits.attempt_key, whole_buckets.is_gpu

),

split_buckets as (

    select distinct bucket_key, usage_date from by_split

),

by_tag_or_none as (

    select
        whole_buckets.bucket_key,
        whole_buckets.usage_date,
        node_key,
        case when fixed_cost_class is null then tagged_workload_key end as workload_key,
        cast(null as {{ dbt.type_string() }}) as attempt_key,
        case
            when fixed_cost_class is not null then fixed_cost_class
            when is_gpu then 'unknown'
            when tagged_workload_key is not null then 'not_measured'
            else 'unattributed'
        end as cost_class,
        case when is_gpu and fixed_cost_class is null then 'gpu' else 'other' end as component,
        case when fixed_cost_class is null and tagged_workload_key is not null then 'tag' else 'none' end as route,
        case
            when fixed_cost_class = 'quarantined' then quarantine_reason
            when fixed_cost_class is not null then null
            when is_gpu and node_key is null then 'node_not_in_inventory'
            when is_gpu then 'node_without_telemetry'
            when tagged_workload_key is not null then null
            when {{ pseudo_namespace('namespace') }} is not null then {{ pseudo_namespace('namespace') }}
            when coalesce(team, model, project) is not null then 'no_run_or_endpoint_tag'
            else 'untagged'
        end as reason,
        case when fixed_cost_class is null and tagged_workload_key is not null then 'tag' else 'none' end as evidence,
        cast(null as {{ dbt.type_string() }}) as method_id,
        cast(null as {{ dbt.type_string() }}) as activity_rung,
        {{ not_shared() }},
        {{ wide_int('1') }} as weight,
        cast(null as bigint) as gpu_second_weight
    from whole_buckets
    left join split_buckets on whole_buckets.bucket_key = split_buckets.bucket_key and whole_buckets.usage_date = split_buckets.usage_date
    where split_buckets.bucket_key is null

),

shares as (

    select * from by_telemetry
    where weight > 0
    union all
    select * from carried_by_holders
    union all
    select * from by_split
    union all
    select * from by_tag_or_none

)

select * from shares
