{#- The value of the latest stint that has one; ties go to the larger value, so that order of arrival cannot matter. -#}
{% macro latest_filled(column) -%}
max_by({{ column }}, case when {{ column }} is not null then lpad(cast(started_second as {{ dbt.type_string() }}), 12, '0') || {{ column }} end)
{%- endmacro %}
