-- Grain: one value of a dimension of fct_showback that can be filtered by; the members that stand for nobody are listed also where they have no row.
with

showback as (

    select * from {{ ref('fct_showback') }}

),

explicit_members as (

    {% for dimension, members in showback_members().items() %}{% set outer = loop %}{% for member in members -%}
    select '{{ dimension }}' as dimension, '{{ member }}' as member, 'nobody' as member_kind, cast(null as {{ dbt.type_string() }}) as meaning
    union all
    {% endfor %}{% endfor %}
    {% for part, meaning in showback_parts().items() -%}
    select 'cost_part', '{{ part }}', 'value', '{{ meaning }}'
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

found as (

    {% for dimension in ['team', 'model', 'environment', 'cost_part', 'cost_class'] -%}
    select
        '{{ dimension }}' as dimension,
        {{ dimension }} as member,
        {% if dimension == 'team' -%} case when team_kind = 'nobody' then 'nobody' else 'value' end
        {%- elif dimension in showback_members() -%} case when {{ dimension }} = '{{ showback_members()[dimension][0] }}' then 'nobody' else 'value' end
        {%- else -%} 'value' {%- endif %} as member_kind,
        usage_month,
        cost_usd
    from showback
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

summed as (

    select dimension, member, member_kind, min(usage_month) as first_month, max(usage_month) as last_month, sum(cost_usd) as cost_usd
    from found
    group by dimension, member, member_kind

)

select
    coalesce(summed.dimension, explicit_members.dimension) as dimension,
    coalesce(summed.member, explicit_members.member) as member,
    coalesce(summed.member_kind, explicit_members.member_kind) as member_kind,
    explicit_members.meaning,
    summed.first_month,
    summed.last_month,
    cast(coalesce(summed.cost_usd, 0) as decimal(38, 12)) as cost_usd
from summed
full outer join explicit_members
    on summed.dimension = explicit_members.dimension
    and summed.member = explicit_members.member
    and summed.member_kind = explicit_members.member_kind
