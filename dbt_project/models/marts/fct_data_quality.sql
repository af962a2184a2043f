-- Grain: day x source or node x measure: what was discarded, contradicted or could not be placed. None of it moves a total.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

days as (

    select * from {{ ref('int_days') }}

),

discarded as (

    select blocks.usage_date, blocks.hostname as subject, 'discarded_activity_values' as measure, cast(sum(discarded_values) as bigint) as measured_value
    from {{ ref('int_gpu_blocks') }} as blocks
    -- not the lead-in: the day before has counted it
    inner join days on blocks.usage_date = days.usage_date and blocks.block_from >= days.day_from
    group by blocks.usage_date, blocks.hostname

),

discarded_meters as (

    select blocks.usage_date, blocks.hostname as subject, 'discarded_meter_values' as measure, cast(sum(discarded_meter_values) as bigint) as measured_value
    from {{ ref('int_gpu_blocks') }} as blocks
    inner join days on blocks.usage_date = days.usage_date and blocks.block_from >= days.day_from
    group by blocks.usage_date, blocks.hostname

),

-- series (one rung of one exporter on one host) that are on the other scale than their name says
scales as (

    select
        usage_date,
        source,
        hostname,
        exporter,
        max(case when is_sm_active_percent then 1 else 0 end) + max(case when is_gr_engine_active_percent then 1 else 0 end) as in_percent,
        max(case when is_gpu_util_ratio then 1 else 0 end) as as_ratio,
        max(case when is_gpu_util_scale_unclear then 1 else 0 end) as unclear
    from {{ ref('int_gpu_blocks') }}
    where usage_date in (select usage_date from days)
    group by usage_date, source, hostname, exporter

),

rescaled as (

    select usage_date, hostname as subject, 'metric_in_percent' as measure, cast(sum(in_percent) as bigint) as measured_value from scales group by usage_date, hostname
    union all
    select usage_date, hostname, 'metric_as_ratio', cast(sum(as_ratio) as bigint) from scales group by usage_date, hostname
    union all
    select usage_date, hostname, 'metric_scale_unclear', cast(sum(unclear) as bigint) from scales group by usage_date, hostname

),

sampled as (

    select blocks.usage_date, blocks.source as subject, 'telemetry_samples' as measure, cast(sum(sample_count) as bigint) as measured_value
    from {{ ref('int_gpu_blocks') }} as blocks
    -- not the lead-in: the day before has counted it
    inner join days on blocks.usage_date = days.usage_date and blocks.block_from >= days.day_from
    group by blocks.usage_date, blocks.source

),

unknown_hosts as (

    select distinct usage_date, coalesce(hostname, '(no host name)') as subject, 'telemetry_host_not_in_inventory' as measure, cast(1 as bigint) as measured_value
    from {{ ref('int_gpu_units') }}
    where not is_known_node

),

contested as (

    select usage_date, node_key as subject, 'seconds_named_by_two_intervals' as measure, cast(sum(contested_seconds) as bigint) as measured_value
    from {{ ref('int_gpu_hours') }}
    group by usage_date, node_key

),

mismatched as (

    select usage_date, node_key as subject, 'billed_window_mismatch' as measure, cast(count(distinct window_key) as bigint) as measured_value
    from {{ ref('int_node_billed_stretches') }}
    where is_mismatched
    group by usage_date, node_key

),

surplus as (

    select hours.usage_date, hours.node_key as subject, 'gpus_above_inventory' as measure, cast(count(distinct hours.gpu_key) - max(nodes.gpu_count) as bigint) as measured_value
    from {{ ref('int_gpu_hours') }} as hours
    inner join {{ ref('int_nodes') }} as nodes on hours.usage_date = nodes.usage_date and hours.node_key = nodes.node_key
    group by hours.usage_date, hours.node_key

),

recut_gpus as (

    select distinct usage_date, gpu_key as subject, 'mig_layout_changed_within_the_day' as measure, cast(1 as bigint) as measured_value
    from {{ ref('int_mig_layouts') }}
    where is_recut

),

many_labels as (

    -- at one instant, where no sharing is declared: one of them holds the slot
    select usage_date, node_key as subject, 'several_labels_in_one_slot' as measure, cast(sum(slot_seconds) as bigint) as measured_value
    from (
        select distinct details.usage_date, details.node_key, details.unit_key, details.slot_from, max(details.slot_seconds) as slot_seconds
        from {{ ref('int_gpu_details') }} as details
        inner join days on details.usage_date = days.usage_date and details.slot_from >= days.day_from
        inner join (select distinct usage_date, unit_key from {{ ref('int_gpu_fleet') }} where not is_declared) as undeclared
            on details.usage_date = undeclared.usage_date and details.unit_key = undeclared.unit_key
        group by details.usage_date, details.node_key, details.unit_key, details.slot_from, details.sampled_micros
        having min(details.holder_label) < max(details.holder_label)
    ) as crowded_instants
    group by usage_date, node_key

),

