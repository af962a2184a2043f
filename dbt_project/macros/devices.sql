{#- One spelling of a GPU's name: lower case; a PCI bus id without its leading zeros (drivers print the domain with 4 or 8). -#}
{% macro device_name(name) -%}
case when {{ name }} like '%:%:%' then regexp_replace(lower({{ name }}), '^0+', '') else lower({{ name }}) end
{%- endmacro %}

{#- A provider resource's own id, in lower case: the last segment of an ARN-like or URL-like name. -#}
{% macro last_segment(name) -%}
regexp_extract(lower({{ name }}), '[^/]+$')
{%- endmacro %}

{#- The node_key that a published gpu_key begins with. -#}
{% macro node_of_gpu(gpu_key) %}concat({{ dbt.split_part(gpu_key, "'|'", 1) }}, '|', {{ dbt.split_part(gpu_key, "'|'", 2) }}){% endmacro %}

{#- Joins from the intervals `stints` that name GPUs (`gpu_ids`; `elements`: each name by itself) to the rows of `units` of the GPUs that are called so. -#}
{% macro join_named_units(stints, elements, device_names, units) -%}
inner join {{ elements }} as elements on {{ stints }}.gpu_ids = elements.element_source
    inner join {{ device_names }} as device_names
        on {{ stints }}.usage_date = device_names.usage_date
        and {{ stints }}.node_key = device_names.node_key
        and {{ device_name('elements.element') }} = device_names.device_name
    inner join {{ units }} on device_names.usage_date = {{ units }}.usage_date and device_names.gpu_key = {{ units }}.gpu_key
{%- endmacro %}
