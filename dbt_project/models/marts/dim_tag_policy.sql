-- Grain: one rule of the tag policy (an alias of a key, a value that means another, or a repair) x the days on which it holds. A repair shows what
-- it has moved on the published days.
{%- set text = dbt.type_string() %}
with

aliases as (

    select
        'alias' as rule_kind, canonical_key, alias as rule_name, valid_from, valid_to, alias, alias_rank, is_case_folded,
        cast(null as {{ text }}) as raw_value, cast(null as {{ text }}) as canonical_value,
        cast(null as {{ text }}) as matches, cast(null as boolean) as is_override, cast(null as {{ text }}) as reason, cast(null as {{ text }}) as author
    from {{ source('policy', 'tag_aliases') }}

),

value_map as (

    select
        'value' as rule_kind, canonical_key, raw_value as rule_name, valid_from, valid_to, cast(null as {{ text }}) as alias,
        cast(null as bigint) as alias_rank, cast(null as boolean) as is_case_folded, raw_value, canonical_value,
        cast(null as {{ text }}) as matches, cast(null as boolean) as is_override, cast(null as {{ text }}) as reason, cast(null as {{ text }}) as author
    from {{ source('policy', 'tag_values') }}

),

repairs as (

    -- one row for each combination of wanted values, in the policy's relation
    select distinct
        'repair' as rule_kind, canonical_key, repair_id as rule_name, valid_from, valid_to, cast(null as {{ text }}) as alias,
        cast(null as bigint) as alias_rank, cast(null as boolean) as is_case_folded, cast(null as {{ text }}) as raw_value, canonical_value,
        matches, is_override, reason, author
    from {{ source('policy', 'tag_repairs') }}

),

rules as (

    select * from aliases
    union all
    select * from value_map
    union all
    select * from repairs

),

moved as (

    select
        repair_id,
        tag_key,
        min(usage_date) as first_usage_date,
        max(usage_date) as last_usage_date,
        cast(sum(cost_usd) as decimal(38, 12)) as repaired_cost_usd,
        cast(sum(positive_cost_usd) as decimal(38, 12)) as repaired_positive_cost_usd,
        cast(sum(negative_cost_usd) as decimal(38, 12)) as repaired_negative_cost_usd
    from {{ ref('fct_tag_coverage') }}
    where repair_id is not null
    group by repair_id, tag_key

)

select
    rules.*,
    moved.first_usage_date,
    moved.last_usage_date,
    {%- for column in ['cost', 'positive_cost', 'negative_cost'] %}
    case when rules.rule_kind = 'repair' then coalesce(moved.repaired_{{ column }}_usd, cast(0 as decimal(38, 12))) end as repaired_{{ column }}_usd{{ ',' if not loop.last }}
    {%- endfor %}
from rules
left join moved on rules.rule_kind = 'repair' and rules.rule_name = moved.repair_id and rules.canonical_key = moved.tag_key
