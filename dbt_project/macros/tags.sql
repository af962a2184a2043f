{#- A tag's key without the decorations that the exports put on it: `resourceTags/`, `user:`, `user_`, `k8s-label/`; lower case,
    every other character than letters and digits becomes `_`. -#}
{% macro normalised_tag_key(key) -%}
regexp_replace(regexp_replace(lower(trim({{ key }})), '^(resourcetags/|userattribute/|accounttag/)?(user[:_]|k8s-label/|aws:tag:)?', ''), '[^a-z0-9]+', '_', 'g')
{%- endmacro %}

{#- A tag's value as written, without outer blanks, in one Unicode form. -#}
{% macro normalised_tag_value(value) %}{{ return(adapter.dispatch('normalised_tag_value', 'apportion')(value)) }}{% endmacro %}
{% macro default__normalised_tag_value(value) %}trim(normalize({{ value }}, nfc)){% endmacro %}
{% macro duckdb__normalised_tag_value(value) %}trim(nfc_normalize({{ value }})){% endmacro %}
