-- Grain: billing window x workload attempt x cost class x component x reason (x sharing): the weight with which each charge of the window's
-- compute is allocated, under the method in force (docs/node-split.md). The GPU part goes by GPU-seconds, on a node of several GPU models by
-- what the price list says of each; of the host part attempts without GPU take what they asked for, the rest inherits the classes of the
-- GPU-seconds. All of it is whole numbers: (parts of a GPU x seconds x millionths) x weight-seconds.
with

{{ priced_classes(ref('int_node_methods'), ref('int_gpu_device_names'), ref('int_gpu_window_classes')) }},

methods as (

    select * from node_methods
    where is_in_force

),

window_classes as (

    select
        window_key,
        workload_key,
        attempt_key,
        cost_class,
        reason,
        {{ one_or_mixed('evidence') }} as evidence,
        {{ one_or_mixed('activity_rung') }} as activity_rung,
        sharing,
        is_unmeasured,
        sum(rung_coverage_weight) as rung_coverage_weight,
        sum(weight) as weight,
        sum(priced_weight) as priced_weight
    from priced_classes
    group by window_key, workload_key, attempt_key, cost_class, reason, sharing, is_unmeasured

),

cpu_only as (

    select * from {{ ref('int_cpu_only_weights') }}
    where window_key is not null and is_in_force

),

parts as (

    select methods.*, methods.host_weight - coalesce(taken.weight, 0) as inherited_weight
    from methods
    left join (select window_key, {{ wide_int('sum(weight)') }} as weight from cpu_only group by window_key) as taken
        on methods.window_key = taken.window_key

),

components as (

    select *, 'gpu' as component, gpu_weight as component_weight from parts
    union all
    select *, 'host', inherited_weight from parts
    where inherited_weight > 0

),

by_gpu_seconds as (

    select
        window_classes.window_key,
        window_classes.workload_key,
        window_classes.attempt_key,
        window_classes.cost_class,
        components.component,
        window_classes.reason,
        window_classes.evidence,
        components.method_id,
        window_classes.activity_rung,
        window_classes.sharing,
        window_classes.is_unmeasured,
        {{ ratio_of_millionths(int_div(wide_int('window_classes.rung_coverage_weight'), wide_int('window_classes.weight'))) }} as activity_coverage_ratio,
        case when components.component = 'gpu' and components.is_mixed then {{ wide_int('window_classes.priced_weight') }} * components.gpu_seconds
            else {{ wide_int('window_classes.weight') }} * components.component_weight end as weight,
        case when components.component = 'gpu' then {{ wide_int('window_classes.weight') }} end as gpu_second_weight
    from window_classes
    inner join components on window_classes.window_key = components.window_key

),

window_weights as (

    select window_key, {{ wide_int('sum(weight)') }} as weight
    from window_classes
    group by window_key

),

by_request as (

    select
        cpu_only.window_key,
        cpu_only.workload_key,
        cpu_only.attempt_key,
        'not_measured' as cost_class,
        'host' as component,
        cast(null as {{ dbt.type_string() }}) as reason,
        'cpu_request' as evidence,
        parts.method_id,
        cast(null as {{ dbt.type_string() }}) as activity_rung,
        {{ not_shared() }},
        cpu_only.weight * window_weights.weight as weight,
        cast(null as bigint) as gpu_second_weight
    from cpu_only
    inner join parts on cpu_only.window_key = parts.window_key
    inner join window_weights on cpu_only.window_key = window_weights.window_key

),

shares as (

    select * from by_gpu_seconds
    union all
    -- 0 where the method has no host part: the ledger says that they were there
    select * from by_request

)

select * from shares
