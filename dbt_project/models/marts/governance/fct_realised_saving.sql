-- Grain: adopted lever x scope x day of adoption: what its scope cost before and after, for the same work, beside what the lever predicted. Days whose
-- bill is not there count for nothing, a billed day without cost of the scope counts as 0.
with

adopted as (

    select * from {{ source('policy', 'adopted_levers') }}

),

costs as (

    {% for scope_type, column in [('account', 'account_id'), ('model', 'model'), ('pool', 'pool'), ('team', 'owner_team')] -%}
    select
        '{{ scope_type }}' as scope_type, {{ column }} as scope, usage_date, cost_usd, 'used GPU-hours' as work_unit,
        case when cost_class = 'used' then cast(gpu_seconds as decimal(38, 12)) end as work
    from {{ ref('fct_cost_daily') }}
    where stage = 'allocated' and cost_class not in ('commitment_true_up', 'tax_and_fees', 'credit', 'rounding')
    union all
    {% endfor -%}
    select 'workload', workload_key, usage_date, effective_cost, 'used GPU-hours', cast({{ gpu_seconds('used_weight', scaled=true) }} as decimal(38, 12))
    from {{ ref('int_attempt_days') }}
    union all
    select 'node', node, usage_date, cost_usd, 'used GPU-hours', cast(used_seconds as decimal(38, 12))
    from {{ ref('fct_gpu_utilization_daily') }}
    union all
    select 'endpoint', endpoint, usage_date, allocated_cost_usd, 'successful requests', cast(requests_ok as decimal(38, 12))
    from {{ ref('fct_inference_unit_cost') }}
    union all
    select 'resource', resource_id, usage_date, cost_usd, cast(null as {{ dbt.type_string() }}), cast(null as decimal(38, 12))
    from {{ ref('fct_storage_resource_daily') }}
    union all
    -- of an existing commitment, what nobody used
    select 'commitment', {{ commitment_key() }}, usage_date, unused_cost_usd, null, null
    from {{ ref('fct_commitment_daily') }}
    union all
    -- of a bought one, what the family costs for a dollar at list prices
    select 'commitment', {{ eligible_scope() }}, usage_date, on_demand_cost_usd + covered_cost_usd, 'dollars at list prices',
        case when list_missing_cost_usd = 0 then coalesce(on_demand_list_cost_usd, 0) + coalesce(covered_list_cost_usd, 0) end
    from {{ ref('fct_commitment_coverage') }}

),

-- the days around each adoption
days as (

    select
        adopted.*,
        dim_date.usage_date,
        dim_date.usage_date >= adopted.adopted_on as is_after
    from adopted
    inner join {{ ref('dim_date') }} as dim_date
        on {{ days_between('dim_date.usage_date', 'adopted.adopted_on') }} between 1 - {{ governance('levers.realised.measured_days') }} and {{ governance('levers.realised.baseline_days') }}

),

billed as (

    select distinct source, usage_date from {{ ref('fct_cost_daily') }}
    where stage = 'allocated'

),

-- sources that bill on most days: a day without one of them waits for its bill
missing as (

    select lever_kind, scope_type, scope, adopted_on, usage_date
    from (
        select
            expected.lever_kind, expected.scope_type, expected.scope, expected.adopted_on, expected.usage_date, billed.usage_date as billed_date,
            min(billed.usage_date) over (partition by expected.lever_kind, expected.scope_type, expected.scope, expected.adopted_on, expected.source) as billed_from,
            count(billed.usage_date) over (partition by expected.lever_kind, expected.scope_type, expected.scope, expected.adopted_on, expected.source) * 2
                >= count(*) over (partition by expected.lever_kind, expected.scope_type, expected.scope, expected.adopted_on, expected.source) as is_daily
        from (select days.*, sources.source from days cross join (select distinct source from billed) as sources) as expected
        left join billed on expected.source = billed.source and expected.usage_date = billed.usage_date
    ) as source_days
    where is_daily and billed_date is null and usage_date > billed_from
    group by lever_kind, scope_type, scope, adopted_on, usage_date

),

scope_days as (

    select
        days.*,
        missing.usage_date is null as is_billed,
        costs.work_unit,
        costs.cost_usd,
        costs.work
    from days
    left join missing
        on days.lever_kind = missing.lever_kind and days.scope_type = missing.scope_type and days.scope = missing.scope
        and days.adopted_on = missing.adopted_on and days.usage_date = missing.usage_date
    left join costs on days.scope_type = costs.scope_type and days.scope = costs.scope and days.usage_date = costs.usage_date

),

