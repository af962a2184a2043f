{#- A query: endpoint x UTC hour: seconds that its replicas (attempts) held a GPU, and how many of them did nothing. A replica's hour is idle where its
    measured activity is at most the idle threshold, or, where nobody measured it, where it was counted and had no request; busy silicon is
    never called idle, and what nobody measured or counted is unknown. Seconds of a replica: its longest hold of any one GPU in the hour.
    CTEs handed in by name: attempts (endpoint x attempt x hour, weights), ledger (the same, dollars), counted (rows of the counts by replica),
    counts (their sums by endpoint); relations: segments, workload_attempts. -#}
{% macro replica_hours(attempts, ledger, counted, counts, segments, workload_attempts) -%}
    select
        usage_date,
        endpoint,
        hour_from,
        sum(seconds) as replica_seconds,
        sum(case when is_idle then seconds else 0 end) as idle_replica_seconds,
        sum(case when requests = 0 and not coalesce(is_busy, false) then seconds else 0 end) as no_request_replica_seconds,
        sum(case when is_idle is null then seconds else 0 end) as unknown_replica_seconds,
        sum(case when is_idle then cost_usd end) as idle_replica_cost_usd
    from (
        select
            *,
            case when is_busy is not null then not is_busy when requests is not null then requests = 0 end as is_idle
        from (
            select
                attempts.usage_date,
                attempts.endpoint,
                attempts.hour_from,
                spans.seconds,
                costs.cost_usd,
                case when attempts.measured_weight > 0 then attempts.used_weight > attempts.measured_weight * {{ parameter('idle_threshold_ppm') }} end as is_busy,
                coalesce(own.requests, case when counts.requests_ok + counts.requests_failed = 0 then 0 end) as requests
            from {{ attempts }} as attempts
            inner join (
                select usage_date, attempt_key, hour_from, max(seconds) as seconds
                from (
                    select usage_date, attempt_key, hour_from, unit_key, sum(to_second - from_second) as seconds
                    from {{ segments }}
                    where workload_key like 'endpoint/%'
                    group by usage_date, attempt_key, hour_from, unit_key
                ) as units
                group by usage_date, attempt_key, hour_from
            ) as spans
                on attempts.usage_date = spans.usage_date and attempts.attempt_key = spans.attempt_key and attempts.hour_from = spans.hour_from
            left join (
                select usage_date, attempt_key, hour_from, sum(allocated_cost_usd) as cost_usd from {{ ledger }} group by usage_date, attempt_key, hour_from
            ) as costs
                on attempts.usage_date = costs.usage_date and attempts.attempt_key = costs.attempt_key and attempts.hour_from = costs.hour_from
            left join {{ counts }} as counts
                on attempts.usage_date = counts.usage_date and attempts.endpoint = counts.endpoint and attempts.hour_from = counts.hour_from
            left join (
                select counted.usage_date, counted.hour_from, named.attempt_key, sum(counted.requests_ok + counted.requests_failed) as requests
                from {{ counted }} as counted
                inner join (
                    select workload_id as endpoint, attempt_key, pod as replica from {{ workload_attempts }} where workload_type = 'endpoint' and pod is not null
                    union
                    select workload_id, attempt_key, pod_uid from {{ workload_attempts }} where workload_type = 'endpoint' and pod_uid is not null
                    union
                    select workload_id, attempt_key, attempt_id from {{ workload_attempts }} where workload_type = 'endpoint'
                ) as named
                    on counted.endpoint = named.endpoint and counted.replica = named.replica
                where counted.source_rank = 1
                group by counted.usage_date, counted.hour_from, named.attempt_key
            ) as own
                on attempts.usage_date = own.usage_date and attempts.attempt_key = own.attempt_key and attempts.hour_from = own.hour_from
        ) as seen
    ) as judged
    group by usage_date, endpoint, hour_from
{%- endmacro %}
