{#- Alerts of commitments, as `alert_columns()`: commitment_unused, commitment_expiring. Relations: fct_commitment_daily, dim_date. -#}
{% macro commitments_alerts(daily, dim_date) -%}
select {{ alert_columns() | join(', ') }} from (
with

windows as (

    select *, {{ last_day(dim_date) }} as last_day
    from ({{ commitment_windows(daily, dim_date, governance('levers.commitments.alert_days')) }}) as judged

),

unused as (

    select
        'commitment_unused' as alert_kind,
        'warning' as severity,
        team,
        'commitment' as subject_type,
        commitment_key as subject,
        observed_from as since_date,
        observed_to as usage_date,
        cast(unused_cost_usd as decimal(38, 12)) as amount_usd,
        concat(cast(cast(round(100 * cast(used_cost_usd as double) / cast(committed_cost_usd as double), 1) as decimal(9, 1)) as {{ dbt.type_string() }}), ' % used') as measured,
        concat(cast(cast(100 * {{ governance('levers.commitments.minimum_utilization_ratio', 'decimal(9, 6)') }} as decimal(9, 1)) as {{ dbt.type_string() }}), ' % used') as threshold,
        concat(commitment_key, ': ', {{ usd_text('unused_cost_usd') }}, ' of ', {{ usd_text('committed_cost_usd') }}, ' committed was used by nobody in ',
            cast(observed_days as {{ dbt.type_string() }}), ' days.') as message,
        {{ evidence_json([
            ('commitment_kind', 'commitment_kind', 'text'),
            ('committed_usd', 'cast(committed_cost_usd as decimal(38, 12))', 'number'),
            ('observed_days', 'observed_days', 'number'),
            ('unused_usd', 'cast(unused_cost_usd as decimal(38, 12))', 'number'),
            ('used_usd', 'cast(used_cost_usd as decimal(38, 12))', 'number')]) }} as evidence,
        'apportion explain --cost-class unused_commitment' as explain
    from windows
    where is_use_told
        and committed_cost_usd > 0
        and unused_cost_usd >= {{ governance('levers.commitments.minimum_unused_usd', 'decimal(38, 12)') }}
        and used_cost_usd * 1000000 < committed_cost_usd * {{ governance_ppm('levers.commitments.minimum_utilization_ratio') }}

),

ending as (

    select
        *,
        {{ days_between('last_day', 'cast(ends_at as date)') }} as days_left,
        -- what the usage would cost more at list prices, a month; unknown where a list price is
        case when list_missing_cost_usd = 0 and covered_list_cost_usd is not null and is_use_told
            then {{ usd_per_month('(covered_list_cost_usd - committed_cost_usd)', 'observed_days') }} end as worth_usd_per_month
    from windows
    where ends_at is not null

),

expiring as (

    select
        'commitment_expiring' as alert_kind,
        case when worth_usd_per_month <= 0 then 'info' when days_left <= 7 then 'critical' else 'warning' end as severity,
        team,
        'commitment' as subject_type,
        commitment_key as subject,
        observed_to as since_date,
        observed_to as usage_date,
        worth_usd_per_month as amount_usd,
        concat(cast(days_left as {{ dbt.type_string() }}), ' days left') as measured,
        concat(cast({{ governance('levers.commitments.expiring_within_days') }} as {{ dbt.type_string() }}), ' days') as threshold,
        concat(commitment_key, ' ends on ', cast(cast(ends_at as date) as {{ dbt.type_string() }}), case
            when worth_usd_per_month is null then ': what it takes off the list price is not known.'
            when worth_usd_per_month <= 0 then concat(': it costs ', {{ usd_text('-worth_usd_per_month') }}, ' a month more than what it covers at list prices.')
            else concat(': without it the same usage costs ', {{ usd_text('worth_usd_per_month') }}, ' a month more at list prices.') end) as message,
        {{ evidence_json([
            ('commitment_kind', 'commitment_kind', 'text'),
            ('committed_usd', 'cast(committed_cost_usd as decimal(38, 12))', 'number'),
            ('covered_list_usd', 'cast(covered_list_cost_usd as decimal(38, 12))', 'number'),
            ('ends_at', 'cast(ends_at as ' ~ dbt.type_string() ~ ')', 'text'),
            ('observed_days', 'observed_days', 'number')]) }} as evidence,
        'apportion explain --cost-class unused_commitment' as explain
    from ending
    where days_left between 0 and {{ governance('levers.commitments.expiring_within_days') }}

)

select {{ alert_columns() | join(', ') }} from unused
union all
select {{ alert_columns() | join(', ') }} from expiring
) as commitment_alerts
{%- endmacro %}
