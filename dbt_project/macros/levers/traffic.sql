{#- Levers on endpoints: hours without requests (scale_to_zero), replicas above what the busiest hour needs (downsize_endpoint). -#}

{#- CTE rows: endpoint x hour with what it held and what it was asked; requests NULL where nobody counted the hour. -#}
{% macro endpoint_hours(hours, inference_hourly, window) -%}
select
        held.*,
        requests.requests,
        requests.endpoint is not null as is_counted
    from (
        select
            scope, hour_from, sum(gpu_seconds) as gpu_seconds, sum(known_seconds) as known_seconds, sum(used_seconds) as used_seconds,
            max(case when is_shared then 1 else 0 end) = 1 as is_shared,
            max(case when attempt_count > 0 then {{ int_div('2 * ' ~ gpu_micros('gpu_seconds') ~ ' + 3600000000 * attempt_count', '7200000000 * attempt_count') }} end) as gpus_per_replica,
            cast(sum(known_cost_usd) as decimal(38, 12)) as known_cost_usd, cast(sum(held_idle_cost_usd) as decimal(38, 12)) as held_idle_cost_usd
        from {{ hours }}
        where scope_type = 'endpoint' and hour_from is not null
        group by scope, hour_from
    ) as held
    left join (
        select counts.endpoint, {{ epoch_seconds('counts.usage_hour') }} as hour_from, coalesce(counts.requests_ok, 0) + coalesce(counts.requests_failed, 0) as requests
        from {{ inference_hourly }} as counts
        inner join {{ window }} as span on counts.usage_date >= span.first_date and counts.usage_date <= span.last_date
        where counts.requests_ok is not null or counts.requests_failed is not null
    ) as requests on held.scope = requests.endpoint and held.hour_from = requests.hour_from
{%- endmacro %}

{#- An hour is quiet when no request was counted and the GPUs were measured idle throughout: a silent counter alone proves nothing. Of a stretch of at least
    `minimum_idle_hours` all but the first hour is saved, in which scaling down waits. -#}
{% macro scale_to_zero_levers(endpoint_hours, scopes, span) -%}
{%- set found -%}
(select
        'endpoint' as scope_type, scope, cast(count(*) as bigint) as quiet_hours, cast(count(requests) as bigint) as counted_quiet_hours,
        max(counted_hours) as counted_hours, max(held_hours) as held_hours,
        cast(sum(case when place > 1 then held_idle_cost_usd else 0 end) as decimal(38, 12)) as saving_usd
    from (
        select *, count(*) over (partition by scope, streak) as streak_hours, row_number() over (partition by scope, streak order by hour_from) as place
        from (
            select *, {{ hour_streak('scope, is_quiet') }} as streak
            from (
                select
                    *,
                    coalesce(requests, 0) = 0 and known_seconds = gpu_seconds and used_seconds * 1000000 <= known_seconds * {{ parameter('idle_threshold_ppm') }} as is_quiet,
                    count(requests) over (partition by scope) as counted_hours,
                    count(*) over (partition by scope) as held_hours
                from {{ endpoint_hours }}
            ) as judged
        ) as numbered
        where is_quiet
    ) as stretches
    where streak_hours >= {{ governance('levers.minimum_idle_hours') }}
    group by scope)
{%- endset -%}
{{ lever_rows('scale_to_zero', found, scopes, span, 'medium', "case when found.counted_hours = 0 then 'low' when found.counted_quiet_hours = found.quiet_hours then "
    ~ lever_confidence('span.observed_days', 'scopes.known_ppm', 'high') ~ ' else ' ~ lever_confidence('span.observed_days', 'scopes.known_ppm', 'medium') ~ ' end', {
  'quiet_hours': ('number', 'found.quiet_hours'), 'quiet_hours_counted': ('number', 'found.counted_quiet_hours'), 'held_hours': ('number', 'found.held_hours')},
  "'a quiet hour has no counted request and idle GPUs; the first hour of each stretch is kept; the first request after it waits for a start'",
  "'let the endpoint scale to zero replicas when no request comes'") }}
{%- endmacro %}

{#- The busiest hour at the target activity needs so many GPUs, in whole replicas, at least `minimum_replicas`; in hours that are known throughout, what was held
    above that is saved. Hours that are known in part count with their whole for the peak. -#}
{% macro downsize_endpoint_levers(endpoint_hours, scopes, span) -%}
{%- set found -%}
(select
        'endpoint' as scope_type, scope, max(peak_used_micros) as peak_used_micros, max(gpus_per_replica) as gpus_per_replica, max(replicas) as replicas,
        max(requests) as peak_requests, max(gpu_seconds) as peak_held_seconds,
        cast(sum(case when known_seconds = gpu_seconds then {{ proportion('known_cost_usd',
            'greatest(' ~ gpu_micros('gpu_seconds') ~ ' - replicas * gpus_per_replica * 3600000000, 0)', gpu_micros('gpu_seconds')) }} else 0 end) as decimal(38, 12)) as saving_usd
    from (
        select *, greatest({{ governance('levers.minimum_replicas') }},
            {{ rounded_up(rounded_up('peak_used_micros * 1000000', '3600000000 * ' ~ lever_ppm('target_activity_ratio')), 'gpus_per_replica') }}) as replicas
        from (
            select
                scope, hour_from, gpu_seconds, known_seconds, known_cost_usd, requests,
                max(greatest(coalesce(gpus_per_replica, 1), 1)) over (partition by scope) as gpus_per_replica,
                max({{ int_div(gpu_micros('used_seconds') ~ ' * ' ~ wide_int(gpu_micros('gpu_seconds')), 'nullif(' ~ gpu_micros('known_seconds') ~ ', 0)') }})
                    over (partition by scope) as peak_used_micros,
                max(case when is_shared then 1 else 0 end) over (partition by scope) as is_shared
            from {{ endpoint_hours }}
        ) as peaks
        where is_shared = 0 and peak_used_micros is not null
    ) as sized
    group by scope)
{%- endset -%}
{{ lever_rows('downsize_endpoint', found, scopes, span, 'low', 'high', {
  'peak_hour_used_gpus': ('number', "cast(cast(found.peak_used_micros as decimal(38, 6)) * cast('0.000000000278' as decimal(12, 12)) as decimal(38, 2))"),
  'peak_hour_held_gpus': ('number', "cast(found.peak_held_seconds * cast('0.000277777778' as decimal(12, 12)) as decimal(38, 2))"),
  'peak_hour_requests': ('number', 'found.peak_requests'), 'gpus_per_replica': ('number', 'found.gpus_per_replica'), 'replicas_needed': ('number', 'found.replicas'),
  'target_activity_ratio': ('ratio', lever_ppm('target_activity_ratio'))},
  "'the busiest hour is as busy as it gets; peaks within an hour fit into the head-room above the target activity'",
  "concat('keep ', cast(found.replicas as " ~ dbt.type_string() ~ "), ' replica(s), or let an autoscaler hold the target activity')") }}
{%- endmacro %}
