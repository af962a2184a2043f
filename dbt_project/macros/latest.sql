{#- The value of the latest stint that has one; ties go to the larger value, so that order of arrival cannot matter. -#}
{% macro latest_filled(column) -%}
max_by({{ column }}, case when {{ column }} is not null then lpad(cast(started_second as {{ dbt.type_string() }}), 12, '0') || {{ column }} end)
{%- endmacro %}

{#- Which telling of one stint of a workload it is, 1 the best: one with an end wins over one without, a later end over an earlier one. -#}
{% macro telling_of_stint() -%}
row_number() over (
            partition by workload_type, workload_id, attempt_id, hostname, started_at
            order by case when ended_at is null then 1 else 0 end, ended_at desc, source, state, labels, gpu_ids
        )
{%- endmacro %}

{#- When a Kubernetes object was seen, as one text that is ordered by time, then by the object's version. -#}
{% macro seen_key() -%}
concat(
            lpad(cast(coalesce({{ epoch_micros('observed_at') }}, 0) as {{ dbt.type_string() }}), 20, '0'),
            lpad(cast(coalesce(resource_version, 0) as {{ dbt.type_string() }}), 20, '0'),
            _delivery_id,
            lpad(cast(_row as {{ dbt.type_string() }}), 12, '0')
        )
{%- endmacro %}

{#- How recently it was seen, 1 the latest. -#}
{% macro recency_of(key) -%}
row_number() over (
            partition by _source, {{ key }} order by case when observed_at is null then 1 else 0 end, observed_at desc, resource_version desc, _delivery_id, _row desc
        )
{%- endmacro %}
