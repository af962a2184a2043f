{#- What a rate card's entry is for. -#}

{#- A GPU model as words: lower case, letters and digits, one blank between two words, so that A10 is not found in A100. -#}
{% macro model_words(name) -%}
trim({{ replace_every('lower(' ~ name ~ ')', '[^a-z0-9]+', ' ') }})
{%- endmacro %}
