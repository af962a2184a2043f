-- Law of time: the weights of a billing window (parts of a GPU x seconds x millionths) sum to its GPUs x billed seconds
-- exactly: every billed GPU-second is in one class, once.
with

classed as (

    select window_key, sum(weight) as weight
    from {{ ref('int_gpu_window_classes') }}
    group by window_key

)

select windows.window_key, windows.usage_date, windows.node_key, classed.weight, windows.gpu_count, windows.billed_seconds
from {{ ref('int_node_windows') }} as windows
full outer join classed on windows.window_key = classed.window_key
where windows.window_key is null
    or coalesce(classed.weight, 0) <> {{ wide_int(gpu_parts()) }} * windows.gpu_count * windows.billed_seconds * 1000000
