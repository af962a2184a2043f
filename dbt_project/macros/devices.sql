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
