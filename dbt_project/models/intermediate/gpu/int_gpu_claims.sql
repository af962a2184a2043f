-- Grain: day x unit x stretch of time that somebody claims, with the evidence's priority: 1 the interval names the GPU, 2 a label
-- on the sample, 3 the interval has a count and its label chose the GPU, 4 the interval's count is all of the node. Where it asks for less
-- than the GPUs it has, `requested_count` (a fraction) and `requested_gpus` say what it wants of each.
with

fleet as (

    select distinct usage_date, node_key, gpu_key, unit_key, is_declared from {{ ref('int_gpu_fleet') }}
    where not is_remainder

),

gpu_ids as (

    select distinct element_source, element from {{ json_elements(ref('int_workload_attempts'), 'gpu_ids') }} as gpu_id_elements

),

stints as (

    select usage_date, node_key, stint_key, attempt_key, workload_key, gpu_ids, gpu_count, started_second, ended_second, from_second, to_second
    from {{ ref('int_stints') }}
    where node_key is not null and from_second < to_second

),

named as (

    select stints.usage_date, stints.node_key, fleet.unit_key, stints.from_second, stints.to_second, stints.stint_key, stints.attempt_key,
        stints.workload_key, stints.started_second, 1 as priority, 'interval' as evidence
    from stints
    {{ join_named_units('stints', 'gpu_ids', ref('int_gpu_device_names'), 'fleet') }}

),

labelled as (

    -- one label at a time, unless sharing is declared
    select coverage.usage_date, coverage.node_key, coverage.unit_key, coverage.holder_label, coverage.pod_uid, coverage.from_second, coverage.to_second
    from {{ ref('int_gpu_coverage') }} as coverage
    left join (select usage_date, unit_key from fleet where is_declared) as declared
        on coverage.usage_date = declared.usage_date and coverage.unit_key = declared.unit_key
    where coverage.holder_label is not null and declared.unit_key is null
    union all
    select usage_date, node_key, unit_key, holder_label, pod_uid, from_second, to_second
    from {{ ref('int_gpu_label_coverage') }}

),

label_stints as (

    select * from {{ ref('int_label_stints') }}

),

by_label as (

    -- a label holds only inside its own interval; one that nobody knows holds by itself
    select
        labelled.usage_date,
        labelled.node_key,
        labelled.unit_key,
        greatest(labelled.from_second, coalesce(label_stints.started_second, 0)) as from_second,
        least(labelled.to_second, coalesce(label_stints.ended_second, 9223372036)) as to_second,
        label_stints.stint_key,
        coalesce(label_stints.attempt_key, concat('unregistered/', labelled.holder_label)) as attempt_key,
        coalesce(label_stints.workload_key, concat('unregistered/', labelled.holder_label)) as workload_key,
        coalesce(label_stints.started_second, 0) as started_second,
        2 as priority,
        'label' as evidence
    from labelled
    left join label_stints
        on labelled.usage_date = label_stints.usage_date
        and labelled.node_key = label_stints.node_key
        and labelled.holder_label = label_stints.holder_label
        and labelled.pod_uid is not distinct from label_stints.pod_uid

),

valid_by_label as (

    select * from by_label
    where from_second < to_second

),

label_seconds as (

    select usage_date, node_key, unit_key, stint_key, sum(to_second - from_second) as seconds
    from valid_by_label
    where stint_key is not null
    group by usage_date, node_key, unit_key, stint_key

),

chosen_units as (

    select *, row_number() over (partition by usage_date, node_key, stint_key order by seconds desc, unit_key) as choice
    from label_seconds

),

label_chosen as (

    select stints.usage_date, stints.node_key, chosen_units.unit_key, stints.from_second, stints.to_second, stints.stint_key, stints.attempt_key,
        stints.workload_key, stints.started_second, 3 as priority, 'label_chosen' as evidence
    from stints
    inner join chosen_units
        on stints.usage_date = chosen_units.usage_date
        and stints.node_key = chosen_units.node_key
        and stints.stint_key = chosen_units.stint_key
        and chosen_units.choice < stints.gpu_count + 1
    where stints.gpu_ids is null

),

labelled_stints as (

    select distinct usage_date, node_key, stint_key from label_seconds

),

-- the most GPUs that the node has while the stint runs
stint_sizes as (

    select stints.usage_date, stints.node_key, stints.stint_key, max(sizes.gpu_count) as gpu_count
    from stints
    inner join {{ ref('int_node_sizes') }} as sizes
        on stints.usage_date = sizes.usage_date
        and stints.node_key = sizes.node_key
        and stints.from_second < sizes.to_second
        and stints.to_second > sizes.from_second
    group by stints.usage_date, stints.node_key, stints.stint_key

),

counted as (

    select stints.*, stint_sizes.gpu_count as node_gpu_count
    from stints
    inner join stint_sizes
        on stints.usage_date = stint_sizes.usage_date and stints.node_key = stint_sizes.node_key and stints.stint_key = stint_sizes.stint_key
    left join labelled_stints
        on stints.usage_date = labelled_stints.usage_date
        and stints.node_key = labelled_stints.node_key
        and stints.stint_key = labelled_stints.stint_key
    where stints.gpu_ids is null and stints.gpu_count > 0 and labelled_stints.stint_key is null

),

whole_node as (

    select counted.usage_date, counted.node_key, fleet.unit_key, counted.from_second, counted.to_second, counted.stint_key, counted.attempt_key,
        counted.workload_key, counted.started_second, 4 as priority, 'whole_node' as evidence
    from counted
    inner join fleet on counted.usage_date = fleet.usage_date and counted.node_key = fleet.node_key
    where counted.gpu_count >= counted.node_gpu_count

),

from_pool as (

    -- no unit yet: the segments model takes them from what is free
    select usage_date, node_key, cast(null as {{ dbt.type_string() }}) as unit_key, from_second, to_second, stint_key, attempt_key,
        workload_key, started_second, 5 as priority, 'count_only' as evidence
    from counted
    where gpu_count < node_gpu_count

),

named_counts as (

    select element_source as gpu_ids, count(*) as named_gpus from gpu_ids group by element_source

),

fractions as (

    -- a count that is not whole, or less than the GPUs that the interval names
    select stints.usage_date, stints.stint_key, stints.gpu_count, coalesce(named_counts.named_gpus, cast(-floor(-stints.gpu_count) as bigint)) as requested_gpus
    from (select distinct usage_date, stint_key, gpu_ids, gpu_count from stints where gpu_count > 0) as stints
    left join named_counts on stints.gpu_ids = named_counts.gpu_ids
    where stints.gpu_count <> floor(stints.gpu_count) or stints.gpu_count < named_counts.named_gpus

),

claims as (

    select * from named
    union all
    select * from valid_by_label
    union all
    select * from label_chosen
    union all
    select * from whole_node
    union all
    select * from from_pool

)

select claims.*, fractions.gpu_count as requested_count, fractions.requested_gpus
from claims
left join fractions on claims.usage_date = fractions.usage_date and claims.stint_key = fractions.stint_key and claims.priority <= 3
