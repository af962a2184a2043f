-- Grain: API (completions, embeddings; of costs without usage the line item) x model x project x UTC day, as OpenAI tells it. Whatever is told several times
-- (pages fetched again, hours beside days) counts once; costs go with the usage of their day, project and model, and stand alone where there is none.
{%- set series = ['source', 'api', 'usage_date', 'project', 'model', 'line_item'] %}
{%- set counts = ['requests', 'prompt_tokens', 'cached_tokens', 'output_tokens'] %}
with

source as (

    select * from {{ source('openai_usage', 'results') }}

),

renamed as (

    select
        _source as source,
        _row as row_number,
        file_name,
        grouped_by,
        case result_object
            when 'organization.costs.result' then 'costs'
            when 'organization.usage.completions.result' then 'completions'
            when 'organization.usage.embeddings.result' then 'embeddings'
        end as api,
        cast(bucket_start as date) as usage_date,
        bucket_start,
        bucket_end,
        result_number is null as is_empty,
        case when coalesce(grouped_by, '') like '%project_id%' then 1 else 0 end as is_by_project,
        case when coalesce(grouped_by, '') like '%model%' or coalesce(grouped_by, '') like '%line_item%' then 1 else 0 end as is_by_model,
        nullif(trim(project_id), '') as project,
        nullif(trim(model), '') as model,
        nullif(trim(line_item), '') as line_item,
        concat(coalesce(user_id, ''), '|', coalesce(api_key_id, ''), '|', coalesce(batch, ''), '|', coalesce(service_tier, ''), '|', coalesce(api_source, '')) as detail,
        num_model_requests as requests,
        input_tokens as prompt_tokens,
        input_cached_tokens as cached_tokens,
        output_tokens,
        {{ money('amount') }} as cost_usd
    from source

),

-- one query, told by project and model, and another, told as a whole, would add up to twice the day: the one that tells most of the day counts, then the finer
queries as (

    select
        source, api, usage_date, is_by_project, is_by_model,
        min(bucket_start) as told_from, max(bucket_end) as told_to,
        row_number() over (
            partition by source, api, usage_date
            order by min(case when is_empty then 1 else 0 end),
                {{ epoch_seconds('max(bucket_end)') }} - {{ epoch_seconds('min(bucket_start)') }} desc, is_by_model desc, is_by_project desc
        ) as choice
    from renamed
    where api is not null
    group by source, api, usage_date, is_by_project, is_by_model

),

-- a page that stands twice in one file is one page
told_once as (

    select
        renamed.*,
        queries.told_from,
        queries.told_to,
        row_number() over (
            partition by renamed.source, renamed.api, file_name, grouped_by, bucket_start, bucket_end, project, model, line_item, detail
            order by renamed.row_number desc
        ) as telling
    from renamed
    inner join queries
        on renamed.source = queries.source
        and renamed.api = queries.api
        and renamed.usage_date = queries.usage_date
        and renamed.is_by_project = queries.is_by_project
        and renamed.is_by_model = queries.is_by_model
        and queries.choice = 1
    where not renamed.is_empty

),

tellings as (

    select
        {{ series | join(', ') }}, file_name, grouped_by, bucket_start, bucket_end, told_from, told_to,
        {{ digest(series) }} as series_key,
        {% for count in counts -%}
        cast(sum({{ count }}) as bigint) as {{ count }},
        {% endfor -%}
        cast(sum(cost_usd) as decimal(38, 12)) as cost_usd
    from told_once
    where telling = 1
    group by {{ series | join(', ') }}, file_name, grouped_by, bucket_start, bucket_end, told_from, told_to

),

-- of buckets that share time the longest counts, then the one of the last file
ordered as (

    select
        *,
        row_number() over (
            partition by series_key
            order by {{ epoch_seconds('bucket_end') }} - {{ epoch_seconds('bucket_start') }} desc, file_name desc, grouped_by desc, bucket_start
        ) as preference,
        coalesce(lead(bucket_start) over (partition by series_key order by bucket_start, bucket_end, file_name, grouped_by) < bucket_end, false) as is_crossed
    from tellings

),

crossed as (

    select * from ordered where series_key in (select series_key from ordered where is_crossed)

),

-- is_lost: some of its time may be told by nothing that counts
beaten as (

    select
        lesser.series_key,
        lesser.preference,
        min(case when better.bucket_start <= lesser.bucket_start and better.bucket_end >= lesser.bucket_end then 0 else 1 end) as is_lost
    from crossed as lesser
    inner join crossed as better
        on lesser.series_key = better.series_key
        and better.preference < lesser.preference
        and better.bucket_start < lesser.bucket_end
        and lesser.bucket_start < better.bucket_end
    group by lesser.series_key, lesser.preference

),

