-- Grain: pool x recipient, and allocated row that was handed out (with the sign turned): the zero-sum rows of the distribution rules.
-- Per distribution_key and basis they sum to zero exactly (attribution rules, section 6).
{{ config(materialized='table') }}

with

pools as (

    select * from {{ ref('int_distribution_pools') }}

),

shares as (

    select * from {{ ref('int_distribution_shares') }}

),

totals as (

    select pool_key, {{ wide_int('sum(weight)') }} as total_weight
    from shares
    group by pool_key

),

units as (

    select
        pools.*,
        shares.recipient_key,
        shares.weight as share_weight,
        totals.total_weight,
        {%- for basis in allocated_bases() %}
        {{ allocation_units('pools.' ~ basis) }} as {{ basis }}_units{% if not loop.last %},{% endif %}
        {%- endfor %}
    from pools
    inner join shares on pools.pool_key = shares.pool_key
    inner join totals on pools.pool_key = totals.pool_key

),

floors as (

    select
        *,
        {%- for basis in allocated_bases() %}
        {{ allocation_floor(basis ~ '_units', 'share_weight', 'total_weight') }} as {{ basis }}_floor,
        {{ allocation_remainder(basis ~ '_units', 'share_weight', 'total_weight') }} as {{ basis }}_remainder{% if not loop.last %},{% endif %}
        {%- endfor %}
    from units

),

ranked as (

    select
        *,
        {%- for basis in allocated_bases() %}
        {{ basis }}_units - sum({{ basis }}_floor) over (partition by pool_key) as {{ basis }}_leftover,
        row_number() over (partition by pool_key order by {{ basis }}_remainder desc, recipient_key) as {{ basis }}_rank{% if not loop.last %},{% endif %}
        {%- endfor %}
    from floors

),

workload_tags as (

    select * from {{ ref('int_workload_day_tags') }}

),

received as (

    select
        ranked.usage_date,
        ranked.pool_key as bucket_key,
        ranked.source,
        ranked.provider,
        ranked.billing_period,
        ranked.invoice_id,
        ranked.billing_account_id,
        ranked.account_id,
        cast(ranked.usage_date as timestamp) as window_start,
        cast({{ dbt.dateadd('day', 1, 'ranked.usage_date') }} as timestamp) as window_end,
        ranked.service,
        cast(null as {{ dbt.type_string() }}) as sku,
        cast(null as {{ dbt.type_string() }}) as region,
        cast(null as {{ dbt.type_string() }}) as resource_id,
        cast(null as {{ dbt.type_string() }}) as node,
        ranked.pool,
        ranked.cluster,
        ranked.namespace,
        ranked.line_item_type,
        ranked.charge_category,
        ranked.charge_class,
        cast(null as {{ dbt.type_string() }}) as pricing_category,
        cast(null as {{ dbt.type_string() }}) as commitment_id,
        ranked.currency,
        ranked.exchange_rate,
        case when ranked.recipient = 'workload' then ranked.recipient_key end as workload_key,
        case when ranked.recipient = 'workload' then {{ dbt.split_part('ranked.recipient_key', "'/'", 1) }} end as workload_type,
        cast(null as {{ dbt.type_string() }}) as attempt_key,
        case when ranked.recipient = 'team' then ranked.recipient_key else workload_tags.team end as team,
        workload_tags.model,
        workload_tags.environment,
        workload_tags.project,
        -- what nobody had is now somebody's cost of running; every other class stays what it is
        case when ranked.cost_class = 'unattributed' then 'not_measured' else ranked.cost_class end as cost_class,
        'rule' as route,
        'other' as component,
        ranked.reason,
        'distribution' as evidence,
        ranked.weight as method_id,
        cast(null as {{ dbt.type_string() }}) as activity_rung,
        cast(null as decimal(9, 6)) as activity_coverage_ratio,
        cast(null as {{ dbt.type_string() }}) as sharing,
        cast(null as boolean) as is_unmeasured,
        'distributed' as stage,
        ranked.rule_id,
        ranked.pool_key as distribution_key,
        cast(ranked.share_weight as decimal(38, 0)) as allocation_weight,
        cast(ranked.total_weight as decimal(38, 0)) as bucket_weight,
        cast(null as decimal(38, 6)) as gpu_seconds,
        {%- for basis in allocated_bases() %}
        {{ allocation_amount('ranked.' ~ basis, basis ~ '_floor', basis ~ '_leftover', basis ~ '_rank') }} as {{ basis }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from ranked
    left join workload_tags
        on ranked.recipient = 'workload' and ranked.usage_date = workload_tags.usage_date and ranked.recipient_key = workload_tags.workload_key

),

handed_out as (

    select
        {%- for column in ledger_columns() %}
        {%- if column in allocated_bases() %}
        -allocations.{{ column }} as {{ column }}
        {%- elif column == 'stage' %}
        'distributed' as stage
        {%- elif column == 'route' %}
        'rule' as route
        {%- elif column == 'evidence' %}
        'distribution' as evidence
        {%- elif column == 'rule_id' %}
        pools.rule_id
        {%- elif column == 'distribution_key' %}
        pools.pool_key as distribution_key
        {%- elif column == 'gpu_seconds' %}
        cast(null as decimal(38, 6)) as gpu_seconds
        {%- else %}
        allocations.{{ column }}
        {%- endif %}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ ref('int_bucket_allocations') }} as allocations
    inner join pools
        on allocations.usage_date = pools.usage_date
        {%- for column in distribution_conditions() + distribution_origins() %}
        and allocations.{{ column }} is not distinct from pools.{{ column }}
        {%- endfor %}
    inner join totals on pools.pool_key = totals.pool_key
    where allocations.workload_key is null

)

select {{ ledger_columns() | join(', ') }} from received
union all
select {{ ledger_columns() | join(', ') }} from handed_out
