{#- Levers on time that nobody wants: regular idle hours (schedule_off), abandoned notebooks (stop_notebook), nodes that a pool never needed (release_idle_pool). -#}

{#- CTE rows: pool (or node without a pool) and notebook x hour: whether all of its GPU time was known to be idle, and what that idle time cost. For a pool only time
    that nobody held counts, and somebody who holds anything in it ends the hour's idleness. -#}
{% macro idle_hours(hours) -%}
select
        scope_type, scope, usage_date, hour_from,
        {{ int_div('hour_from % 86400', '3600') }} as hour_of_day,
        case when {{ hour_of_week('hour_from') }} >= 120 then 1 else 0 end as is_weekend,
        sum(case when scope_type = 'workload' then held_idle_cost_usd else free_cost_usd end) as idle_cost_usd,
        case when scope_type = 'workload'
            then sum(known_seconds) = sum(gpu_seconds) and sum(used_seconds) * 1000000 <= sum(known_seconds) * {{ parameter('idle_threshold_ppm') }}
            else {{ is_free('sum(free_seconds)', 'sum(free_unknown_seconds)', 'sum(gpu_seconds)') }} end as is_idle
    from (
        select
            hours.*, place.scope_type, place.scope
        from (
            select
                usage_date, hour_from, pool, node, workload_key, is_notebook, gpu_seconds, known_seconds, used_seconds, held_idle_cost_usd,
                case when workload_key is null then unallocated_idle_seconds + stranded_seconds else 0 end as free_seconds,
                case when workload_key is null then unknown_seconds else 0 end as free_unknown_seconds,
                case when workload_key is null then unallocated_idle_cost_usd + stranded_cost_usd else 0 end as free_cost_usd
            from {{ hours }}
            where hour_from is not null and gpu_seconds > 0
        ) as hours
        inner join (
            select distinct pool, node, workload_key, case when pool is null then 'node' else 'pool' end as scope_type, coalesce(pool, node) as scope from {{ hours }}
            union all
            select distinct pool, node, workload_key, 'workload', workload_key from {{ hours }} where is_notebook
        ) as place
            on hours.pool is not distinct from place.pool and hours.node = place.node and hours.workload_key is not distinct from place.workload_key
    ) as placed
    group by scope_type, scope, usage_date, hour_from
{%- endmacro %}

{#- Nobody held any of the time, and at least 95 % of it was observed idle: a few scrapes missed while a node starts end no row of free hours. Their
    dollars are unknown, and no saving. -#}
{% macro is_free(free_seconds, unknown_seconds, gpu_seconds) -%}
({{ free_seconds }} + {{ unknown_seconds }} = {{ gpu_seconds }} and {{ free_seconds }} * 100 >= {{ gpu_seconds }} * 95)
{%- endmacro %}

{#- An hour of the day, on weekdays or at weekends, is off when it was idle each time that it was seen, on at least `minimum_schedule_days` days, in a row of at least
    `minimum_schedule_hours` such hours (over midnight too). What is idle at every hour is no schedule: it is to be given back. -#}
{% macro schedule_off_levers(idle_hours, scopes, span) -%}
{%- set found -%}
(select
        hours.scope_type, hours.scope, cast(sum(hours.idle_cost_usd) as decimal(38, 12)) as saving_usd, cast(count(*) as bigint) as off_hours,
        cast(count(distinct case when hours.is_weekend = 0 then hours.hour_of_day end) as bigint) as weekday_hours,
        cast(count(distinct case when hours.is_weekend = 1 then hours.hour_of_day end) as bigint) as weekend_hours,
        cast(min(case when hours.is_weekend = 0 then hours.hour_of_day end) as bigint) as first_weekday_hour
    from {{ idle_hours }} as hours
    inner join (
        select distinct scope_type, scope, is_weekend, place % 24 as hour_of_day
        from (
            select *, count(*) over (partition by scope_type, scope, is_weekend, streak) as streak_hours
            from (
                select *, place - row_number() over (partition by scope_type, scope, is_weekend order by place) as streak
                from (
                    select slots.scope_type, slots.scope, slots.is_weekend, slots.hour_of_day + rounds.hours as place
                    from (
                        select scope_type, scope, is_weekend, hour_of_day
                        from {{ idle_hours }}
                        group by scope_type, scope, is_weekend, hour_of_day
                        having min(case when is_idle then 1 else 0 end) = 1 and count(*) >= {{ governance('levers.minimum_schedule_days') }}
                    ) as slots
                    cross join (select 0 as hours union all select 24) as rounds
                ) as twice
            ) as placed
        ) as streaks
        where streak_hours >= {{ governance('levers.minimum_schedule_hours') }}
    ) as slots
        on hours.scope_type = slots.scope_type and hours.scope = slots.scope and hours.is_weekend = slots.is_weekend and hours.hour_of_day = slots.hour_of_day
    inner join (
        select scope_type, scope from {{ idle_hours }} group by scope_type, scope having min(case when is_idle then 1 else 0 end) = 0
    ) as at_work on hours.scope_type = at_work.scope_type and hours.scope = at_work.scope
    group by hours.scope_type, hours.scope)
{%- endset -%}
{{ lever_rows('schedule_off', found, scopes, span, 'low', 'high', {
  'off_hours': ('number', 'found.off_hours'), 'off_hours_a_weekday': ('number', 'found.weekday_hours'), 'off_hours_a_weekend_day': ('number', 'found.weekend_hours')},
  "'hours that were idle on every observed day of their kind (weekday, weekend; UTC) stay so; on-demand nodes can be stopped by the hour'",
  "'scale to zero by a schedule in the hours that were always idle'") }}
{%- endmacro %}

{#- Held on the last published day, and on each of at least `notebook_idle_days` days up to it below the threshold and known: those days' idle dollars. -#}
{% macro stop_notebook_levers(hours, scopes, span) -%}
{%- set found -%}
(select
        'workload' as scope_type, scope, cast(count(*) as bigint) as idle_days, min(judged.usage_date) as idle_since_date, max(day_activity_ppm) as day_activity_ppm,
        cast(sum(held_idle_cost_usd) as decimal(38, 12)) as saving_usd
    from (
        select *, max(case when is_abandoned then null else usage_date end) over (partition by scope) as last_used_date,
            max(usage_date) over (partition by scope) as last_held_date,
            {{ day_number('usage_date') }} + row_number() over (partition by scope order by usage_date desc) as streak,
            {{ day_number('max(usage_date) over (partition by scope)') }} + 1 as unbroken
        from (
            select
                scope, usage_date, sum(held_idle_cost_usd) as held_idle_cost_usd, {{ ppm_of('sum(used_seconds)', 'sum(known_seconds)') }} as day_activity_ppm,
                coalesce({{ ppm_of('sum(used_seconds)', 'sum(known_seconds)') }} < {{ lever_ppm('notebook_below_activity_ratio') }}
                    and {{ ppm_of('sum(known_seconds)', 'sum(gpu_seconds)') }} >= {{ lever_ppm('minimum_known_ratio') }}, false) as is_abandoned
            from {{ hours }}
            where is_notebook
            group by scope, usage_date
        ) as days
    ) as judged
    cross join (select max(usage_date) as last_date from {{ hours }}) as latest
    where judged.last_held_date = latest.last_date and judged.streak = judged.unbroken
        and (judged.last_used_date is null or judged.usage_date > judged.last_used_date)
    group by scope
    having count(*) >= {{ governance('levers.notebook_idle_days') }})
{%- endset -%}
{{ lever_rows('stop_notebook', found, scopes, span, 'low', 'high', {
  'idle_days': ('number', 'found.idle_days'), 'idle_since_date': ('text', 'cast(found.idle_since_date as ' ~ dbt.type_string() ~ ')'),
  'busiest_day_activity_ratio': ('ratio', 'found.day_activity_ppm'), 'below_activity_ratio': ('ratio', lever_ppm('notebook_below_activity_ratio'))},
  "'it stays as idle as in these days; what its owner keeps in memory is saved first'", "'ask its owner, then stop it; set an idle timeout for notebooks'") }}
{%- endmacro %}

{#- The nodes that were free (held by nobody, known to be idle) in every hour from the pool's first to the last published day: the least number of free nodes of any
    hour. Of each hour's free dollars that part is saved. An hour that nobody billed, or that nobody knows, has no free node. -#}
{% macro release_idle_pool_levers(hours, scopes, span) -%}
{%- set found -%}
(select
        scope_type, scope, min(free_nodes) as free_nodes, max(nodes) as nodes,
        cast(sum({{ proportion('free_cost_usd', 'least_free_nodes', 'free_nodes') }}) as decimal(38, 12)) as saving_usd
    from (
        select
            *,
            min(free_nodes) over (partition by scope_type, scope) as least_free_nodes,
            count(*) over (partition by scope_type, scope) as seen_hours,
            {{ int_div('max(hour_from) over (partition by scope_type, scope) - min(hour_from) over (partition by scope_type, scope)', '3600') }} + 1 as all_hours,
            max(usage_date) over (partition by scope_type, scope) as last_seen_date,
            {{ day_number('max(usage_date) over (partition by scope_type, scope)') }} - {{ day_number('min(usage_date) over (partition by scope_type, scope)') }} + 1 as seen_days,
            max(usage_date) over () as last_date
        from (
            select
                scope_type, scope, usage_date, hour_from, cast(count(*) as bigint) as nodes, cast(sum(is_free) as bigint) as free_nodes,
                cast(sum(case when is_free = 1 then free_cost_usd else 0 end) as decimal(38, 12)) as free_cost_usd
            from (
                select
                    case when pool is null then 'node' else 'pool' end as scope_type, coalesce(pool, node) as scope, node_key, usage_date, hour_from,
                    case when sum(gpu_seconds) > 0 and {{ is_free('sum(case when workload_key is null then unallocated_idle_seconds + stranded_seconds else 0 end)',
                        'sum(case when workload_key is null then unknown_seconds else 0 end)', 'sum(gpu_seconds)') }} then 1 else 0 end as is_free,
                    sum(case when workload_key is null then unallocated_idle_cost_usd + stranded_cost_usd else 0 end) as free_cost_usd
                from {{ hours }}
                where hour_from is not null
                group by pool, node, node_key, usage_date, hour_from
            ) as node_hours
            group by scope_type, scope, usage_date, hour_from
        ) as pool_hours
    ) as judged
    where least_free_nodes > 0 and seen_hours = all_hours and last_seen_date = last_date and seen_days >= {{ governance('levers.minimum_observed_days') }}
    group by scope_type, scope)
{%- endset -%}
{{ lever_rows('release_idle_pool', found, scopes, span, 'low', 'high', {
  'free_nodes_at_every_hour': ('number', 'found.free_nodes'), 'nodes': ('number', 'found.nodes')},
  "'the workloads of the pool can be placed on the nodes that remain; what is committed to these nodes is not refunded'",
  "concat('release ', cast(found.free_nodes as " ~ dbt.type_string() ~ "), ' node(s), or lower the least size of the pool')") }}
{%- endmacro %}
