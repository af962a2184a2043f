-- Law of money: the dollars of the GPU hours of a node sum to the compute charges of its billed windows, and the dollars and seconds by
-- class sum to the GPU hour (seconds are rounded down to a millionth each, six classes). Under every split method the compute charges of
-- GPU nodes are what the methods' comparison sums to, and what the holders by the hour sum to.
with

hours as (

    select * from {{ ref('fct_gpu_utilization') }}
    where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})

),

nodes as (

    select usage_date, node_key, gpu_key
    from {{ ref('int_gpu_fleet') }}
    union
    select usage_date, node_key, gpu_key
    from {{ ref('int_gpu_window_classes') }}

),

published as (

    select nodes.usage_date, nodes.node_key, sum(hours.cost_usd) as cost_usd
    from hours
    inner join nodes on hours.usage_date = nodes.usage_date and hours.gpu_key = nodes.gpu_key
    where hours.cost_usd is not null
    group by nodes.usage_date, nodes.node_key

),

charged as (

    select windows.usage_date, windows.node_key, sum(buckets.effective_cost) as cost_usd
    from {{ ref('int_node_windows') }} as windows
    inner join {{ ref('int_bucket_nodes') }} as bucket_nodes
        on windows.usage_date = bucket_nodes.usage_date
        and windows.node_key = bucket_nodes.node_key
        and windows.window_from = bucket_nodes.window_from
        and windows.window_to = bucket_nodes.window_to
        and bucket_nodes.compute_kind is not null
    inner join {{ ref('int_charge_buckets') }} as buckets
        on bucket_nodes.usage_date = buckets.usage_date and bucket_nodes.bucket_key = buckets.bucket_key
    where windows.billed_seconds > 0 and windows.gpu_count > 0
    group by windows.usage_date, windows.node_key

),

compared as (

    select usage_date, method, sum(cost_usd) as cost_usd, sum(in_force_cost_usd) as in_force_cost_usd
    from {{ ref('fct_method_sensitivity') }}
    where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    group by usage_date, method

),

compute as (

    select bucket_nodes.usage_date, sum(buckets.effective_cost) as cost_usd
    from {{ ref('int_bucket_nodes') }} as bucket_nodes
    inner join {{ ref('int_charge_buckets') }} as buckets
        on bucket_nodes.usage_date = buckets.usage_date and bucket_nodes.bucket_key = buckets.bucket_key
    where bucket_nodes.compute_kind is not null
    group by bucket_nodes.usage_date

),

holders as (

    select usage_date, sum(cost_usd) as cost_usd
    from {{ ref('fct_workload_hourly') }}
    where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    group by usage_date

)

select coalesce(charged.usage_date, published.usage_date) as usage_date, coalesce(charged.node_key, published.node_key) as subject, 'node' as broken
from charged
full outer join published on charged.usage_date = published.usage_date and charged.node_key = published.node_key
where charged.cost_usd is distinct from published.cost_usd
union all
select usage_date, gpu_key, 'dollars by class'
from hours
where cost_usd <> {% for class in gpu_cost_classes() %}{{ class }}_cost_usd{{ ' + ' if not loop.last }}{% endfor %}

union all
select usage_date, gpu_key, 'seconds by class'
from hours
where abs(billed_seconds - ({% for class in gpu_cost_classes() %}{{ class }}_seconds{{ ' + ' if not loop.last }}{% endfor %})) > 0.000006
union all
select coalesce(compute.usage_date, compared.usage_date), compared.method, 'split method'
from compute
full outer join compared on compute.usage_date = compared.usage_date
where compute.cost_usd is distinct from compared.cost_usd or compute.cost_usd is distinct from compared.in_force_cost_usd
union all
select coalesce(compute.usage_date, holders.usage_date), 'holders', 'holders by the hour'
from compute
full outer join holders on compute.usage_date = holders.usage_date
where compute.cost_usd is distinct from holders.cost_usd
