-- Grain: one distinct combination of labels, resource tags and project labels of which two or more are given, merged key by key: a label
-- goes before a tag, a tag before a project label. Keys are compared as the tag policy compares them.
with

combinations as (

    select distinct labels, tags, project_labels
    from {{ ref('base_gcp_billing__rows') }}
    where (labels <> '{}' and (tags <> '{}' or project_labels <> '{}')) or (tags <> '{}' and project_labels <> '{}')

),

entries as (

    {% for level in ['labels', 'tags', 'project_labels'] -%}
    select
        combinations.labels, combinations.tags, combinations.project_labels, {{ loop.index }} as level,
        told.entry_key, told.entry_value, {{ normalised_tag_key('told.entry_key') }} as tag_key
    from combinations
    inner join {{ json_entries('(select distinct ' ~ level ~ ' from combinations) as one_level', level) }} as told
        on combinations.{{ level }} = told.entry_source
    where told.entry_value is not null
    {% if not loop.last %}union all
    {% endif -%}
    {% endfor %}
),

ranked as (

    select *, min(level) over (partition by labels, tags, project_labels, tag_key) as first_level
    from entries

),

merged as (

    select
        labels,
        tags,
        project_labels,
        concat('{', {{ ordered_text("concat(" ~ json_string('entry_key') ~ ", ':', " ~ json_string('entry_value') ~ ")", ',', 'entry_key') }}, '}') as merged_tags
    from ranked
    where level = first_level
    group by labels, tags, project_labels

)

select * from merged
