{#- A Slurm job of a label that may name one of its steps: `1203.0`, `1200_3.batch` -> `1203`, `1200_3`. -#}
{% macro job_of_step(name) %}regexp_replace({{ name }}, '[.](batch|extern|interactive|[0-9]+)$', ''){% endmacro %}
