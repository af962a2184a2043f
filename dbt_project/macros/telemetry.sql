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
