{#- Relations that several marts about GPUs read. They are handed in: what a macro names itself, explain would need too. -#}

{#- The seconds that telemetry should tell of: segments of the inventory's GPUs within the validity of their node (all day where it has
    none), as (node, GPU, holder, from, to, is_covered, is_filled, weight = parts of a GPU x seconds). Slices outside any MIG instance
    have no telemetry of their own; GPUs above the inventory's count are one device told under two names. -#}
{% macro telemetry_seconds(segments, nodes, ranks, validity) -%}
select
            segments.usage_date,
            segments.node_key,
            segments.gpu_key,
            segments.attempt_key,
            segments.is_covered,
            segments.is_filled,
            greatest(segments.from_second, coalesce(validity.from_second, segments.from_second)) as from_second,
            least(segments.to_second, coalesce(validity.to_second, segments.to_second)) as to_second,
            segments.unit_share * (
                least(segments.to_second, coalesce(validity.to_second, segments.to_second))
                - greatest(segments.from_second, coalesce(validity.from_second, segments.from_second))
            ) as weight
        from {{ segments }} as segments
        inner join {{ nodes }} as nodes on segments.usage_date = nodes.usage_date and segments.node_key = nodes.node_key
        inner join {{ ranks }} as ranks
            on segments.usage_date = ranks.usage_date
            and segments.node_key = ranks.node_key
            and segments.hour_from = ranks.hour_from
            and segments.gpu_key = ranks.gpu_key
            and ranks.gpu_rank <= nodes.gpu_count
        left join {{ validity }} as validity
            on segments.usage_date = validity.usage_date and segments.node_key = validity.node_key
        where not segments.is_remainder
            and (
                validity.node_key is null
                or (segments.from_second < validity.to_second and segments.to_second > validity.from_second)
            )
{%- endmacro %}

{#- The effective cost of the compute charges of each billing window. -#}
{% macro gpu_window_costs(windows, bucket_nodes, buckets) -%}
select windows.window_key, cast(sum(buckets.effective_cost) as decimal(38, 12)) as effective_cost
    from {{ windows }} as windows
    inner join {{ bucket_nodes }} as bucket_nodes
        on windows.usage_date = bucket_nodes.usage_date
        and windows.node_key = bucket_nodes.node_key
        and windows.window_from = bucket_nodes.window_from
        and windows.window_to = bucket_nodes.window_to
        and bucket_nodes.compute_kind is not null
    inner join {{ buckets }} as buckets
        on bucket_nodes.usage_date = buckets.usage_date and bucket_nodes.bucket_key = buckets.bucket_key
    group by windows.window_key
{%- endmacro %}
