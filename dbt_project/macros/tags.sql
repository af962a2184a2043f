{#- A tag's key without the decorations that the exports put on it: `resourceTags/`, `user:`, `user_`, `k8s-label/`; lower case,
    every other character than letters and digits becomes `_`. -#}
{% macro normalised_tag_key(key) -%}
{{ replace_every("regexp_replace(lower(trim(" ~ key ~ ")), '^(resourcetags/|userattribute/|accounttag/)?(user[:_]|k8s-label/|aws:tag:)?', '')", '[^a-z0-9]+', '_') }}
{%- endmacro %}

{#- That the era of a tag set (relation `tag_sets`: valid_from, valid_to, NULL without end) holds on a day. -#}
{% macro in_era(day, tag_sets='tag_sets') -%}
({{ tag_sets }}.valid_from is null or {{ day }} >= {{ tag_sets }}.valid_from) and ({{ tag_sets }}.valid_to is null or {{ day }} < {{ tag_sets }}.valid_to)
{%- endmacro %}

{#- The keys that a repair can set. -#}
{% macro repaired_keys() %}{{ return(['team', 'model', 'environment', 'project']) }}{% endmacro %}

{#- What a repair can ask of an allocated row, most selective first. -#}
{% macro repair_columns() %}{{ return(['workload_key', 'resource_id', 'pool', 'namespace', 'cluster', 'service', 'account_id', 'source']) }}{% endmacro %}

{#- Whose an allocated row is (relations allocated, workload_tags, nodes, buckets, repaired): what a repair overrides, else its workload's tag, else
    its node's where it has no workload, else what the charge's own tags say, else what a repair fills in. -#}
{% macro owned(key) -%}
coalesce(repaired.{{ key }}_override, {{ tagged(key) }}, repaired.{{ key }}_fill)
{%- endmacro %}

{% macro tagged(key) -%}
workload_tags.{{ key }}, {% if key != 'model' %}case when allocated.workload_key is null then nodes.{{ key }} end, {% endif %}buckets.{{ key }}
{%- endmacro %}

{#- Where owned() has it from: workload, node, charge or repair; NULL where nobody says. -#}
{% macro tag_origin(key) -%}
case
            when repaired.{{ key }}_override is not null then 'repair'
            when workload_tags.{{ key }} is not null then 'workload'
            {% if key != 'model' %}when allocated.workload_key is null and nodes.{{ key }} is not null then 'node'{% endif %}
            when buckets.{{ key }} is not null then 'charge'
            when repaired.{{ key }}_fill is not null then 'repair'
        end
{%- endmacro %}

{#- The repair that owned() has it from; NULL where it is from none. -#}
{% macro repair_behind(key) -%}
case
            when repaired.{{ key }}_override is not null then repaired.{{ key }}_override_id
            when coalesce({{ tagged(key) }}) is null then repaired.{{ key }}_fill_id
        end
{%- endmacro %}

{#- Where an allocated row is (relations nodes, places, buckets): its node's pool or cluster, else that of the machine charged for, else the tags'. -#}
{% macro place_of(column) -%}
coalesce(nodes.{{ column }}, places.{{ column }}, buckets.{{ column }})
{%- endmacro %}

{#- Grain: subject (day x repair_columns(), NULLs included) that a repair of the policy matches: per key what is filled in and what is overridden, and by
    which repair; the one that stands first in the policy. `subjects` is a relation of distinct subjects. -#}
{% macro repairs_of_subjects(subjects, repairs) -%}
select
        usage_date, {{ repair_columns() | join(', ') }},
        {%- for key in repaired_keys() %}
        {%- for how in ['fill', 'override'] %}
        {%- set mine = "canonical_key = '" ~ key ~ "' and is_override = " ~ ('true' if how == 'override' else 'false') ~ " and choice = 1" %}
        max(case when {{ mine }} then canonical_value end) as {{ key }}_{{ how }},
        max(case when {{ mine }} then repair_id end) as {{ key }}_{{ how }}_id,
        {%- endfor %}
        {%- endfor %}
        max(case when lowest_value <> highest_value then 1 else 0 end) as is_contradicted
    from (
        select
            matched.*,
            row_number() over (partition by {{ (['usage_date'] + repair_columns()) | join(', ') }}, canonical_key, is_override order by repair_rank) as choice,
            min(canonical_value) over (partition by {{ (['usage_date'] + repair_columns()) | join(', ') }}, canonical_key, is_override) as lowest_value,
            max(canonical_value) over (partition by {{ (['usage_date'] + repair_columns()) | join(', ') }}, canonical_key, is_override) as highest_value
        from (
            {%- for lead in repair_columns() %}
            select
                subjects.usage_date, {% for column in repair_columns() %}subjects.{{ column }}, {% endfor %}
                repairs.repair_id, repairs.repair_rank, repairs.canonical_key, repairs.canonical_value, repairs.is_override
            from {{ subjects }} as subjects
            inner join {{ repairs }} as repairs
                on repairs.lead_column = '{{ lead }}' and subjects.{{ lead }} = repairs.lead_value
                {%- for column in repair_columns() if column != lead %}
                and (repairs.{{ column }} is null or repairs.{{ column }} = subjects.{{ column }})
                {%- endfor %}
                {%- if lead in ['pool', 'cluster'] %}
                -- like a node's labels: what a workload holds there is not the pool's
                and subjects.workload_key is null
                {%- endif %}
                and (repairs.valid_from is null or subjects.usage_date >= repairs.valid_from)
                and (repairs.valid_to is null or subjects.usage_date < repairs.valid_to)
            {%- if not loop.last %}
            union all
            {%- endif %}
            {%- endfor %}
        ) as matched
    ) as ranked
    group by usage_date, {{ repair_columns() | join(', ') }}
{%- endmacro %}

{#- How a row of int_bucket_allocations came to a value of a key: through whoever held it (how that is known), its node's labels, its own tags, a repair. -#}
{% macro tag_evidence(key) -%}
case
            when {{ key }} is null then 'missing'
            when {{ key }}_origin = 'workload' then case when route in ('telemetry', 'rule') then evidence else 'tag' end
            when {{ key }}_origin = 'node' then 'node_label'
            when {{ key }}_origin = 'charge' then 'charge_tag'
            else {{ key }}_origin
        end
{%- endmacro %}

{#- How it came to its workload. -#}
{% macro workload_evidence() -%}
case
            when workload_key is null then 'missing'
            when route = 'telemetry' then evidence
            when route = 'tag' then 'tag'
            else 'charge_tag'
        end
{%- endmacro %}

{#- A text by which levels sort, the weakest first: missing, repair, a count without GPUs, tags, labels, intervals. -#}
{% macro evidence_key(level, repair_id) -%}
concat(
            case {{ level }}
                when 'missing' then '0' when 'repair' then '1' when 'none' then '2' when 'count_only' then '3' when 'charge_tag' then '4'
                when 'node_label' then '5' when 'tag' then '6' when 'interval' then '9' else '8'
            end,
            {{ level }}, '|', coalesce({{ repair_id }}, '')
        )
{%- endmacro %}

{#- The same of who holds a node's charges (relation `holders`: usage_date, node_key, workload_key): CTEs node_places, subjects and repaired, by node and
    workload. Where charges of one node differ in what a repair asks for, the first value stands for all. -#}
{% macro repairs_of_node_holders(holders, bucket_nodes, buckets, nodes, repairs) -%}
node_places as (

    select
        bucket_nodes.usage_date, bucket_nodes.node_key, min(nodes.pool) as pool, min(nodes.cluster) as cluster,
        {%- for column in ['resource_id', 'namespace', 'service', 'account_id', 'source'] %}
        min(buckets.{{ column }}) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from (select * from {{ bucket_nodes }} where compute_kind is not null and (select count(*) from {{ repairs }}) > 0) as bucket_nodes
    inner join {{ buckets }} as buckets on bucket_nodes.usage_date = buckets.usage_date and bucket_nodes.bucket_key = buckets.bucket_key
    left join {{ nodes }} as nodes on bucket_nodes.usage_date = nodes.usage_date and bucket_nodes.node_key = nodes.node_key
    group by bucket_nodes.usage_date, bucket_nodes.node_key

),

subjects as (

    select distinct {{ holders }}.node_key, {{ holders }}.usage_date, {% for column in repair_columns() %}{{ holders if column == 'workload_key' else 'node_places' }}.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
    from {{ holders }}
    inner join node_places on {{ holders }}.usage_date = node_places.usage_date and {{ holders }}.node_key = node_places.node_key

),

repaired as (

    select subjects.node_key, found.*
    from subjects
    inner join ({{ repairs_of_subjects('(select distinct usage_date, ' ~ repair_columns() | join(', ') ~ ' from subjects)', repairs) }}) as found
        on subjects.usage_date = found.usage_date
        {%- for column in repair_columns() %}
        and subjects.{{ column }} is not distinct from found.{{ column }}
        {%- endfor %}

)
{%- endmacro %}
