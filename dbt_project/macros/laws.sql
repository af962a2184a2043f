{#- How a law compares the sums of two relations. Does not belong here: what has to be equal. -#}

{#- Whether any of the columns is not the same on both sides; NULL is the same as NULL only. -#}
{% macro differs(one, two, columns) -%}
({% for column in columns %}{{ one }}.{{ column }} is distinct from {{ two }}.{{ column }}{{ ' or ' if not loop.last }}{% endfor %})
{%- endmacro %}

{#- Sums by their columns' names. `called`: what a column is called in the relation, where it is called otherwise. -#}
{% macro sums_of(columns, called={}) -%}
{% for column in columns %}sum({{ called.get(column, column) }}) as {{ column }}{{ ', ' if not loop.last }}{% endfor %}
{%- endmacro %}
