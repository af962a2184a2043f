{#- A tag's key without the decorations that the exports put on it: `resourceTags/`, `user:`, `user_`, `k8s-label/`; lower case,
    every other character than letters and digits becomes `_`. -#}
{% macro normalised_tag_key(key) -%}
{{ replace_every("regexp_replace(lower(trim(" ~ key ~ ")), '^(resourcetags/|userattribute/|accounttag/)?(user[:_]|k8s-label/|aws:tag:)?', '')", '[^a-z0-9]+', '_') }}
{%- endmacro %}

{#- Whose an allocated row is (relations allocated, workload_tags, nodes, buckets): its workload's, else its node's owner where it has no workload,
    else what the charge's own tags say. -#}
{% macro owned(key) -%}
coalesce(workload_tags.{{ key }}, case when allocated.workload_key is null then nodes.{{ key }} end, buckets.{{ key }})
{%- endmacro %}
