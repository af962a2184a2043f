{#- Alerts about endpoints: unit_cost_regression and endpoint_loses_money. Relations: fct_inference_unit_cost, dim_date, dim_workload. Days whose cost or
    counts are not whole are left out of both sides. -#}
{% macro inference_alerts(unit_costs, dates, workloads) -%}
{%- set recent_from -%}
cast({{ dbt.dateadd('day', '1 - ' ~ governance('inference.recent_days'), last_day(dates)) }} as date)
{%- endset -%}
{%- set baseline_from -%}
cast({{ dbt.dateadd('day', '1 - ' ~ governance('inference.recent_days') ~ ' - ' ~ governance('inference.baseline_days'), last_day(dates)) }} as date)
{%- endset -%}
    with inference_days as (

        select
            *,
            usage_date >= {{ recent_from }} as is_recent,
            case when requests_ok > 0 then cast(allocated_cost_usd as double) * 1000 / cast(requests_ok as double) end as day_unit_cost
        from {{ unit_costs }}
        where usage_date >= {{ baseline_from }} and usage_date <= {{ last_day(dates) }} and pricing_status = 'priced' and requests_ok is not null

    ),

    medians as (

        select endpoint, count(*) as baseline_days, {{ discrete_percentile('day_unit_cost', '0.5') }} as baseline_unit_cost
        from inference_days
        where not is_recent and requests_ok * {{ governance('inference.recent_days') }} >= {{ governance('inference.min_requests') }}
        group by endpoint

    ),

    deviations as (

        select inference_days.endpoint, {{ discrete_percentile('abs(inference_days.day_unit_cost - medians.baseline_unit_cost)', '0.5') }} as deviation
        from inference_days
        inner join medians on inference_days.endpoint = medians.endpoint
        where not inference_days.is_recent and inference_days.requests_ok * {{ governance('inference.recent_days') }} >= {{ governance('inference.min_requests') }}
        group by inference_days.endpoint

    ),

    sides as (

        select
            endpoint,
            min(case when is_recent then usage_date end) as since_date,
            max(case when is_recent then usage_date end) as usage_date,
            {% for side, test in [('recent', 'is_recent'), ('before', 'not is_recent')] -%}
            cast(count(case when {{ test }} then 1 end) as double) as {{ side }}_days,
            sum(case when {{ test }} then allocated_cost_usd end) as {{ side }}_cost,
            cast(sum(case when {{ test }} then requests_ok end) as double) as {{ side }}_requests,
            cast(sum(case when {{ test }} then held_gpu_seconds end) as double) as {{ side }}_gpu_seconds{% if not loop.last %},{% endif %}
            {% endfor %}
        from inference_days
        group by endpoint

    ),

    -- cost per request = price of a GPU-second x GPU-seconds a day / requests a day: which of the three moved
    factors as (

        select
            sides.*,
            medians.baseline_days,
            medians.baseline_unit_cost,
            deviations.deviation,
            cast(recent_cost as double) * 1000 / nullif(recent_requests, 0) as recent_unit_cost,
            recent_gpu_seconds / nullif(recent_days, 0) / nullif(before_gpu_seconds / nullif(before_days, 0), 0) as capacity_ratio,
            before_requests / nullif(before_days, 0) / nullif(recent_requests / nullif(recent_days, 0), 0) as volume_ratio,
            cast(recent_cost as double) / nullif(recent_gpu_seconds, 0) / nullif(cast(before_cost as double) / nullif(before_gpu_seconds, 0), 0) as price_ratio
        from sides
        inner join medians on sides.endpoint = medians.endpoint
        inner join deviations on sides.endpoint = deviations.endpoint

    ),

    regressions as (

        select
            *,
            case
                when price_ratio is null or capacity_ratio is null then case when volume_ratio * baseline_unit_cost >= recent_unit_cost * 0.5 + baseline_unit_cost * 0.5 then 'volume_fell' else 'price_rose' end
                when price_ratio >= capacity_ratio * volume_ratio then 'price_rose'
                when volume_ratio * volume_ratio * volume_ratio >= capacity_ratio * volume_ratio * capacity_ratio * volume_ratio then 'volume_fell'
                when capacity_ratio * capacity_ratio * capacity_ratio >= capacity_ratio * volume_ratio * capacity_ratio * volume_ratio then 'replicas_added'
                else 'utilization_fell'
            end as driver,
            cast(round(cast(recent_cost as double) - baseline_unit_cost * recent_requests / 1000, 6) as decimal(38, 12)) as extra_usd
        from factors
        where recent_requests >= {{ governance('inference.min_requests') }}
            and baseline_days >= {{ governance('inference.min_baseline_days') }}
            and recent_unit_cost >= baseline_unit_cost * {{ governance('inference.regression_ratio', 'double') }}
            and recent_unit_cost - baseline_unit_cost >= deviation * 1.4826 * {{ governance('inference.regression_deviations', 'double') }}

    ),

    losses as (

        select
            endpoint,
            min(usage_date) as since_date,
            max(usage_date) as usage_date,
            cast(count(*) as bigint) as loss_days,
            cast(sum(revenue_usd) as decimal(38, 12)) as revenue_usd,
            cast(sum(allocated_cost_usd) as decimal(38, 12)) as allocated_cost_usd,
            cast(sum(used_cost_usd) as decimal(38, 12)) as used_cost_usd,
            cast(sum(unknown_cost_usd) as decimal(38, 12)) as unknown_cost_usd,
            cast(sum(requests_ok) as bigint) as requests_ok
        from inference_days
        where is_recent and margin_usd is not null
        group by endpoint

    ),

    judged_losses as (

        select *, allocated_cost_usd - revenue_usd as loss_usd, {{ margin_verdict('loss_days > 0') }} as margin_verdict
        from losses
        where allocated_cost_usd - revenue_usd > 0 and allocated_cost_usd - revenue_usd >= {{ governance('inference.min_loss_usd', 'decimal(38, 12)') }}

    )

    select
        'unit_cost_regression' as alert_kind,
        'warning' as severity,
        workloads.team,
        'endpoint' as subject_type,
        regressions.endpoint as subject,
        regressions.since_date,
        regressions.usage_date,
        regressions.extra_usd as amount_usd,
        concat('$', {{ four_places('regressions.recent_unit_cost') }}, ' per 1,000 requests') as measured,
        concat('$', {{ four_places('regressions.baseline_unit_cost') }}, ' (median of ', cast(regressions.baseline_days as {{ dbt.type_string() }}), ' days) x ', {{ governance('inference.regression_ratio', dbt.type_string()) }}) as threshold,
        concat('1,000 requests to ', regressions.endpoint, ' cost $', {{ four_places('regressions.recent_unit_cost') }}, ', before that $', {{ four_places('regressions.baseline_unit_cost') }},
            ': ', replace(regressions.driver, '_', ' '), '; $', {{ two_places('regressions.extra_usd') }}, ' more in ', cast(cast(regressions.recent_days as bigint) as {{ dbt.type_string() }}), ' days') as message,
        concat('{"baseline_cost_per_1k_requests_usd":', {{ six_places('regressions.baseline_unit_cost') }},
            ',"baseline_days":', cast(regressions.baseline_days as {{ dbt.type_string() }}),
            ',"capacity_ratio":', coalesce({{ six_places('regressions.capacity_ratio') }}, 'null'),
            ',"cost_per_1k_requests_usd":', {{ six_places('regressions.recent_unit_cost') }},
            ',"driver":"', regressions.driver, '"',
            ',"price_ratio":', coalesce({{ six_places('regressions.price_ratio') }}, 'null'),
            ',"requests":', cast(cast(regressions.recent_requests as bigint) as {{ dbt.type_string() }}),
            ',"volume_ratio":', coalesce({{ six_places('regressions.volume_ratio') }}, 'null'), '}') as evidence,
        concat('apportion explain endpoint/', regressions.endpoint) as explain
    from regressions
    left join {{ workloads }} as workloads on concat('endpoint/', regressions.endpoint) = workloads.workload_key
    where regressions.extra_usd >= {{ governance('inference.min_regression_usd', 'decimal(38, 12)') }}
    union all
    select
        'endpoint_loses_money',
        case when judged_losses.margin_verdict = 'loses_at_scale' then 'critical' else 'warning' end,
        workloads.team,
        'endpoint',
        judged_losses.endpoint,
        judged_losses.since_date,
        judged_losses.usage_date,
        cast(judged_losses.loss_usd as decimal(38, 12)),
        concat('$', {{ two_places('judged_losses.loss_usd') }}, ' lost in ', cast(judged_losses.loss_days as {{ dbt.type_string() }}), ' days'),
        concat('$', {{ two_places(governance('inference.min_loss_usd', 'decimal(38, 12)')) }}),
        concat(judged_losses.endpoint, ' earned $', {{ two_places('judged_losses.revenue_usd') }}, ' and cost $', {{ two_places('judged_losses.allocated_cost_usd') }}, ': ',
            case judged_losses.margin_verdict
                when 'loses_at_scale' then 'on the used basis it loses too, so more traffic loses more'
                when 'loses_idle' then 'idle replicas are the loss, and volume or fewer replicas cure it'
                else 'whether idle time is the loss is not known, too little was measured'
            end),
        concat('{"allocated_cost_usd":', cast(judged_losses.allocated_cost_usd as {{ dbt.type_string() }}),
            ',"days":', cast(judged_losses.loss_days as {{ dbt.type_string() }}),
            ',"margin_verdict":"', judged_losses.margin_verdict, '"',
            ',"requests":', cast(judged_losses.requests_ok as {{ dbt.type_string() }}),
            ',"revenue_usd":', cast(judged_losses.revenue_usd as {{ dbt.type_string() }}),
            ',"unknown_cost_usd":', coalesce(cast(judged_losses.unknown_cost_usd as {{ dbt.type_string() }}), 'null'),
            ',"used_cost_usd":', cast(judged_losses.used_cost_usd as {{ dbt.type_string() }}), '}'),
        concat('apportion explain endpoint/', judged_losses.endpoint)
    from judged_losses
    left join {{ workloads }} as workloads on concat('endpoint/', judged_losses.endpoint) = workloads.workload_key
{%- endmacro %}

{% macro two_places(x) %}cast(cast({{ x }} as decimal(18, 2)) as {{ dbt.type_string() }}){% endmacro %}
{% macro four_places(x) %}cast(cast({{ x }} as decimal(18, 4)) as {{ dbt.type_string() }}){% endmacro %}
{% macro six_places(x) %}cast(cast({{ x }} as decimal(18, 6)) as {{ dbt.type_string() }}){% endmacro %}