empty_intervals as (

    select days.usage_date, attempts.workload_key as subject, 'interval_without_length' as measure, cast(count(*) as bigint) as measured_value
    from {{ ref('int_workload_attempts') }} as attempts
    inner join days on attempts.started_second >= days.day_from and attempts.started_second < days.day_to
    where attempts.is_empty
    group by days.usage_date, attempts.workload_key

),

-- stints of the day about which sources disagree, or that nothing gives a GPU without labels
told_stints as (

    select
        days.usage_date,
        attempts.workload_key as subject,
        cast(sum(case when attempts.contested_seconds > 0 then 1 else 0 end) as bigint) as contested_stints,
        cast(sum(case when attempts.gpu_ids is null and attempts.gpu_count is null then 1 else 0 end) as bigint) as uncounted_stints
    from {{ ref('int_workload_attempts') }} as attempts
    inner join days on attempts.started_second < days.day_to and attempts.ended_second > days.day_from
    where attempts.hostname is not null
    group by days.usage_date, attempts.workload_key

),

identities as (

    select usage_date, workload_key as subject, 'intervals_told_by_two_sources' as measure, cast(count(*) as bigint) as measured_value
    from {{ ref('int_repeated_stints') }}
    where is_of_the_day
    group by usage_date, workload_key
    union all
    select usage_date, subject, 'jobs_claimed_by_two_runs', contested_stints from told_stints
    union all
    select usage_date, subject, 'intervals_without_gpu_count', uncounted_stints from told_stints

),

collisions as (

    select buckets.usage_date, buckets.source as subject, 'charges_with_tag_collision' as measure, cast(sum(buckets.charge_count) as bigint) as measured_value
    from {{ ref('int_charge_buckets') }} as buckets
    inner join {{ ref('int_tag_sets') }} as tag_sets on buckets.tags = tag_sets.tags and {{ in_era('buckets.usage_date') }}
    where tag_sets.has_collision
    group by buckets.usage_date, buckets.source

),

repair_collisions as (

    select usage_date, source as subject, 'allocations_with_repair_collision' as measure, cast(count(*) as bigint) as measured_value
    from {{ ref('int_bucket_allocations') }}
    where has_repair_collision
    group by usage_date, source

),

quarantined as (

    select usage_date, source as subject, concat('quarantined: ', quarantine_reason) as measure, cast(sum(charge_count) as bigint) as measured_value
    from {{ ref('int_charge_buckets') }}
    where quarantine_reason is not null
    group by usage_date, source, quarantine_reason

),

unreceived as (

    select pools.usage_date, pools.rule_id as subject, 'distribution_pools_without_recipient' as measure, cast(count(*) as bigint) as measured_value
    from {{ ref('int_distribution_pools') }} as pools
    where pools.pool_key not in (select distinct pool_key from {{ ref('int_distribution_shares') }})
    group by pools.usage_date, pools.rule_id

),

-- how an attempt ended, and from when on its work was lost, as far as its words can be read
unread_attempts as (

    select usage_date, workload_key as subject, 'attempts_whose_outcome_is_unknown' as measure, cast(count(*) as bigint) as measured_value
    from {{ ref('int_attempt_outcomes') }}
    where has_unknown_state
    group by usage_date, workload_key
    union all
    select usage_date, workload_key, 'attempts_whose_checkpoint_is_unreadable', cast(count(*) as bigint)
    from {{ ref('int_attempt_outcomes') }}
    where has_unreadable_checkpoint
    group by usage_date, workload_key

),

measures as (

    select * from discarded
    union all
    select * from sampled
    union all
    select * from discarded_meters
    union all
    select * from rescaled
    union all
    select * from unknown_hosts
    union all
    select * from contested
    union all
    select * from mismatched
    union all
    select * from surplus
    union all
    select * from recut_gpus
    union all
    select * from many_labels
    union all
    select * from empty_intervals
    union all
    select * from identities
    union all
    select * from collisions
    union all
    select * from repair_collisions
    union all
    select * from quarantined
    union all
    select * from unreceived
    union all
    select * from unread_attempts

)

select usage_date, subject, measure, measured_value
from measures
where measured_value > 0
