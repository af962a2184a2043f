-- Grain: one bucket whose resource is a GPU node of the inventory, or a volume attached to one -> that node.
with

buckets as (

    select bucket_key, usage_date, resource_id, resource_alias, compute_kind, window_from, window_to
    from {{ ref('int_charge_buckets') }}
    where resource_id is not null and fixed_cost_class is null

),

nodes as (

    select * from {{ ref('int_nodes') }}
    where gpu_count > 0

),

attached as (

    select nodes.usage_date, nodes.node_key, lower(elements.element) as volume_id
    from nodes
    inner join (select distinct element_source, element from {{ json_elements('nodes', 'volumes') }} as volume_elements) as elements
        on nodes.volumes = elements.element_source

),

candidates as (

    select buckets.bucket_key, buckets.usage_date, buckets.compute_kind, buckets.window_from, buckets.window_to, nodes.node_key, 1 as match_rank
    from buckets
    inner join nodes on buckets.usage_date = nodes.usage_date and lower(buckets.resource_id) = nodes.resource_id
    union all
    select buckets.bucket_key, buckets.usage_date, buckets.compute_kind, buckets.window_from, buckets.window_to, nodes.node_key, 2
    from buckets
    inner join nodes on buckets.usage_date = nodes.usage_date and lower(buckets.resource_alias) = nodes.resource_id
    union all
    select buckets.bucket_key, buckets.usage_date, cast(null as {{ dbt.type_string() }}), buckets.window_from, buckets.window_to, attached.node_key, 3
    from buckets
    inner join attached on buckets.usage_date = attached.usage_date and lower(buckets.resource_id) = attached.volume_id

),

ranked as (

    -- one resource is one node: where two inventory names claim it, the one valid at the time wins, then the latest
    select
        candidates.*,
        row_number() over (
            partition by candidates.usage_date, candidates.bucket_key
            order by
                case when coalesce(nodes.valid_from_second, 0) < candidates.window_to and coalesce(nodes.valid_to_second, 9223372036) > candidates.window_from then 0 else 1 end,
                candidates.match_rank, nodes.valid_from_second desc, candidates.node_key
        ) as choice
    from candidates
    inner join nodes on candidates.usage_date = nodes.usage_date and candidates.node_key = nodes.node_key

)

select bucket_key, usage_date, node_key, compute_kind, window_from, window_to
from ranked
where choice = 1
