-- Grain: day x team x workload x split method: what the compute of the GPU nodes costs them under each method, beside what the ledger charges. Per
-- day and method it sums to the compute charges of the nodes exactly.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

{{ priced_classes(ref('int_node_methods'), ref('int_gpu_device_names'), ref('int_gpu_window_classes')) }},

cpu_only as (

    select window_key, method, workload_key, {{ wide_int('sum(weight)') }} as weight
    from {{ ref('int_cpu_only_weights') }}
    where window_key is not null
    group by window_key, method, workload_key

),

parts as (

    select methods.*, methods.host_weight - coalesce(taken.weight, 0) as inherited_weight
    from node_methods as methods
    left join (select window_key, method, {{ wide_int('sum(weight)') }} as weight from cpu_only group by window_key, method) as taken
        on methods.window_key = taken.window_key and methods.method = taken.method

),

workload_tags as (

    select * from {{ ref('int_workload_day_tags') }}

),

nodes as (

    select nodes.usage_date, nodes.node_key, tag_sets.team
    from {{ ref('int_nodes') }} as nodes
    left join {{ ref('int_tag_sets') }} as tag_sets on nodes.labels = tag_sets.tags and {{ in_era('nodes.usage_date') }}

),

-- the compute charges of GPU nodes, and whether a method has split them
charges as (

    select
        bucket_nodes.usage_date,
        bucket_nodes.bucket_key,
        bucket_nodes.node_key,
        windows.window_key,
        coalesce(buckets.team, '') as bucket_team,
        buckets.effective_cost,
        split.bucket_key is not null as is_split
    from {{ ref('int_bucket_nodes') }} as bucket_nodes
    inner join {{ ref('int_charge_buckets') }} as buckets
        on bucket_nodes.usage_date = buckets.usage_date and bucket_nodes.bucket_key = buckets.bucket_key
    inner join {{ ref('int_node_windows') }} as windows
        on bucket_nodes.usage_date = windows.usage_date
        and bucket_nodes.node_key = windows.node_key
        and bucket_nodes.window_from = windows.window_from
        and bucket_nodes.window_to = windows.window_to
    left join (
        select distinct usage_date, bucket_key
        from {{ ref('int_bucket_shares') }}
        where route = 'telemetry' and component = 'gpu'
    ) as split on bucket_nodes.usage_date = split.usage_date and bucket_nodes.bucket_key = split.bucket_key
    where bucket_nodes.compute_kind is not null

),

ledger as (

    select
        ledger.usage_date,
        ledger.team,
        ledger.workload_key,
        charges.is_split,
        in_force.method,
        sum(case when ledger.component = 'host' then 0 else ledger.effective_cost end) as gpu_cost,
        sum(case when ledger.component = 'host' then ledger.effective_cost else 0 end) as host_cost
    from {{ ref('fct_cost_allocation') }} as ledger
    inner join charges on ledger.usage_date = charges.usage_date and ledger.bucket_key = charges.bucket_key
    left join node_methods as in_force on charges.window_key = in_force.window_key and in_force.is_in_force
    where ledger.stage = 'allocated'
    group by ledger.usage_date, ledger.team, ledger.workload_key, charges.is_split, in_force.method

),

-- charges that every other method divides alike, together: of one window, and of one team's tags
pools as (

    select usage_date, window_key, node_key, bucket_team, cast(sum(effective_cost) as decimal(38, 12)) as effective_cost
    from charges
    where is_split
    group by usage_date, window_key, node_key, bucket_team

),

holders as (

    select window_key, workload_key, {{ wide_int('sum(weight)') }} as weight, {{ wide_int('sum(priced_weight)') }} as priced_weight
    from priced_classes
    group by window_key, workload_key

),

window_weights as (

    select window_key, {{ wide_int('sum(weight)') }} as weight
    from holders
    group by window_key

),

