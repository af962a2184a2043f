-- Grain: day x workload: its people, from the labels of its latest stint of that day (or the day before) that has them.
with

stints as (

    select stints.usage_date, stints.workload_key, stints.started_second, tag_sets.team, tag_sets.model, tag_sets.environment, tag_sets.project
    from {{ ref('int_stints') }} as stints
    left join {{ ref('int_tag_sets') }} as tag_sets on stints.labels = tag_sets.tags and {{ in_era('stints.usage_date') }}

)

select
    usage_date,
    workload_key,
    {{ latest_filled('team') }} as team,
    {{ latest_filled('model') }} as model,
    {{ latest_filled('environment') }} as environment,
    {{ latest_filled('project') }} as project
from stints
group by usage_date, workload_key
