{#- How a night replaces tables and days. -#}

{#- Scratch of the night: built in place by one statement. dbt's own `table` and `view` build beside, rename twice and drop, for readers
    who look meanwhile; nobody reads the scratch, and a night that breaks off builds all of it again. -#}
{% materialization scratch_table, default -%}
  {{ return(build_in_place(this.incorporate(type='table'), 'table')) }}
{%- endmaterialization %}

{% materialization scratch_view, default -%}
  {{ return(build_in_place(this.incorporate(type='view'), 'view')) }}
{%- endmaterialization %}

{% macro build_in_place(target, kind) -%}
  {%- set existing = load_cached_relation(target) -%}
  {%- if existing is not none and existing.type != kind -%}
    {%- do adapter.drop_relation(existing) -%}
  {%- endif -%}
  {{ run_hooks(pre_hooks) }}
  {% call statement('main') -%}
    create or replace {{ kind }} {{ target }} as ({{ model['compiled_code'] }}
    )
  {%- endcall %}
  {{ run_hooks(post_hooks) }}
  {{ adapter.commit() }}
  {{ return({'relations': [target]}) }}
{%- endmacro %}


{#- incremental_strategy='replace_days': in one transaction, every row of the night's days goes and the new rows come, also
    when a day has no row any more. -#}
{% macro get_incremental_replace_days_sql(arg_dict) -%}
  {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
  delete from {{ arg_dict['target_relation'] }}
  where usage_date in (select usage_date from {{ source('ops', config.get('meta', {}).get('days', 'dirty_days')) }});
  insert into {{ arg_dict['target_relation'] }} ({{ columns }})
  (select {{ columns }} from {{ arg_dict['temp_relation'] }})
{%- endmacro %}

{#- The union of every staging model of a fact: models/staging/<kind>/stg_<kind>__<fact>.sql. `apportion` finds them by that
    name and passes them in, so that a new source edits no model here. -#}
{% macro staged(fact, columns) -%}
  {%- set names = env_var('APPORTION_STAGED_' ~ fact | upper, '') -%}
  {%- if not names -%}
    {{ exceptions.raise_compiler_error('no staging model named for the fact ' ~ fact ~ ': run dbt through `apportion dbt ...`, which lists them') }}
  {%- endif -%}
  {%- for name in names.split(',') %}
  select {{ columns | join(', ') }} from {{ ref(name) }}
  {%- if not loop.last %} union all {% endif %}
  {%- endfor %}
{%- endmacro %}

{#- A number from the policy file (attribution: section). -#}
{% macro parameter(name, type='bigint') -%}
(select cast(parameter_value as {{ type }}) from {{ source('policy', 'parameters') }} where parameter_name = '{{ name }}')
{%- endmacro %}
