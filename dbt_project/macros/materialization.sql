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
  {%- do make_room(target, kind) -%}
  {{ run_hooks(pre_hooks) }}
  {% call statement('main') -%}
    create or replace {{ kind }} {{ target }} as ({{ model['compiled_code'] }}
    )
  {%- endcall %}
  {{ run_hooks(post_hooks) }}
  {{ adapter.commit() }}
  {{ return({'relations': [target]}) }}
{%- endmacro %}

{#- Where a relation of another kind has the name, it goes. -#}
{% macro make_room(target, kind) -%}
  {%- set existing = load_cached_relation(target) -%}
  {%- if existing is not none and existing.type != kind -%}
    {%- do adapter.drop_relation(existing) -%}
  {%- endif -%}
{%- endmacro %}


{#- The warehouse's tables. dbt-duckdb's own `table` and `incremental` build beside and swap, for readers who look meanwhile, and ask the
    engine for the columns of each table up to ten times; that was a third of a small night. Nobody reads the warehouse of a night, and a
    transaction that fails leaves the table as it was: these build in place, ask once, and hold the same contracts. -#}
{% materialization table, adapter='duckdb' -%}
  {%- set target = this.incorporate(type='table') -%}
  {{ run_hooks(pre_hooks) }}
  {%- do build_whole(target) -%}
  {%- do write_comments(target) -%}
  {{ run_hooks(post_hooks) }}
  {{ adapter.commit() }}
  {{ return({'relations': [target]}) }}
{%- endmaterialization %}

{% materialization incremental, adapter='duckdb' -%}
  {%- set target = this.incorporate(type='table') -%}
  {%- set standing = load_cached_relation(this) -%}
  {{ run_hooks(pre_hooks) }}
  {%- if standing is none or standing.type != 'table' or should_full_refresh() -%}
    {%- do build_whole(target) -%}
  {%- else -%}
    {%- do build_days(target, standing) -%}
  {%- endif -%}
  {%- do write_comments(target) -%}
  {{ run_hooks(post_hooks) }}
  {{ adapter.commit() }}
  {{ return({'relations': [target]}) }}
{%- endmaterialization %}

{% macro build_whole(target) -%}
  {%- set query = model['compiled_code'] -%}
  {%- do make_room(target, 'table') -%}
  {%- if config.get('contract').enforced -%}
    {%- do hold_contract(adapter.get_column_schema_from_query(query), query) -%}
    {% call statement('main') -%}
      create or replace table {{ target }} {{ get_table_columns_and_constraints() }};
      insert into {{ target }} {{ get_column_names() }} ({{ get_select_subquery(query) }})
    {%- endcall %}
  {%- else -%}
    {% call statement('main') -%}
      create or replace table {{ target }} as ({{ query }}
      )
    {%- endcall %}
  {%- endif -%}
{%- endmacro %}

{#- The night's rows first, as the query gives them, then into the table by the model's strategy. -#}
{% macro build_days(target, standing) -%}
  {%- set query = model['compiled_code'] -%}
  {%- set fresh = api.Relation.create(identifier=target.identifier ~ '__fresh', type='table') -%}
  {% call statement('fresh', auto_begin=False) -%}
    create or replace temporary table {{ fresh }} as ({{ query }}
    )
  {%- endcall %}
  {%- set found = adapter.get_column_schema_from_query('select * from ' ~ fresh) -%}
  {%- if config.get('contract').enforced -%}
    {%- do hold_contract(found, query) -%}
  {%- endif -%}
  {%- set strategy = adapter.get_incremental_strategy_macro(context, config.get('incremental_strategy') or 'default') -%}
  {%- set columns = columns_to_fill(found, fresh, standing) -%}
  {% call statement('main') -%}
    {{ strategy({'target_relation': target, 'temp_relation': fresh, 'unique_key': none, 'dest_columns': columns, 'incremental_predicates': none}) }};
    drop table {{ fresh }}
  {%- endcall %}
{%- endmacro %}

{#- Stop where the columns of a query's rows are not the contract's. Equal spellings need no more; whatever else is judged by dbt's own check, of the
    model's query, which also says what differs. -#}
{% macro hold_contract(columns, query) -%}
  {%- set declared = [] -%}
  {%- for column in model['columns'].values() -%}
    {%- do declared.append(column['name'] | lower ~ ' ' ~ column['data_type'] | upper) -%}
  {%- endfor -%}
  {%- set found = spelled(columns) -%}
  {%- if not found or found | sort != declared | sort -%}
    {%- do get_assert_columns_equivalent(query) -%}
  {%- endif -%}
{%- endmacro %}

{#- The columns of the night's rows (`found`), after what `on_schema_change` does where the standing table has others. -#}
{% macro columns_to_fill(found, fresh, standing) -%}
  {%- set columns = found -%}
  {%- if spelled(columns) | sort != spelled(adapter.get_column_schema_from_query('select * from ' ~ standing)) | sort -%}
    {%- set change = incremental_validate_on_schema_change(config.get('on_schema_change'), default='ignore') -%}
    {%- set columns = process_schema_changes(change, fresh, standing) or adapter.get_columns_in_relation(standing) -%}
  {%- endif -%}
  {{ return(columns) }}
{%- endmacro %}

{% macro spelled(columns) -%}
  {%- set names = [] -%}
  {%- for column in columns -%}
    {%- do names.append(column.name | lower ~ ' ' ~ column.dtype) -%}
  {%- endfor -%}
  {{ return(names) }}
{%- endmacro %}

{#- The descriptions of a table and of its columns, in one statement. -#}
{% macro write_comments(target) -%}
  {%- if config.persist_column_docs() or config.persist_relation_docs() -%}
    {% call statement('comments') -%}
      comment on table {{ target }} is {{ "'" ~ model.description | replace("'", "''") ~ "'" }};
      {%- for column in model['columns'].values() %}
      comment on column {{ target }}.{{ column['name'] }} is {{ "'" ~ column['description'] | replace("'", "''") ~ "'" }};
      {%- endfor %}
    {%- endcall %}
  {%- endif -%}
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