summed as (

    select
        adopted.lever_kind,
        adopted.scope_type,
        adopted.scope,
        adopted.adopted_on,
        adopted.predicted_saving_usd_per_month,
        max(scope_days.work_unit) as work_unit,
        {%- for span, flag in [('before', 'not scope_days.is_after'), ('after', 'scope_days.is_after')] %}
        min(case when {{ flag }} and is_billed then usage_date end) as {{ span }}_from,
        max(case when {{ flag }} and is_billed then usage_date end) as {{ span }}_to,
        count(distinct case when {{ flag }} and is_billed then usage_date end) as {{ span }}_days,
        cast(coalesce(sum(case when {{ flag }} and is_billed then cost_usd end), 0) as decimal(38, 12)) as {{ span }}_cost_usd,
        sum(case when {{ flag }} and is_billed then work end) as {{ span }}_sum,
        {%- endfor %}
        count(distinct case when not is_billed then usage_date end) as unbilled_days,
        count(scope_days.cost_usd) as cost_rows
    from adopted
    left join scope_days
        on adopted.lever_kind = scope_days.lever_kind and adopted.scope_type = scope_days.scope_type and adopted.scope = scope_days.scope
        and adopted.adopted_on = scope_days.adopted_on
    group by adopted.lever_kind, adopted.scope_type, adopted.scope, adopted.adopted_on, adopted.predicted_saving_usd_per_month

),

-- GPU-seconds as hours; requests and dollars as they are
worked as (

    select
        *,
        {%- for span in ['before', 'after'] %}
        case when work_unit = 'used GPU-hours' then {{ scaled_amount(span ~ '_sum', '1', '3600') }} else cast({{ span }}_sum as decimal(38, 12)) end as {{ span }}_work,
        {%- endfor %}
        coalesce(before_sum > 0 and after_sum > 0, false) as is_per_unit
    from summed

),

expected as (

    select
        *,
        case
            when is_per_unit then {{ scaled_amount('before_cost_usd', 'after_work', 'before_work') }}
            when before_days > 0 then {{ scaled_amount('before_cost_usd', 'after_days', 'before_days') }}
        end as expected_cost_usd
    from worked

),

realised as (

    select
        *,
        case when after_days > 0 then cast(expected_cost_usd - after_cost_usd as decimal(38, 12)) end as saving_usd,
        case when after_days > 0 then {{ usd_per_month('(expected_cost_usd - after_cost_usd)', 'after_days') }} end as saving_usd_per_month,
        case when before_work > 0 and before_days > 0 and after_days > 0
            then cast(coalesce(after_work, 0) as double) * before_days / (cast(before_work as double) * after_days) - 1 end as work_change_ratio
    from expected

)

select
    lever_kind,
    scope_type,
    scope,
    adopted_on,
    before_from,
    before_to,
    cast(before_days as bigint) as before_days,
    after_from,
    after_to,
    cast(after_days as bigint) as after_days,
    cast(unbilled_days as bigint) as unbilled_days,
    before_cost_usd,
    after_cost_usd,
    work_unit,
    before_work,
    after_work,
    case when is_per_unit then 'unit' else 'day' end as basis,
    expected_cost_usd,
    saving_usd,
    saving_usd_per_month,
    predicted_saving_usd_per_month,
    cast(saving_usd_per_month as double) / cast(predicted_saving_usd_per_month as double) as realised_ratio,
    work_change_ratio,
    nullif(concat(
        case when cost_rows = 0 then 'No cost of this scope in any of these days: is its name right? ' else '' end,
        case when work_unit is not null and not is_per_unit then 'No work on one side: compared by the day. ' else '' end,
        case when abs(work_change_ratio) > {{ governance('levers.realised.volume_change_ratio', 'decimal(9, 6)') }}
            then concat('Work a day changed by ', cast(cast(round(100 * work_change_ratio) as bigint) as {{ dbt.type_string() }}), ' %. ') else '' end,
        case when unbilled_days > 0 then concat(cast(unbilled_days as {{ dbt.type_string() }}), ' days wait for their bill. ') else '' end), '') as confounders,
    case
        when cost_rows = 0 then 'unknown_scope'
        when before_days < {{ governance('levers.realised.minimum_days') }} or after_days < {{ governance('levers.realised.minimum_days') }} then 'too_early'
        when predicted_saving_usd_per_month is null then 'no_prediction'
        when saving_usd_per_month * 1000000 >= predicted_saving_usd_per_month * {{ governance_ppm('levers.realised.realised_ratio') }} then 'realised'
        when saving_usd_per_month > 0 then 'partly'
        else 'not_yet'
    end as verdict
from realised
