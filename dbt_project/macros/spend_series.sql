{#- Which dollars a series has: the scopes of budgets, and the series that are always there. -#}

{% macro spend_cell_columns() %}{{ return(['stage', 'source', 'account_id', 'team', 'owner_team', 'model', 'environment', 'project', 'other_service']) }}{% endmacro %}

{#- The team that owned a node last; an aggregate over its validity intervals. -#}
{% macro latest_filled_owner() -%}
max_by(owner_team, case when owner_team is not null then coalesce(valid_to, cast('9999-12-31' as timestamp)) end)
{%- endmacro %}

{#- What a budget's condition reads of a cell: its team is who answers for it where the budget pays for idle pools, else who held it. -#}
{% macro budget_scope_value() -%}
case conditions.column_name
  when 'team' then case when budgets.includes_idle then cells.owner_team else cells.team end
  when 'model' then cells.model
  when 'environment' then cells.environment
  when 'project' then cells.project
  when 'account' then cells.account_id
  when 'source' then cells.source
end
{%- endmacro %}

{#- A tag may be of any length; what is longer than this is no name that anybody watches, and stands in the wider series only. -#}
{% macro longest_series_name() %}{{ return(1000) }}{% endmacro %}

{#- A query: series_key x cell_key with what names the series. Series that are always there are on the effective basis, before distribution. -#}
{% macro spend_scopes(cells, budgets, conditions) -%}
{%- set always = [
    ('all', "'all'", 'true', {}),
    ('source', 'source', 'source is not null', {'source': 'source'}),
    ('service', "concat(source, ' / ', other_service)", 'source is not null and other_service is not null', {'source': 'source', 'service': 'other_service'}),
    ('team', 'owner_team', 'owner_team is not null', {'team': 'owner_team'}),
    ('team_model', "concat(owner_team, ' / ', model)", 'owner_team is not null and model is not null', {'team': 'owner_team', 'model': 'model'}),
    ('team_environment', "concat(owner_team, ' / ', environment)", 'owner_team is not null and environment is not null', {'team': 'owner_team', 'environment': 'environment'}),
] -%}
{%- for kind, name, condition, named in always %}
select
    concat('{{ kind }}|', {% if ' / ' in name %}cast(length({{ 'source' if kind == 'service' else 'owner_team' }}) as {{ dbt.type_string() }}), '|', {% endif %}{{ name }}) as series_key, cell_key, '{{ kind }}' as series_kind, {{ name }} as series, 'effective' as basis
    {%- for column in ['source', 'service', 'team', 'model', 'environment'] %}, {% if column in named %}{{ named[column] }}{% else %}cast(null as {{ dbt.type_string() }}){% endif %} as {{ column }}{% endfor %}
from {{ cells }}
where stage <> 'distributed' and {{ condition }} and length({{ name }}) <= {{ longest_series_name() }}
union all
{%- endfor %}
select
    concat('budget|', budgets.budget_id) as series_key, cells.cell_key, 'budget' as series_kind, budgets.budget_id as series, min(budgets.basis) as basis,
    cast(null as {{ dbt.type_string() }}) as source, cast(null as {{ dbt.type_string() }}) as service, min(budgets.team) as team, cast(null as {{ dbt.type_string() }}) as model,
    cast(null as {{ dbt.type_string() }}) as environment
from {{ cells }} as cells
cross join {{ budgets }} as budgets
left join {{ conditions }} as conditions
    on budgets.budget_id = conditions.budget_id
    and (
        {{ budget_scope_value() }} = conditions.wanted_value
        -- nobody knows whose account will be charged for unpriced seconds of such a pool: perhaps this one
        or (cells.stage = 'unpriced' and conditions.column_name in ('account', 'source') and {{ budget_scope_value() }} is null)
    )
where cells.stage <> 'distributed' or budgets.includes_shared
group by budgets.budget_id, cells.cell_key, budgets.condition_columns
having count(distinct conditions.column_name) = budgets.condition_columns
{%- endmacro %}
