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

{#- Whose label a series bears: a job's before a pod's. NULL where it bears none. -#}
{% macro holder_label(series='') -%}
{%- set of = series ~ '.' if series else '' -%}
case when {{ of }}hpc_job is not null then concat('job/', {{ of }}hpc_job) when {{ of }}pod is not null then concat('pod/', coalesce({{ of }}namespace, ''), '/', {{ of }}pod) end
{%- endmacro %}

{#- How a series names its device; with its MIG instance, its unit. -#}
{% macro device_labels() %}{{ return(['gpu_uuid', 'pci_bus_id', 'gpu_index']) }}{% endmacro %}
{% macro unit_labels() %}{{ return(device_labels() + ['mig_profile', 'mig_instance_id']) }}{% endmacro %}

{#- Whether two relations bear the same labels; a label that both lack is the same. -#}
{% macro same_labels(a, b, labels) -%}
{% for label in labels %}{{ a }}.{{ label }} is not distinct from {{ b }}.{{ label }}{% if not loop.last %} and {% endif %}{% endfor %}
{%- endmacro %}

{#- Whether a sample (with its sampled_second) is one of a block's. -#}
{% macro sample_of_block(samples, blocks, labels) -%}
lower({{ samples }}.hostname) = {{ blocks }}.hostname
        and {{ samples }}.source = {{ blocks }}.source
        and {{ samples }}.slot_seconds = {{ blocks }}.slot_seconds
        and {{ block_start(samples ~ '.sampled_second', samples ~ '.slot_seconds') }} = {{ blocks }}.block_from
        and {{ same_labels(samples, blocks, labels) }}
{%- endmacro %}

{#- Whether a row of int_gpu_block_nodes speaks for a block. -#}
{% macro node_of_block(blocks, block_nodes) -%}
{{ blocks }}.usage_date = {{ block_nodes }}.usage_date
        and {{ blocks }}.hostname = {{ block_nodes }}.hostname
        and {{ blocks }}.block_from = {{ block_nodes }}.block_from
        and {{ blocks }}.block_from + 60 * {{ blocks }}.slot_seconds = {{ block_nodes }}.block_to
{%- endmacro %}

{#- The days of a relation of days, with their first and last second (half open) since 1970. -#}
{% macro bounded_days(days) -%}
select
        usage_date,
        {{ epoch_seconds('cast(usage_date as timestamp)') }} as day_from,
        {{ epoch_seconds('cast(usage_date as timestamp)') }} + 86400 as day_to
    from {{ days }}
{%- endmacro %}

{#- Whether a sample may lie in a block of one of the days (a CTE `days`), or of the evening before. -#}
{% macro sampled_for_days() -%}
sampled_at >= (select min(cast(usage_date as timestamp)) - interval '2 hours' from days)
        and sampled_at < (select max(cast(usage_date as timestamp)) + interval '1 day' from days)
{%- endmacro %}

{#- Whether a block is a day's own, or one from whose end may be filled into it. -#}
{% macro block_of_day(blocks, days) -%}
{{ blocks }}.block_from + 60 * {{ blocks }}.slot_seconds > {{ days }}.day_from - {{ parameter('max_gap_seconds') }} and {{ blocks }}.block_from < {{ days }}.day_to
{%- endmacro %}

{#- What a group has alike, or that it has several: an aggregate. -#}
{% macro one_or_mixed(column) %}case when min({{ column }}) < max({{ column }}) then 'mixed' else min({{ column }}) end{% endmacro %}
