-- Law of time: the weights of a billing window (parts of a GPU x seconds x millionths) sum to its GPUs x billed seconds exactly, with as
-- many GPUs as the node has in each second: every billed GPU-second is in one class, once.
with

classed as (

    select window_key, sum(weight) as weight
    from {{ ref('int_gpu_window_classes') }}
    group by window_key

),

billed as (

    select
        window_key,
        sum(billed_to - billed_from + unplaced_seconds) as billed_seconds,
        sum(gpu_count * (billed_to - billed_from + unplaced_seconds)) as gpu_seconds
    from {{ ref('int_node_billed_stretches') }}
    group by window_key

)

select windows.window_key, windows.usage_date, windows.node_key, classed.weight, billed.gpu_seconds, windows.billed_seconds
from {{ ref('int_node_windows') }} as windows
full outer join classed on windows.window_key = classed.window_key
left join billed on windows.window_key = billed.window_key
where windows.window_key is null
    or coalesce(billed.billed_seconds, 0) <> windows.billed_seconds
    or coalesce(classed.weight, 0) <> {{ wide_int(gpu_parts()) }} * coalesce(billed.gpu_seconds, 0) * 1000000
