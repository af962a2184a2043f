-- Grain: guardrail x verdict x source x account x subject x key: what broke a rule of the policy on the last days, or could not be judged; since when,
-- and for how many dollars. Rebuilt each night by the rules of the night, from day-grain aggregates.
{%- set people = ['team', 'model', 'environment', 'project'] %}
{%- set first_day = dbt.dateadd('day', -1 * governed_days(), last_day(ref('dim_date'))) %}

with

rules as (

    select * from {{ source('policy', 'guardrails') }}

),

days as (

    select *, {{ spend_subject_type() }} as subject_type, {{ spend_subject() }} as subject
    from {{ ref('int_resource_days') }}
    where usage_date > {{ first_day }} and positive_cost_usd > 0

),

priced_until as (

    select source, max(usage_date) as last_date from days group by source

),

untagged as (

    {% for key in repaired_keys() -%}
    select
        rules.guardrail_id, days.usage_date, days.source, days.account_id, days.subject_type, days.subject, '{{ key }}' as tag_key,
        days.team, days.model, days.environment, days.positive_cost_usd, cast(null as {{ dbt.type_string() }}) as found_value, 'broken' as verdict
    from days
    inner join rules on rules.guardrail_kind = 'required_tags' and {{ is_listed("'" ~ key ~ "'", 'rules.required_keys') }}
        {{- guarded('days', guardrail_columns()) }}
    where days.{{ key }} is null
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

placed as (

    select
        rules.guardrail_id, days.usage_date, days.source, days.account_id, days.subject_type, days.subject, cast(null as {{ dbt.type_string() }}) as tag_key,
        days.team, days.model, days.environment, days.positive_cost_usd,
        case when rules.guardrail_kind = 'allowed_regions' then lower(days.region) else days.instance_type end as found_value
    from days
    inner join rules on rules.guardrail_kind in ('allowed_instance_types', 'allowed_regions')
        {{- guarded('days', guardrail_columns()) }}
    where days.charge_category = 'Usage' and (days.is_compute or days.instance_type is not null or rules.guardrail_kind = 'allowed_regions')

),

allowed as (

    select distinct found.guardrail_id, found.found_value
    from (select distinct guardrail_id, found_value from placed) as found
    inner join {{ source('policy', 'guardrail_allowed') }} as patterns
        on found.guardrail_id = patterns.guardrail_id and found.found_value like patterns.pattern

),

findings as (

    select * from untagged
    union all
    select placed.*, case when placed.found_value is null then 'unknown' else 'broken' end as verdict
    from placed
    left join allowed on placed.guardrail_id = allowed.guardrail_id and placed.found_value = allowed.found_value
    where allowed.guardrail_id is null

),

-- a day counts from the rule's floor on
finding_days as (

    select
        findings.guardrail_id, verdict, source, account_id, subject_type, subject, tag_key, usage_date,
        max(team) as team, max(model) as model, max(environment) as environment, max(found_value) as found_value,
        cast(sum(positive_cost_usd) as decimal(38, 12)) as cost_usd
    from findings
    inner join rules on findings.guardrail_id = rules.guardrail_id
    group by findings.guardrail_id, verdict, source, account_id, subject_type, subject, tag_key, usage_date
    having sum(positive_cost_usd) >= max(rules.floor_usd)

),

resources as (

    select
        finding_days.guardrail_id, verdict, finding_days.source, account_id, subject_type, subject, tag_key,
        max(team) as team, max(model) as model, max(environment) as environment,
        min(usage_date) as since_date, max(usage_date) as last_date, cast(count(*) as bigint) as day_count,
        coalesce(max(usage_date) = max(priced_until.last_date), false) as is_current,
        cast(sum(cost_usd) as decimal(38, 12)) as cost_usd,
        cast(null as decimal(38, 12)) as measured_value,
        coalesce(max(found_value), case when max(tag_key) is not null then 'no value' else 'not stated by the bill' end) as measured
    from finding_days
    inner join priced_until on finding_days.source = priced_until.source
    group by finding_days.guardrail_id, verdict, finding_days.source, account_id, subject_type, subject, tag_key

),

-- every day of the runs that were there on the last days: a run may have begun before them
run_days as (

    select
        workload_key, usage_date, cast(sum(effective_cost) as decimal(38, 12)) as cost_usd,
        {%- for column in people %}
        max({{ column }}) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('int_attempt_days') }}
    where workload_key not like 'endpoint/%'
        and workload_key in (select workload_key from {{ ref('int_attempt_days') }} where usage_date > {{ first_day }})
    group by workload_key, usage_date

),

runs as (

    select
        workload_key, usage_date, cost_usd,
        cast(sum(cost_usd) over (partition by workload_key order by usage_date rows between unbounded preceding and current row) as decimal(38, 12)) as cost_until_usd,
        max(usage_date) over (partition by workload_key) as last_date,
        {%- for column in people %}
        max({{ column }}) over (partition by workload_key) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from run_days

),