shares as (

    select parts.window_key, parts.method, holders.workload_key, 'gpu' as component,
        case when parts.is_mixed then holders.priced_weight * parts.gpu_seconds else holders.weight * parts.gpu_weight end as weight
    from parts
    inner join holders on parts.window_key = holders.window_key
    where not parts.is_in_force
    union all
    select parts.window_key, parts.method, holders.workload_key, 'inherited', holders.weight * parts.inherited_weight
    from parts
    inner join holders on parts.window_key = holders.window_key
    where not parts.is_in_force and parts.inherited_weight > 0
    union all
    select parts.window_key, parts.method, cpu_only.workload_key, 'requested', cpu_only.weight * window_weights.weight
    from parts
    inner join cpu_only on parts.window_key = cpu_only.window_key and parts.method = cpu_only.method
    inner join window_weights on parts.window_key = window_weights.window_key
    where not parts.is_in_force

),

units as (

    select
        pools.usage_date,
        pools.node_key,
        pools.bucket_team,
        pools.effective_cost,
        shares.*,
        {{ allocation_units('pools.effective_cost') }} as cost_units,
        sum(shares.weight) over (partition by pools.window_key, pools.bucket_team, shares.method) as total_weight
    from pools
    inner join shares on pools.window_key = shares.window_key

),

{{ split_amounts(
    'ranked', '(select * from units where total_weight > 0) as weighted', 'window_key, bucket_team, method', 'workload_key nulls first, component'
) }},

{{ repairs_of_node_holders('ranked', ref('int_bucket_nodes'), ref('int_charge_buckets'), ref('int_nodes'), source('policy', 'tag_repairs')) }},

-- a row for each method that is not in force where the charge was made
elsewhere as (

    select
        allocated.usage_date,
        {{ owned('team') }} as team,
        allocated.workload_key,
        allocated.method,
        allocated.component,
        {{ allocation_amount('allocated.effective_cost', 'allocated.floor_units', 'allocated.leftover_units', 'allocated.remainder_rank') }} as cost
    from ranked as allocated
    left join workload_tags on allocated.usage_date = workload_tags.usage_date and allocated.workload_key = workload_tags.workload_key
    left join nodes on allocated.usage_date = nodes.usage_date and allocated.node_key = nodes.node_key
    left join (select distinct bucket_team, nullif(bucket_team, '') as team from pools) as buckets on allocated.bucket_team = buckets.bucket_team
    left join repaired
        on allocated.usage_date = repaired.usage_date and allocated.node_key = repaired.node_key
        and allocated.workload_key is not distinct from repaired.workload_key

),

every as (

    select usage_date, team, workload_key, method, case when component = 'gpu' then cost else 0 end as gpu_cost,
        case when component = 'gpu' then 0 else cost end as host_cost
    from elsewhere
    union all
    select usage_date, team, workload_key, method, gpu_cost, host_cost from ledger where is_split
    union all
    -- what no method has split costs the same under each
    select ledger.usage_date, ledger.team, ledger.workload_key, methods.method, ledger.gpu_cost, ledger.host_cost
    from ledger
    cross join {{ split_method_rows() }} as methods
    where not ledger.is_split

),

by_method as (

    select
        usage_date,
        team,
        workload_key,
        method,
        cast(sum(gpu_cost) as decimal(38, 12)) as gpu_cost_usd,
        cast(sum(host_cost) as decimal(38, 12)) as host_cost_usd,
        cast(sum(gpu_cost + host_cost) as decimal(38, 12)) as cost_usd
    from every
    group by usage_date, team, workload_key, method

),

in_force as (

    select usage_date, team, workload_key, cast(sum(gpu_cost + host_cost) as decimal(38, 12)) as cost_usd
    from ledger
    group by usage_date, team, workload_key

),

final as (

    select
        by_method.usage_date,
        by_method.team,
        by_method.workload_key,
        {{ dbt.split_part('by_method.workload_key', "'/'", 1) }} as workload_type,
        by_method.method,
        by_method.gpu_cost_usd,
        by_method.host_cost_usd,
        by_method.cost_usd,
        cast(coalesce(in_force.cost_usd, 0) as decimal(38, 12)) as in_force_cost_usd,
        cast(by_method.cost_usd - coalesce(in_force.cost_usd, 0) as decimal(38, 12)) as difference_usd
    from by_method
    left join in_force
        on by_method.usage_date = in_force.usage_date
        and by_method.team is not distinct from in_force.team
        and by_method.workload_key is not distinct from in_force.workload_key

)

select * from final
