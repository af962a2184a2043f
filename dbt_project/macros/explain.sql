{#- One part's share of each row, exact in both margins (attribution rules, section 7). `parts` (group_key, part_rank, bases) sum to the
    `lines` (group_key, line_rank, weight, bases) of their group in every basis. Each part is split over the group's lines by the one
    allocation function; the last part that states the basis closes every line: line - the shares of the parts before it. So the shares of
    a part sum to the part, and the shares in a line to the line. part_rank and line_rank are whole numbers, unique in their group;
    line_rank is the tie order of the ledger. Ends with the CTE `name`: one row per part and line, with NULL where the part has no such basis. -#}

{% macro split_parts(name, parts, lines) -%}
{{ name }}_totals as (

    select group_key, sum({{ wide_int('weight') }}) as total_weight
    from {{ lines }}
    group by group_key

),

{{ name }}_parts as (

    select
        parts.*,
        totals.total_weight,
        {%- for basis in allocated_bases() %}
        row_number() over (partition by parts.group_key order by case when {{ basis }} is null then 0 else 1 end desc, part_rank desc) as {{ basis }}_from_last,
        {{ allocation_units('parts.' ~ basis) }} as {{ basis }}_units{% if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ parts }} as parts
    inner join {{ name }}_totals as totals on parts.group_key = totals.group_key

),

{{ name }}_floors as (

    select
        parts.*,
        lines.line_rank,
        {%- for basis in allocated_bases() %}
        lines.{{ basis }} as line_{{ basis }},
        {{ allocation_floor('parts.' ~ basis ~ '_units', wide_int('lines.weight'), 'parts.total_weight') }} as {{ basis }}_floor,
        {{ allocation_remainder('parts.' ~ basis ~ '_units', wide_int('lines.weight'), 'parts.total_weight') }} as {{ basis }}_remainder{% if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ name }}_parts as parts
    inner join {{ lines }} as lines on parts.group_key = lines.group_key

),

{{ name }}_ranked as (

    select
        *,
        {%- for basis in allocated_bases() %}
        {{ basis }}_units - sum({{ basis }}_floor) over (partition by group_key, part_rank) as {{ basis }}_leftover,
        row_number() over (partition by group_key, part_rank order by {{ basis }}_remainder desc, line_rank) as {{ basis }}_rank{% if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ name }}_floors

),

{{ name }}_split as (

    select
        *,
        {%- for basis in allocated_bases() %}
        case when {{ basis }}_from_last > 1 then {{ allocation_amount(basis, basis ~ '_floor', basis ~ '_leftover', basis ~ '_rank') }} end as {{ basis }}_before{% if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ name }}_ranked

),

{{ name }} as (

    select
        group_key,
        part_rank,
        line_rank,
        {%- for basis in allocated_bases() %}
        cast(case
            when {{ basis }} is null then null
            when {{ basis }}_from_last > 1 then {{ basis }}_before
            else line_{{ basis }} - coalesce(sum({{ basis }}_before) over (partition by group_key, line_rank), 0)
        end as decimal(38, 12)) as {{ basis }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ name }}_split

)
{%- endmacro %}