summed as (

    select
        {% for column in series %}ordered.{{ column }}, {% endfor %}
        min(ordered.told_from) as told_from, max(ordered.told_to) as told_to, max(coalesce(beaten.is_lost, 0)) as is_lost,
        {% for count in counts -%}
        cast(sum(case when beaten.series_key is null then ordered.{{ count }} end) as bigint) as {{ count }},
        {% endfor -%}
        cast(sum(case when beaten.series_key is null then ordered.cost_usd end) as decimal(38, 12)) as cost_usd
    from ordered
    left join beaten on ordered.series_key = beaten.series_key and ordered.preference = beaten.preference
    group by {% for column in series %}ordered.{{ column }}{% if not loop.last %}, {% endif %}{% endfor %}

),

used as (

    select *, count(*) over (partition by source, usage_date, project, model) as apis
    from summed
    where api <> 'costs'

),

-- `gpt-4o-2024-08-06, input`; `gpt-audio-mini audio, input`: the first word before the comma is the model. `evals | gpt-4o, input` is billed by another service
billed as (

    select *, {{ dbt.split_part('line_subject', "' '", 1) }} as line_model
    from (
        select *, case when line_item like '%, %' and line_item not like '% | %' then {{ dbt.split_part('line_item', "', '", 1) }} end as line_subject
        from summed
        where api = 'costs'
    ) as costs

),

paired as (

    select
        billed.*,
        coalesce(used.apis = 1, false) as is_paired,
        case
            when used.apis > 1 then 'model_of_two_apis'
            when billed.line_item is null then 'costs_not_by_line_item'
            when billed.line_item like '% | %' then 'line_item_of_another_service'
            when line_model is null then 'line_item_without_model'
            else 'no_usage'
        end as unpaired_reason
    from billed
    -- a model of two APIs has two rows: one will do
    left join (select distinct source, usage_date, project, model, apis from used) as used
        on billed.source = used.source
        and billed.usage_date = used.usage_date
        and billed.project is not distinct from used.project
        and billed.line_model = used.model

),

costs_of_usage as (

    select
        source, usage_date, project, line_model,
        cast(sum(cost_usd) as decimal(38, 12)) as cost_usd,
        min(told_from) as told_from, max(told_to) as told_to, max(is_lost) as is_lost
    from paired
    where is_paired
    group by source, usage_date, project, line_model

),

unioned as (

    select
        used.source, used.api as endpoint, used.model, used.project, used.usage_date,
        {% for count in counts %}used.{{ count }}, {% endfor %}costs_of_usage.cost_usd,
        case when costs_of_usage.source is null then coalesce(used.requests, 0) else 0 end as unpriced_requests,
        case
            when used.is_lost = 1 or costs_of_usage.is_lost = 1 then 'overlapping_buckets'
            when costs_of_usage.source is not null and (used.told_from <> costs_of_usage.told_from or used.told_to <> costs_of_usage.told_to)
                then 'usage_and_costs_of_different_hours'
            when costs_of_usage.source is not null then null
            when used.model is null then 'usage_not_by_model'
            when used.apis > 1 then 'model_of_two_apis'
            else 'no_costs'
        end as unpaired_reason
    from used
    left join costs_of_usage
        on used.source = costs_of_usage.source
        and used.usage_date = costs_of_usage.usage_date
        and used.project is not distinct from costs_of_usage.project
        and used.model = costs_of_usage.line_model
        and used.apis = 1

    union all

    select
        source, coalesce(line_item, 'all line items'), case when line_subject not like '% %' then line_subject end, project, usage_date,
        {% for count in counts %}cast(null as bigint), {% endfor %}cost_usd, 0, unpaired_reason
    from paired
    where not is_paired

)

select
    source,
    endpoint,
    'openai' as provider,
    model,
    cast(null as {{ dbt.type_string() }}) as team,
    project,
    cast(usage_date as timestamp) as window_start,
    requests as requests_ok, cast(null as bigint) as requests_failed, cast(0 as bigint) as cache_hit_requests,
    cast(unpriced_requests as bigint) as unpriced_requests,
    prompt_tokens,
    cached_tokens,
    output_tokens,
    cost_usd as spend_usd,
    'provider_costs' as spend_basis,
    unpaired_reason,
    {% for percentile in ['p50', 'p95', 'p99'] -%}
    cast(null as double) as latency_{{ percentile }}_seconds{% if not loop.last %},{% endif %}
    {% endfor %}
from unioned
