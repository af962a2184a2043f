-- Grain: day x node of the inventory: the GPU-seconds that telemetry should tell of and does, what is missing costs, and the seconds
-- in which sources contradict each other.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

days as (

    select * from {{ ref('int_days') }}

),

unit_blocks as (

    select * from {{ ref('int_gpu_unit_blocks') }}

),

claims as (

    select * from {{ ref('int_gpu_claims') }}

),

coverage as (

    select * from {{ ref('int_gpu_coverage') }}
    where holder_label is not null

),

expected as (

    select
        usage_date,
        node_key,
        sum(weight) as expected_weight,
        sum(case when is_covered and not is_filled then weight else 0 end) as observed_weight,
        sum(case when is_covered and is_filled then weight else 0 end) as filled_weight,
        sum(case when is_covered then 0 else weight end) as uncovered_weight,
        sum(case when attempt_key is not null and not is_covered then weight else 0 end) as held_uncovered_weight
    from (

        {{ telemetry_seconds(ref('int_gpu_segments'), ref('int_nodes'), ref('int_gpu_hour_ranks'), ref('int_node_validity')) }}

    ) as telemetry_seconds
    group by usage_date, node_key

),

-- stretches of a unit that an interval holds by name although a label names somebody else, and those that two intervals name
named_stretches as (

    select usage_date, node_key, unit_key, from_second, to_second, min(attempt_key) as attempt_key, max(case when is_contested then 1 else 0 end) as is_contested
    from {{ ref('int_gpu_segments') }}
    where evidence = 'interval'
    group by usage_date, node_key, unit_key, from_second, to_second

),

contradicted as (

    select distinct stretches.usage_date, stretches.node_key, stretches.unit_key, stretches.from_second, stretches.to_second
    from named_stretches as stretches
    inner join claims
        on stretches.usage_date = claims.usage_date
        and stretches.unit_key = claims.unit_key
        and claims.priority = 2
        and stretches.from_second >= claims.from_second
        and stretches.from_second < claims.to_second
        and stretches.attempt_key <> claims.attempt_key

),

-- observed slots under a label that some interval knows, outside all of its intervals
labels_outside as (

    select
        coverage.usage_date,
        coverage.node_key,
        coverage.unit_key,
        coverage.from_second,
        greatest(0, max(coverage.to_second - coverage.from_second) - sum(greatest(
            0, least(coverage.to_second, stints.ended_second) - greatest(coverage.from_second, stints.started_second)
        ))) as label_outside_interval
    from coverage
    inner join {{ ref('int_label_stints') }} as stints
        on coverage.usage_date = stints.usage_date
        and coverage.node_key = stints.node_key
        and coverage.holder_label = stints.holder_label
        and coverage.pod_uid is not distinct from stints.pod_uid
    where not coverage.is_fill
    group by coverage.usage_date, coverage.node_key, coverage.unit_key, coverage.from_second, coverage.holder_label, coverage.pod_uid

),

shared_slots as (

    select details.usage_date, details.node_key, details.unit_key, details.slot_from, max(details.slot_seconds) as slot_seconds
    from {{ ref('int_gpu_details') }} as details
    inner join days on details.usage_date = days.usage_date and details.sampled_second >= days.day_from
    where details.holder_label is not null
    group by details.usage_date, details.node_key, details.unit_key, details.slot_from
    having min(details.holder_label || '|' || coalesce(details.pod_uid, '')) < max(details.holder_label || '|' || coalesce(details.pod_uid, ''))

),

disagreements as (

    select
        usage_date,
        node_key,
        sum(interval_against_label) as interval_against_label,
        sum(two_intervals) as two_intervals,
        sum(label_outside_interval) as label_outside_interval,
        sum(several_labels) as several_labels
    from (
        select usage_date, node_key, to_second - from_second as interval_against_label, 0 as two_intervals, 0 as label_outside_interval, 0 as several_labels
        from contradicted
        union all
        select usage_date, node_key, 0, to_second - from_second, 0, 0 from named_stretches where is_contested = 1
        union all
        select usage_date, node_key, 0, 0, label_outside_interval, 0 from labels_outside
        union all
        select usage_date, node_key, 0, 0, 0, slot_seconds from shared_slots
    ) as kinds
    group by usage_date, node_key

),

