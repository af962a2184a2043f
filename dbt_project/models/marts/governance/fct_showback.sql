-- Grain: month x team (or a member that stands for nobody) x model x environment x part of the cost x cost class. No dimension is NULL, every row of
-- fct_cost_daily is in exactly one row: whatever is filtered or grouped, the members sum to the ledger of the month, in every basis.
{%- set idle, company = "('" ~ showback_idle_classes() | join("', '") ~ "')", "('" ~ showback_company_classes() | join("', '") ~ "')" %}

with

days as (

    select
        *,
        cast({{ dbt.date_trunc('month', 'usage_date') }} as date) as usage_month,
        nullif(trim(owner_team), '') as known_team
    from {{ ref('fct_cost_daily') }}

),

parts as (

    select
        *,
        case
            when stage = 'distributed' then 'shared'
            when workload_type is null and cost_class in {{ idle }} then 'idle'
            when workload_type is null and owner_basis <> 'tag' and cost_class in {{ company }} then 'company'
            when workload_type is null and owner_basis <> 'tag' then 'unexplained'
            else 'own'
        end as cost_part
    from days

),

named as (

    select
        *,
        case when known_team is null then 'nobody' else 'team' end as team_kind,
        case
            when known_team is not null then known_team
            when cost_class in {{ idle }} then '(idle)'
            when cost_class in {{ company }} then '(shared)'
            else '(unallocated)'
        end as shown_team,
        {{ named_or('model', '(no model)') }} as shown_model,
        {{ named_or('environment', '(no environment)') }} as shown_environment
    from parts

),

summed as (

    select
        usage_month,
        team_kind,
        shown_team as team,
        shown_model as model,
        shown_environment as environment,
        cost_part,
        cost_class,
        cast(sum(allocation_count) as bigint) as allocation_count,
        cast(sum(gpu_seconds) as decimal(38, 6)) as gpu_seconds,
        {%- for column in ['billed_cost_usd', 'cost_usd', 'net_cost_usd', 'list_cost_usd', 'contracted_cost_usd', 'list_missing_cost_usd'] %}
        cast(sum({{ column }}) as decimal(38, 12)) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from named
    group by usage_month, team_kind, shown_team, shown_model, shown_environment, cost_part, cost_class

)

select * from summed
