-- Grain: day x unit that attribution knows of x stretch in which it is there: seen by telemetry, named by an interval or by the inventory, or
-- only counted by the inventory (then it is a numbered stand-in, and its time is unknown). What the MIG instances of a GPU leave of it
-- are units of their own. `is_declared`: the policy, else the inventory, says that several holders share the unit, and how.
with

days as (

    select * from {{ ref('int_days') }}

),

nodes as (

    select * from {{ ref('int_nodes') }}

),

layouts as (

    select * from {{ ref('int_mig_layouts') }}

),

observed_gpus as (

    select distinct usage_date, node_key, gpu_key from {{ ref('int_gpu_units') }}

),

named_gpus as (

    select usage_date, node_key, gpu_key from observed_gpus
    union
    select usage_date, node_key, gpu_key from {{ ref('int_gpu_device_names') }}

),

known_counts as (

    select usage_date, node_key, count(distinct gpu_key) as known_gpus
    from named_gpus
    group by usage_date, node_key

),

missing_gpus as (

    select
        nodes.usage_date,
        nodes.node_key,
        concat(nodes.node_key, '|unseen-', cast(slots.slot_number + 1 as {{ dbt.type_string() }})) as gpu_key
    from nodes
    left join known_counts on nodes.usage_date = known_counts.usage_date and nodes.node_key = known_counts.node_key
    inner join {{ ref('int_slot_numbers') }} as slots on slots.slot_number < nodes.gpu_count - coalesce(known_counts.known_gpus, 0)

),

whole_gpus as (

    select named_gpus.*
    from named_gpus
    left join (select distinct usage_date, gpu_key from layouts) as mig_gpus
        on named_gpus.usage_date = mig_gpus.usage_date and named_gpus.gpu_key = mig_gpus.gpu_key
    where mig_gpus.gpu_key is null
    union all
    select * from missing_gpus

),

units as (

    select
        whole_gpus.usage_date, whole_gpus.node_key, whole_gpus.gpu_key, whole_gpus.gpu_key as unit_key, {{ gpu_parts() }} as unit_share,
        false as is_remainder, cast(null as {{ dbt.type_string() }}) as segment_reason, days.day_from as from_second, days.day_to as to_second
    from whole_gpus
    inner join days on whole_gpus.usage_date = days.usage_date
    union all
    select usage_date, node_key, gpu_key, unit_key, unit_share, is_remainder, segment_reason, from_second, to_second
    from layouts

),

rule_choices as (

    -- the first rule of the policy that matches the node on the day
    select
        placed.usage_date, placed.node_key, rules.strategy, rules.replicas, rules.split,
        row_number() over (partition by placed.usage_date, placed.node_key order by rules.rule_rank) as choice
    from (select distinct usage_date, node_key from units) as placed
    left join nodes on placed.usage_date = nodes.usage_date and placed.node_key = nodes.node_key
    inner join {{ source('policy', 'gpu_sharing_rules') }} as rules
        on (rules.pool is null or rules.pool = nodes.pool)
        and (rules.hostname is null or rules.hostname = coalesce(nodes.hostname, {{ dbt.split_part('placed.node_key', "'|'", 1) }}))
        and (rules.valid_from is null or rules.valid_from <= placed.usage_date)
        and (rules.valid_to is null or rules.valid_to > placed.usage_date)

),

declarations as (

    select usage_date, node_key, strategy, replicas, split from rule_choices
    where choice = 1 and strategy <> 'none'
    union all
    select nodes.usage_date, nodes.node_key, nodes.gpu_sharing, nodes.gpu_replicas, 'evenly'
    from nodes
    left join rule_choices on nodes.usage_date = rule_choices.usage_date and nodes.node_key = rule_choices.node_key
    where rule_choices.node_key is null and nodes.gpu_sharing in ('time_slicing', 'mps', 'vgpu')

),

fleet as (

    select
        units.*,
        declarations.strategy is not null and not units.is_remainder as is_declared,
        case
            when declarations.strategy is not null and not units.is_remainder then declarations.strategy
            when units.unit_key <> units.gpu_key then 'mig'
            else 'none'
        end as sharing,
        declarations.replicas,
        declarations.split
    from units
    left join declarations on units.usage_date = declarations.usage_date and units.node_key = declarations.node_key

)

select * from fleet
