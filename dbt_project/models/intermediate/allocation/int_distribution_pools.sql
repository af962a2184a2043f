-- Grain: day x pool x rule: the allocated dollars that reached no workload, alike in all that a distribution rule can ask, and the first
-- rule of the policy that takes them (attribution rules, section 6). Dollars that no rule takes have no row.
with

pools as (

    select
        usage_date,
        {% for column in distribution_conditions() + distribution_origins() %}{{ column }}, {% endfor %}
        {%- for basis in allocated_bases() %}
        cast(sum({{ basis }}) as decimal(38, 12)) as {{ basis }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ ref('int_bucket_allocations') }}
    where workload_key is null and cost_class <> 'quarantined'
    group by usage_date, {{ (distribution_conditions() + distribution_origins()) | join(', ') }}

),

keyed as (

    select {{ digest(['usage_date'] + distribution_conditions() + distribution_origins()) }} as pool_key, pools.*
    from pools

),

facts_of_pools as (

    {% for column in distribution_conditions() -%}
    select pool_key, '{{ column }}' as column_name, cast({{ column }} as {{ dbt.type_string() }}) as column_value from keyed where {{ column }} is not null
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

rules as (

    select * from {{ source('policy', 'distribution_rules') }}

),

conditions as (

    select * from {{ source('policy', 'distribution_conditions') }}

),

-- a rule lists values for a column: one of them must hold; it names several columns: all of them must hold
met as (

    select facts_of_pools.pool_key, conditions.rule_id, count(distinct conditions.column_name) as met_columns
    from facts_of_pools
    inner join conditions
        on facts_of_pools.column_name = conditions.column_name
        and (facts_of_pools.column_value = conditions.wanted_value or conditions.wanted_value = '*')
    group by facts_of_pools.pool_key, conditions.rule_id

),

ranked as (

    select
        keyed.*,
        rules.rule_id,
        rules.recipient,
        rules.weight,
        {%- for scope in distribution_scopes() %}
        rules.within_{{ scope }},
        {%- endfor %}
        row_number() over (partition by keyed.pool_key order by rules.rule_rank) as choice
    from keyed
    inner join met on keyed.pool_key = met.pool_key
    inner join rules
        on met.rule_id = rules.rule_id
        and met.met_columns = rules.condition_columns
        and (rules.valid_from is null or keyed.usage_date >= rules.valid_from)
        and (rules.valid_to is null or keyed.usage_date < rules.valid_to)

)

select * from ranked
where choice = 1
