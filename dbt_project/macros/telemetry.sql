{#- Whose label it is: `exported_*` where the scrape kept the exporter's own labels apart; a plain label only if it is not the
    exporter's own pod (the exporter is never a cost owner). -#}
{% macro workload_label(name) -%}
coalesce(
  nullif(exported_{{ name }}, ''),
  case
    when lower(coalesce(container, '')) in ('exporter', 'dcgm-exporter', 'nvidia-dcgm-exporter') or lower(coalesce(pod, '')) like '%dcgm-exporter%' then null
    else nullif({{ name }}, '')
  end)
{%- endmacro %}

{#- The seconds that telemetry should tell of: segments of the inventory's GPUs within the validity of their node (all day where it has
    none), as (node, GPU, holder, from, to, is_covered, is_filled, weight = parts of a GPU x seconds). Slices outside any MIG instance
    have no telemetry of their own; GPUs above the inventory's count are one device told under two names. -#}
{% macro telemetry_seconds() -%}
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
        from {{ ref('int_gpu_segments') }} as segments
        inner join {{ ref('int_nodes') }} as nodes on segments.usage_date = nodes.usage_date and segments.node_key = nodes.node_key
        inner join {{ ref('int_gpu_hour_ranks') }} as ranks
            on segments.usage_date = ranks.usage_date
            and segments.node_key = ranks.node_key
            and segments.hour_from = ranks.hour_from
            and segments.gpu_key = ranks.gpu_key
            and ranks.gpu_rank <= nodes.gpu_count
        left join {{ ref('int_node_validity') }} as validity
            on segments.usage_date = validity.usage_date and segments.node_key = validity.node_key
        where not segments.is_remainder
            and (
                validity.node_key is null
                or (segments.from_second < validity.to_second and segments.to_second > validity.from_second)
            )
{%- endmacro %}

{#- The effective cost of the compute charges of each billing window. -#}
{% macro gpu_window_costs() -%}
select windows.window_key, cast(sum(buckets.effective_cost) as decimal(38, 12)) as effective_cost
    from {{ ref('int_node_windows') }} as windows
    inner join {{ ref('int_bucket_nodes') }} as bucket_nodes
        on windows.usage_date = bucket_nodes.usage_date
        and windows.node_key = bucket_nodes.node_key
        and windows.window_from = bucket_nodes.window_from
        and windows.window_to = bucket_nodes.window_to
        and bucket_nodes.compute_kind is not null
    inner join {{ ref('int_charge_buckets') }} as buckets
        on bucket_nodes.usage_date = buckets.usage_date and bucket_nodes.bucket_key = buckets.bucket_key
    group by windows.window_key
{%- endmacro %}
