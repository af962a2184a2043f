{#- The lever `cheaper_configuration`: an endpoint could serve its task by another configuration that was measured, meets everything that the task asks,
    and costs less for 1,000 requests. Relations: fct_serving_configuration, dim_workload. -#}
{% macro inference_levers(configurations, workloads) -%}
    select
        'cheaper_configuration' as lever_kind,
        'endpoint' as scope_type,
        used.endpoint as scope,
        workloads.team,
        workloads.environment,
        used.observed_from,
        used.observed_to,
        used.observed_days,
        used.cost_usd as observed_cost_usd,
        {{ saved_by_configuration() }} as saving_usd,
        {{ usd_per_month('(' ~ saved_by_configuration() ~ ')', 'used.observed_days') }} as saving_usd_per_month,
        case when used.hosting = 'self_hosted' and best.hosting = 'self_hosted' and used.quality is not null and best.quality is not null then 'medium' else 'low' end as confidence,
        case when used.hosting = best.hosting then 'medium' else 'high' end as effort,
        concat(
            '{"cheaper_configuration":', {{ json_string('best.configuration') }},
            ',"cheaper_cost_per_1k_requests_usd":', cast(best.cost_per_1k_requests_usd as {{ dbt.type_string() }}),
            ',"cheaper_endpoint":', {{ json_string('best.endpoint') }},
            ',"cheaper_error_ratio":', coalesce(cast(best.error_ratio as {{ dbt.type_string() }}), 'null'),
            ',"cheaper_latency_p95_seconds":', coalesce(cast(best.latency_p95_seconds as {{ dbt.type_string() }}), 'null'),
            ',"cheaper_quality":', coalesce(cast(best.quality as {{ dbt.type_string() }}), 'null'),
            ',"cheaper_requests":', cast(best.requests_ok as {{ dbt.type_string() }}),
            ',"configuration":', {{ json_string('used.configuration') }},
            ',"cost_per_1k_requests_usd":', cast(used.cost_per_1k_requests_usd as {{ dbt.type_string() }}),
            ',"requests":', cast(used.requests_ok as {{ dbt.type_string() }}),
            ',"task":', {{ json_string('used.task') }}, '}'
        ) as evidence,
        concat(
            'the requests could be served at the observed cost per 1,000 of the cheaper configuration',
            case when used.hosting = 'self_hosted' then '; the replicas that they hold now are released' else '' end,
            case when best.hosting = 'managed_api' then '; the gateway''s price map is what the provider will bill' else '' end,
            '; latency, errors and quality stay as they were measured'
        ) as assumptions,
        concat('serve ', used.task, ' by ', best.endpoint, ' (', best.configuration, ') instead of ', used.configuration) as action,
        concat('endpoint/', used.endpoint) as overlap_group,
        concat('apportion explain endpoint/', used.endpoint) as explain
    from {{ configurations }} as used
    inner join {{ configurations }} as best
        on used.task = best.task
        and best.is_cheapest_that_meets
        and (best.endpoint <> used.endpoint or best.configuration <> used.configuration)
    left join {{ workloads }} as workloads on concat('endpoint/', used.endpoint) = workloads.workload_key
    where used.is_current and used.requests_ok > 0 and used.cost_usd is not null and used.observed_days > 0
        and used.cost_per_1k_requests_usd > best.cost_per_1k_requests_usd
{%- endmacro %}

{#- What the requests of `used` cost more than at the cost per request of `best`: exact up to one rounding of the unit of 1e-12. -#}
{% macro saved_by_configuration() -%}
cast(used.cost_usd - {{ token_part('best.cost_usd', wide_int('used.requests_ok'), wide_int('best.requests_ok')) }} as decimal(38, 12))
{%- endmacro %}
