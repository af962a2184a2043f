{#- Dated rates: how long one holds, and what a rate card's entry is for. -#}

{#- The end of a rate, as a date: its own, else the day on which the next of the same `key` begins. -#}
{% macro held_until(key) -%}
coalesce(cast(valid_to as date), lead(cast(valid_from as date)) over (partition by {{ key }} order by valid_from, _source, _file, _row))
{%- endmacro %}

{#- A GPU model as words: lower case, letters and digits, one blank between two words, so that A10 is not found in A100. -#}
{% macro model_words(name) -%}
trim({{ replace_every('lower(' ~ name ~ ')', '[^a-z0-9]+', ' ') }})
{%- endmacro %}
