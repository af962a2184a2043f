-- Grain: day x node x hour x GPU: its rank by evidence, so that GPUs above the inventory's count (a device told under two names) can
-- be left out.
with

segments as (

    select * from {{ ref('int_gpu_segments') }}

),

gpu_evidence as (

    select
        usage_date, node_key, hour_from, gpu_key,
        sum(case when is_covered then unit_share * (to_second - from_second) else 0 end) as covered_weight,
        sum(case when attempt_key is not null then unit_share * (to_second - from_second) else 0 end) as held_weight
    from segments
    group by usage_date, node_key, hour_from, gpu_key

),

ranked as (

    select
        *,
        row_number() over (partition by usage_date, node_key, hour_from order by covered_weight desc, held_weight desc, gpu_key) as gpu_rank
    from gpu_evidence

)

select usage_date, node_key, hour_from, gpu_key, gpu_rank from ranked