-- the first sample under a label, and the start of the last slot that has one, beside the intervals that the label can mean
label_spans as (

    select
        usage_date,
        node_key,
        holder_label,
        pod_uid,
        min(first_sampled_second) as first_second,
        max(block_to - {{ lowest_bit_slots('observed_mask') }} * slot_seconds) as last_second
    from unit_blocks
    where holder_label is not null
    group by usage_date, node_key, holder_label, pod_uid

),

label_stints as (

    select usage_date, node_key, holder_label, pod_uid, min(started_second) as started_second, max(ended_second) as ended_second
    from {{ ref('int_label_stints') }}
    group by usage_date, node_key, holder_label, pod_uid

),

skews as (

    select
        spans.usage_date,
        spans.node_key,
        max(greatest(0, stints.started_second - spans.first_second)) as label_lead_seconds,
        max(greatest(0, spans.last_second - stints.ended_second)) as label_lag_seconds
    from label_spans as spans
    inner join label_stints as stints
        on spans.usage_date = stints.usage_date
        and spans.node_key = stints.node_key
        and spans.holder_label = stints.holder_label
        and spans.pod_uid is not distinct from stints.pod_uid
    group by spans.usage_date, spans.node_key

),

discarded as (

    select unit_blocks.usage_date, unit_blocks.node_key, cast(sum(unit_blocks.discarded_values) as bigint) as discarded_values
    from unit_blocks
    inner join days on unit_blocks.usage_date = days.usage_date and unit_blocks.block_from >= days.day_from
    group by unit_blocks.usage_date, unit_blocks.node_key

),

gaps as (

    select usage_date, node_key, cast(count(*) as bigint) as gap_count, max(gap_seconds) as longest_gap_seconds
    from {{ ref('fct_telemetry_gap') }}
    where usage_date in (select usage_date from days)
    group by usage_date, node_key

),

dollars as (

    -- a GPU's key begins with its node's: host name and resource
    select
        usage_date,
        {{ node_of_gpu('gpu_key') }} as node_key,
        cast(sum(unknown_cost_usd) as decimal(38, 12)) as unknown_cost_usd
    from {{ ref('fct_gpu_utilization') }}
    where usage_date in (select usage_date from days)
    group by usage_date, {{ node_of_gpu('gpu_key') }}

),

final as (

    select
        expected.usage_date,
        expected.node_key,
        nodes.hostname as node,
        nodes.pool,
        nodes.gpu_count,
        {{ gpu_seconds('expected.expected_weight') }} as expected_gpu_seconds,
        {{ gpu_seconds('expected.observed_weight') }} as observed_gpu_seconds,
        {{ gpu_seconds('expected.filled_weight') }} as filled_gpu_seconds,
        {{ gpu_seconds('expected.uncovered_weight') }} as uncovered_gpu_seconds,
        case when expected.expected_weight > 0
            then {{ ratio_of_millionths(int_div('1000000 * ' ~ wide_int('expected.expected_weight - expected.uncovered_weight'), 'expected.expected_weight')) }}
        end as coverage_ratio,
        coalesce(gaps.gap_count, 0) as gap_count,
        coalesce(gaps.longest_gap_seconds, 0) as longest_gap_seconds,
        dollars.unknown_cost_usd,
        coalesce(discarded.discarded_values, 0) as discarded_values,
        cast(coalesce(disagreements.interval_against_label, 0) as bigint) as interval_against_label_seconds,
        cast(coalesce(disagreements.two_intervals, 0) as bigint) as two_intervals_seconds,
        cast(coalesce(disagreements.label_outside_interval, 0) as bigint) as label_outside_interval_seconds,
        cast(coalesce(disagreements.several_labels, 0) as bigint) as several_labels_seconds,
        {{ gpu_seconds('expected.held_uncovered_weight') }} as held_without_samples_gpu_seconds,
        cast(coalesce(skews.label_lead_seconds, 0) as bigint) as label_lead_seconds,
        cast(coalesce(skews.label_lag_seconds, 0) as bigint) as label_lag_seconds
    from expected
    inner join {{ ref('int_nodes') }} as nodes on expected.usage_date = nodes.usage_date and expected.node_key = nodes.node_key
    left join gaps on expected.usage_date = gaps.usage_date and expected.node_key = gaps.node_key
    left join dollars on expected.usage_date = dollars.usage_date and expected.node_key = dollars.node_key
    left join discarded on expected.usage_date = discarded.usage_date and expected.node_key = discarded.node_key
    left join disagreements on expected.usage_date = disagreements.usage_date and expected.node_key = disagreements.node_key
    left join skews on expected.usage_date = skews.usage_date and expected.node_key = skews.node_key

)

select * from final
