{#- What all levers of compute share: the observed window, whose dollars a row is about, thresholds, confidence, and the columns of fct_lever.
    A rule of one kind of lever does not belong here. -#}

{#- A ratio of `governance.levers`, in millionths. -#}
{% macro lever_ppm(name) -%}
{{ governance_ppm('levers.' ~ name) }}
{%- endmacro %}

{#- A quotient of whole numbers from 0 on, rounded up. -#}
{% macro rounded_up(numerator, denominator) -%}
{{ int_div('(' ~ numerator ~ ') + (' ~ denominator ~ ') - 1', denominator) }}
{%- endmacro %}

{#- GPU-seconds as whole microseconds. -#}
{% macro gpu_micros(seconds) %}cast({{ seconds }} * 1000000 as bigint){% endmacro %}

{#- part / whole in millionths, rounded down; NULL where the whole is 0. -#}
{% macro ppm_of(part, whole) -%}
cast({{ int_div(wide_int('(' ~ part ~ ') * 1000000') ~ ' * 1000000', 'nullif(' ~ wide_int('(' ~ whole ~ ') * 1000000') ~ ', 0)') }} as bigint)
{%- endmacro %}

{#- CTE rows: the observed window. The last `lookback_days` published days, so that a night's work does not grow with history; observed_days are those
    that have dollars. -#}
{% macro lever_window(dim_date) -%}
select cast({{ dbt.dateadd('day', '1 - ' ~ governance('levers.lookback_days'), 'max(usage_date)') }} as date) as first_date, max(usage_date) as last_date
    from {{ dim_date }}
{%- endmacro %}

{#- CTE rows: the hours of the window with whose dollars they are. An endpoint and a notebook stand for themselves, a run for its model, else for its team (a finished
    run cannot be changed, the next one can), time that nobody held for its pool. -#}
{% macro lever_hours(workload_hourly, window) -%}
select
        hours.*,
        {{ epoch_seconds('hours.usage_hour') }} as hour_from,
        notebooks.workload_key is not null as is_notebook,
        case
            when hours.workload_key like 'endpoint/%' then 'endpoint'
            when hours.workload_key is not null and notebooks.workload_key is null and hours.model is not null then 'model'
            when {{ is_run_without_model() }} then 'team'
            when hours.workload_key is not null then 'workload'
            when hours.pool is not null then 'pool'
            else 'node'
        end as scope_type,
        case
            when hours.workload_key like 'endpoint/%' then substr(hours.workload_key, 10)
            when hours.workload_key is not null and notebooks.workload_key is null and hours.model is not null then hours.model
            when {{ is_run_without_model() }} then hours.owner_team
            when hours.workload_key is not null then hours.workload_key
            when hours.pool is not null then hours.pool
            else hours.node
        end as scope,
        coalesce(hours.instance_type, concat(coalesce(hours.gpu_model, '-'), ' x', cast(hours.node_gpu_count as {{ dbt.type_string() }}))) as machine,
        hours.used_seconds + hours.held_idle_seconds as known_seconds,
        hours.used_cost_usd + hours.held_idle_cost_usd as known_cost_usd
    from {{ workload_hourly }} as hours
    inner join {{ window }} as span on hours.usage_date >= span.first_date and hours.usage_date <= span.last_date
    left join (
        select distinct workloads.workload_key
        from (
            select distinct hours.workload_key
            from {{ workload_hourly }} as hours
            inner join {{ window }} as span on hours.usage_date >= span.first_date and hours.usage_date <= span.last_date
        ) as workloads
        inner join {{ source('policy', 'lever_notebook_words') }} as words on lower(workloads.workload_key) like concat('%', words.word, '%')
    ) as notebooks on hours.workload_key = notebooks.workload_key
{%- endmacro %}

{% macro is_run_without_model() -%}
hours.workload_key is not null and hours.model is null and notebooks.workload_key is null and hours.owner_team is not null and hours.workload_key not like 'unregistered/%'
{%- endmacro %}

{#- CTE rows: one scope over the window: its dollars and GPU time, who answers for it (the team with most of its dollars), and its environment if it has one. -#}
{% macro lever_scopes(hours) -%}
select
        sums.*,
        owners.owner_team as team,
        {{ ppm_of('sums.used_seconds', 'sums.known_seconds') }} as activity_ppm,
        coalesce({{ ppm_of('sums.gpu_seconds - sums.unknown_seconds', 'sums.gpu_seconds') }}, 0) as known_ppm
    from (
        select
            scope_type,
            scope,
            case when min(coalesce(environment, '')) = max(coalesce(environment, '')) then min(environment) end as environment,
            max(case when is_notebook then 1 else 0 end) = 1 as is_notebook,
            max(case when is_shared then 1 else 0 end) = 1 as is_shared,
            cast(count(distinct usage_date) as bigint) as scope_days,
            cast(count(distinct workload_key) as bigint) as workload_count,
            max(usage_date) as last_date,
            max(peak_activity_ratio) as peak_activity_ratio,
            max(peak_memory_kib) as peak_memory_kib,
            {%- for column in ['gpu_seconds', 'known_seconds', 'used_seconds', 'unknown_seconds'] %}
            cast(sum({{ column }}) as decimal(38, 6)) as {{ column }},
            {%- endfor %}
            {%- for column in ['cost_usd', 'known_cost_usd', 'used_cost_usd', 'held_idle_cost_usd'] %}
            cast(sum({{ column }}) as decimal(38, 12)) as {{ column }}{% if not loop.last %},{% endif %}
            {%- endfor %}
        from {{ hours }}
        group by scope_type, scope
    ) as sums
    inner join (
        select scope_type, scope, owner_team, row_number() over (partition by scope_type, scope order by cost_usd desc, coalesce(owner_team, '')) as choice
        from (select scope_type, scope, owner_team, sum(cost_usd) as cost_usd from {{ hours }} group by scope_type, scope, owner_team) as teams
    ) as owners on sums.scope_type = owners.scope_type and sums.scope = owners.scope and owners.choice = 1
{%- endmacro %}

{#- high, medium or low: at least two weeks of days and 95 % of the time known; one week and 80 %; else low. Never above `best`, where the saving rests on
    something that was not measured. -#}
{% macro lever_confidence(observed_days, known_ppm, best) -%}
case
  {%- if best == 'high' %}
  when {{ observed_days }} >= 14 and {{ known_ppm }} >= 950000 then 'high'
  {%- endif %}
  {%- if best != 'low' %}
  when {{ observed_days }} >= 7 and {{ known_ppm }} >= 800000 then 'medium'
  {%- endif %}
  else 'low'
end
{%- endmacro %}

{#- A row of fct_lever for each found saving (relation found: scope_type, scope, saving_usd, and what `evidence` names) that reaches the thresholds. scopes, span:
    the CTEs of lever_scopes and of the observed days. `evidence`: key -> (kind, expression), as evidence_json() writes them. All levers of a scope claim its
    dollars: one overlap group. -#}
{% macro lever_rows(kind, found, scopes, span, effort, best, evidence, assumptions, action) -%}
{%- set common = {
  'known_ratio': ('ratio', 'scopes.known_ppm'), 'scope_days': ('number', 'scopes.scope_days'), 'cost_usd': ('usd', 'scopes.cost_usd')} -%}
{%- do common.update(evidence) -%}
{%- set entries = [] -%}
{%- for key, (entry_kind, expression) in common.items() %}{% do entries.append((key, expression, entry_kind)) %}{% endfor -%}
select
    '{{ kind }}' as lever_kind,
    scopes.scope_type,
    scopes.scope,
    scopes.team,
    scopes.environment,
    span.observed_from,
    span.observed_to,
    span.observed_days,
    scopes.cost_usd as observed_cost_usd,
    found.saving_usd,
    {{ usd_per_month('found.saving_usd', 'span.observed_days') }} as saving_usd_per_month,
    {{ best if best.startswith('case') else lever_confidence('span.observed_days', 'scopes.known_ppm', best) }} as confidence,
    '{{ effort }}' as effort,
    {{ evidence_json(entries) }} as evidence,
    {{ assumptions }} as assumptions,
    {{ action }} as action,
    concat(scopes.scope_type, '/', scopes.scope) as overlap_group,
    concat('apportion explain ', case scopes.scope_type
        when 'endpoint' then concat('endpoint/', scopes.scope) when 'workload' then scopes.scope
        when 'model' then concat('--team ', coalesce(scopes.team, '''''')) else concat('--', scopes.scope_type, ' ', scopes.scope) end) as explain
from {{ found }} as found
inner join {{ scopes }} as scopes on found.scope_type = scopes.scope_type and found.scope = scopes.scope
cross join {{ span }} as span
where found.saving_usd > 0
    and scopes.known_ppm >= {{ lever_ppm('minimum_known_ratio') }}
    and span.observed_days >= {{ governance('levers.minimum_observed_days') }}
{%- endmacro %}
