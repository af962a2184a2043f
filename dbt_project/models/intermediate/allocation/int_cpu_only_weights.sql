-- Grain: day x node with GPUs x attempt there that asks for vCPUs or memory and for no GPU x billing window (NULL: seconds that nobody billed) x
-- split method: its seconds, and its weight-seconds of the host's part. All such weights of a second are at most the host's: beyond that they
-- are cut in proportion (whole weight-seconds, in the order of the attempts).
with

nodes as (

    select * from {{ ref('int_nodes') }}
    where gpu_count > 0

),

holders as (

    select distinct usage_date, node_key, attempt_key
    from {{ ref('int_gpu_segments') }}
    where attempt_key is not null

),

requests as (

    select stints.usage_date, stints.node_key, stints.workload_key, stints.attempt_key, stints.from_second, stints.to_second, stints.vcpus, stints.memory_gib
    from {{ ref('int_stints') }} as stints
    inner join nodes on stints.usage_date = nodes.usage_date and stints.node_key = nodes.node_key
    left join holders
        on stints.usage_date = holders.usage_date and stints.node_key = holders.node_key and stints.attempt_key = holders.attempt_key
    where stints.gpu_ids is null
        and coalesce(stints.gpu_count, 0) = 0
        and (stints.vcpus > 0 or stints.memory_gib > 0)
        and stints.from_second < stints.to_second
        -- its label stands on a GPU: it is paid for there
        and holders.attempt_key is null

),

stretches as (

    select *
    from {{ ref('int_node_billed_stretches') }}
    where billed_to > billed_from

),

edges as (

    select usage_date, node_key, from_second as edge_second from requests
    union
    select usage_date, node_key, to_second from requests
    union
    select stretches.usage_date, stretches.node_key, stretches.billed_from
    from stretches
    inner join requests on stretches.usage_date = requests.usage_date and stretches.node_key = requests.node_key
    union
    select stretches.usage_date, stretches.node_key, stretches.billed_to
    from stretches
    inner join requests on stretches.usage_date = requests.usage_date and stretches.node_key = requests.node_key

),

pieces as (

    select
        usage_date,
        node_key,
        edge_second as from_second,
        lead(edge_second) over (partition by usage_date, node_key order by edge_second) as to_second
    from edges

),

-- an attempt told by several stints at once asks once, for the most that one of them says
asked as (

    select
        pieces.usage_date,
        pieces.node_key,
        pieces.from_second,
        pieces.to_second - pieces.from_second as seconds,
        requests.workload_key,
        requests.attempt_key,
        coalesce(max(requests.vcpus), 0) as vcpus,
        coalesce(max(requests.memory_gib), 0) as memory_gib
    from pieces
    inner join requests
        on pieces.usage_date = requests.usage_date
        and pieces.node_key = requests.node_key
        and requests.from_second <= pieces.from_second
        and requests.to_second >= pieces.to_second
    group by pieces.usage_date, pieces.node_key, pieces.from_second, pieces.to_second, requests.workload_key, requests.attempt_key

),

weighed as (

    select
        asked.*,
        asked.attempt_key as requester_key,
        stretches.window_key,
        methods.method,
        methods.is_in_force,
        coalesce({{ host_method_weight('methods.method_id', 'stretches.vcpus', 'stretches.memory_gib') }}, 0) as host_weight,
        coalesce({{ request_method_weight('methods.method_id', 'asked.vcpus', 'asked.memory_gib', 'stretches.vcpus', 'stretches.memory_gib') }}, 0) as own_weight
    from asked
    left join stretches
        on asked.usage_date = stretches.usage_date
        and asked.node_key = stretches.node_key
        and asked.from_second >= stretches.billed_from
        and asked.from_second < stretches.billed_to
    left join {{ ref('int_node_methods') }} as methods on stretches.window_key = methods.window_key

),

running as (

    select
        *,
        sum(own_weight) over (
            partition by usage_date, node_key, from_second, window_key, method order by requester_key rows between unbounded preceding and current row
        ) as weight_so_far,
        sum(own_weight) over (partition by usage_date, node_key, from_second, window_key, method) as weight_of_all
    from weighed

),

cut_down as (

    select
        *,
        case when weight_of_all <= host_weight then {{ wide_int('own_weight') }} * seconds
            else {{ int_div(wide_int('host_weight') ~ ' * seconds * weight_so_far', 'weight_of_all') }}
                - {{ int_div(wide_int('host_weight') ~ ' * seconds * (weight_so_far - own_weight)', 'weight_of_all') }}
        end as weight
    from running

)

select
    usage_date,
    node_key,
    workload_key,
    attempt_key,
    window_key,
    method,
    is_in_force,
    cast(sum(seconds) as bigint) as seconds,
    {{ wide_int('sum(weight)') }} as weight
from cut_down
group by usage_date, node_key, workload_key, attempt_key, window_key, method, is_in_force