run_findings as (

    -- of the day that passes the limit, what lies above it
    select
        rules.guardrail_id, runs.workload_key, runs.usage_date, least(runs.cost_usd, runs.cost_until_usd - rules.limit_value) as cost_usd,
        runs.cost_until_usd as measured_value, runs.team, runs.model, runs.environment
    from runs
    inner join rules on rules.guardrail_kind = 'max_run_cost' and runs.cost_until_usd > rules.limit_value
        {{- guarded('runs', people, 'last_date') }}
    union all
    select
        rules.guardrail_id, runs.workload_key, runs.usage_date, runs.cost_usd,
        cast(cast(held.most_held_parts as decimal(26, 0)) / cast({{ gpu_parts() }} as decimal(9, 0)) as decimal(38, 12)), runs.team, runs.model, runs.environment
    from runs
    inner join {{ ref('int_workload_gpu_days') }} as held on runs.workload_key = held.workload_key and runs.usage_date = held.usage_date
    inner join rules on rules.guardrail_kind = 'max_gpus_per_run' and cast(held.most_held_parts as decimal(26, 0)) > cast(rules.limit_value as decimal(18, 6)) * cast({{ gpu_parts() }} as decimal(9, 0))
        {{- guarded('runs', people) }}

),

run_violations as (

    select
        guardrail_id, 'broken' as verdict, cast(null as {{ dbt.type_string() }}) as source, cast(null as {{ dbt.type_string() }}) as account_id,
        'workload' as subject_type, workload_key as subject, cast(null as {{ dbt.type_string() }}) as tag_key,
        max(team) as team, max(model) as model, max(environment) as environment,
        min(usage_date) as since_date, max(usage_date) as last_date, cast(count(*) as bigint) as day_count,
        -- its bill may come days after it ended
        max(usage_date) > {{ dbt.dateadd('day', -7, last_day(ref('dim_date'))) }} as is_current,
        cast(sum(cost_usd) as decimal(38, 12)) as cost_usd,
        cast(max(measured_value) as decimal(38, 12)) as measured_value,
        cast(cast(max(measured_value) as decimal(38, 2)) as {{ dbt.type_string() }}) as measured
    from run_findings
    group by guardrail_id, workload_key

),

shares as (

    {% for key in repaired_keys() -%}
    select
        rules.guardrail_id, '{{ key }}' as tag_key, rules.threshold_ratio, rules.floor_usd,
        min(case when days.{{ key }} is null then days.usage_date end) as since_date, max(days.usage_date) as last_date,
        cast(count(distinct case when days.{{ key }} is null then days.usage_date end) as bigint) as day_count,
        cast(sum(case when days.{{ key }} is null then days.positive_cost_usd else 0 end) as decimal(38, 12)) as cost_usd,
        cast(sum(days.positive_cost_usd) as decimal(38, 12)) as total_usd
    from days
    cross join (select max(last_date) as last_date from priced_until) as latest
    inner join rules on rules.guardrail_kind = 'untagged_share' and {{ is_listed("'" ~ key ~ "'", 'rules.required_keys') }}
        and {{ dbt.datediff('days.usage_date', 'latest.last_date', 'day') }} < rules.window_days
        {{- guarded('days', guardrail_columns()) }}
    group by rules.guardrail_id, rules.threshold_ratio, rules.floor_usd
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

share_violations as (

    select
        guardrail_id, 'broken' as verdict, cast(null as {{ dbt.type_string() }}) as source, cast(null as {{ dbt.type_string() }}) as account_id,
        'tag_key' as subject_type, tag_key as subject, tag_key, cast(null as {{ dbt.type_string() }}) as team, cast(null as {{ dbt.type_string() }}) as model,
        cast(null as {{ dbt.type_string() }}) as environment, since_date, last_date, day_count, true as is_current, cost_usd, total_usd as measured_value,
        concat('$', cast(cast(cost_usd as decimal(38, 2)) as {{ dbt.type_string() }}), ' of $', cast(cast(total_usd as decimal(38, 2)) as {{ dbt.type_string() }})) as measured
    from shares
    where cost_usd > threshold_ratio * total_usd and cost_usd >= floor_usd

),

violations as (

    select * from resources
    union all
    select * from run_violations
    union all
    select * from share_violations

)

select
    violations.guardrail_id,
    rules.guardrail_kind,
    rules.guardrail_action as action,
    violations.verdict,
    violations.source,
    violations.account_id,
    violations.subject_type,
    violations.subject,
    violations.tag_key,
    violations.team,
    violations.model,
    violations.environment,
    violations.since_date,
    violations.last_date,
    violations.day_count,
    violations.is_current,
    violations.cost_usd,
    violations.measured_value,
    violations.measured,
    rules.limit_value,
    {{ guardrail_threshold() }} as threshold,
    coalesce(rules.remedy, {{ guardrail_remedy() }}) as remedy
from violations
inner join rules on violations.guardrail_id = rules.guardrail_id
left join {{ source('policy', 'guardrail_exempt') }} as exempt
    on violations.guardrail_id = exempt.guardrail_id and violations.subject = exempt.subject
where exempt.guardrail_id is null
