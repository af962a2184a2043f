{#- Alerts about the running of things: GPUs that do nothing, sources that fell silent, dollars that do not reach the release. Each macro
    returns a SELECT of alert_columns(). Does not belong here: what only the wall clock or a failed night can tell (pipelines/alerting). -#}

{#- GPUs below x % for n hours in a row up to now, and over $y together. A held GPU's subject is its workload, a free one's its pool, else its
    node: what one owner can act on at once is one alert. An hour without a value breaks the row; silent GPUs are stale, not idle. -#}
{% macro idle_gpu_alerts(utilization, nodes, workloads, dim_date) -%}
with

hours as (

    select
        gpu_key, node, pool, main_workload_key, pricing_status,
        {{ epoch_seconds('usage_hour') }} as hour_from,
        covered_seconds > 0 as is_observed,
        held_seconds > 0 as is_held,
        covered_seconds > 0 and coalesce(activity_ratio * 100 < {{ governance('alerts.idle_gpu_below_percent', 'decimal(9, 6)') }}, false) as is_low,
        held_idle_cost_usd + unallocated_idle_cost_usd + stranded_cost_usd as idle_cost_usd
    from {{ utilization }}
    where usage_date > {{ dbt.dateadd('day', -1 * idle_lookback_days(), last_day(dim_date)) }} and gpu_key not like '%|unplaced'

),

{{ low_streaks('hours', 'is_low') }},

latest as (

    select ranked.*
    from ranked
    cross join frontier
    where ranked.is_observed and ranked.is_low and ranked.recency = 1 and frontier.hour_from - ranked.hour_from <= 3600 * {{ silent_after_hours() }}

),

gpus as (

    select
        latest.gpu_key,
        min(latest.node) as node,
        min(latest.pool) as pool,
        min(case when latest.is_held then latest.main_workload_key end) as workload_key,
        min(ranked.hour_from) as low_from,
        count(*) as low_hours,
        sum(case when ranked.pricing_status = 'awaiting_bill' then 1 else 0 end) as awaiting_hours,
        sum(ranked.idle_cost_usd) as idle_cost_usd
    from latest
    inner join ranked on latest.gpu_key = ranked.gpu_key and latest.streak = ranked.streak and ranked.is_low
    group by latest.gpu_key
    having count(*) >= {{ governance('alerts.idle_gpu_hours') }}

),

owners as (

    select node_key, owner_team, {{ node_recency() }} as recency
    from {{ nodes }}

),

subjects as (

    select
        gpus.*,
        case when gpus.workload_key is not null then 'workload' when gpus.pool is not null then 'pool' else 'node' end as subject_type,
        coalesce(gpus.workload_key, gpus.pool, gpus.node) as subject,
        coalesce(workloads.team, owners.owner_team) as team
    from gpus
    left join {{ workloads }} as workloads on gpus.workload_key = workloads.workload_key
    left join owners
        on {{ node_of_gpu('gpus.gpu_key') }} = owners.node_key
        and owners.recency = 1

),

grouped as (

    select
        subject_type,
        subject,
        team,
        count(*) as gpu_count,
        count(distinct node) as node_count,
        min(node) as first_node,
        min(low_hours) as low_hours,
        min(low_from) as low_from,
        sum(awaiting_hours) as awaiting_hours,
        cast(sum(idle_cost_usd) as decimal(38, 12)) as amount_usd
    from subjects
    group by subject_type, subject, team
    -- without any price nobody can say that it is cheap: it is told, mildly
    having sum(idle_cost_usd) >= {{ governance('alerts.idle_gpu_usd', 'decimal(38, 12)') }} or sum(idle_cost_usd) is null

)

select
    'idle_gpu' as alert_kind,
    case when amount_usd is null then 'info' else 'warning' end as severity,
    team,
    subject_type,
    subject,
    cast({{ timestamp_of('low_from') }} as date) as since_date,
    {{ last_day(dim_date) }} as usage_date,
    amount_usd,
    concat(cast(gpu_count as {{ dbt.type_string() }}), ' GPUs for ', cast(low_hours as {{ dbt.type_string() }}), ' hours, ',
        coalesce({{ usd_text('amount_usd') }}, 'not priced yet')) as measured,
    concat('below ', {{ governance('alerts.idle_gpu_below_percent', dbt.type_string()) }}, ' % for ', {{ governance('alerts.idle_gpu_hours', dbt.type_string()) }},
        ' hours and $', {{ governance('alerts.idle_gpu_usd', dbt.type_string()) }}) as threshold,
    concat(cast(gpu_count as {{ dbt.type_string() }}), case when gpu_count = 1 then ' GPU on ' else ' GPUs on ' end, cast(node_count as {{ dbt.type_string() }}),
        case when node_count = 1 then ' node, ' else ' nodes, ' end, subject_type, ' ', subject, case when gpu_count = 1 then ', has been below ' else ', have been below ' end, {{ governance('alerts.idle_gpu_below_percent', dbt.type_string()) }}, ' % activity for at least ',
        cast(low_hours as {{ dbt.type_string() }}), ' hours',
        case when amount_usd is not null then concat(': ', {{ usd_text('amount_usd') }}, ' bought nothing.') else '; what that cost is not priced yet.' end) as message,
    {{ evidence_json([
        ('awaiting_bill_hours', 'awaiting_hours', 'number'), ('gpus', 'gpu_count', 'number'), ('idle_usd', 'amount_usd', 'number'),
        ('low_hours', 'low_hours', 'number'), ('nodes', 'node_count', 'number'), ('first_node', 'first_node', 'text')]) }} as evidence,
    concat('apportion explain ', case subject_type when 'workload' then '' when 'pool' then '--pool ' else '--node ' end, {{ command_word('subject') }}) as explain
from grouped
{%- endmacro %}

{#- Sources whose newest data lies too far behind the last published day. A bill, telemetry and request counts come every day: a stated number of
    days. Runs come when somebody works: twice the longest pause so far, once five are known; before that a source is not judged. -#}
{% macro stale_source_alerts(deliveries, limits, dim_date) -%}
{%- set daily = kinds_of_fact('charges') + kinds_of_fact('gpu_samples') + kinds_of_fact('inference_counts') -%}
{%- set irregular = kinds_of_fact('workload_intervals') -%}
with

told_days as (

    select source, min(kind) as kind, covers_to
    from {{ deliveries }}
    where covers_to is not null and kind in ('{{ (daily + irregular) | join("', '") }}')
    group by source, covers_to

),

steps as (

    select
        source, kind, covers_to,
        {{ dbt.datediff('lag(covers_to) over (partition by source order by covers_to)', 'covers_to', 'day') }} as step_days
    from told_days

),

newest as (

    select source, min(kind) as kind, max(covers_to) as data_through, max(step_days) as longest_pause_days, count(step_days) as pause_count
    from steps
    group by source

),

judged as (

    select
        newest.source,
        newest.kind,
        newest.data_through,
        newest.longest_pause_days,
        {{ last_day(dim_date) }} as as_of_date,
        {{ dbt.datediff('newest.data_through', last_day(dim_date), 'day') }} as behind_days,
        coalesce(limits.limit_days, case
            when newest.kind in ('{{ daily | join("', '") }}') then {{ governance('alerts.stale_source_days') }}
            when newest.pause_count >= 5 then greatest({{ governance('alerts.stale_source_days') }}, 2 * newest.longest_pause_days)
        end) as limit_days
    from newest
    left join {{ limits }} as limits on newest.source = limits.source

)

select
    'stale_source' as alert_kind,
    'warning' as severity,
    cast(null as {{ dbt.type_string() }}) as team,
    'source' as subject_type,
    source as subject,
    cast({{ dbt.dateadd('day', 'limit_days + 1', 'data_through') }} as date) as since_date,
    as_of_date as usage_date,
    cast(null as decimal(38, 12)) as amount_usd,
    concat(cast(behind_days as {{ dbt.type_string() }}), ' days behind') as measured,
    concat(cast(limit_days as {{ dbt.type_string() }}), ' days') as threshold,
    concat('Source ', source, ' (', kind, ') has delivered nothing after ', cast(data_through as {{ dbt.type_string() }}), ': ',
        cast(behind_days as {{ dbt.type_string() }}), ' days behind the last published day, ', cast(limit_days as {{ dbt.type_string() }}), ' are allowed.') as message,
    {{ evidence_json([
        ('behind_days', 'behind_days', 'number'), ('data_through', 'cast(data_through as ' ~ dbt.type_string() ~ ')', 'text'), ('kind', 'kind', 'text'),
        ('limit_days', 'limit_days', 'number'), ('longest_pause_days', 'longest_pause_days', 'number')]) }} as evidence,
    'apportion doctor' as explain
from judged
where limit_days > 0 and behind_days > limit_days
{%- endmacro %}

{#- Delivered dollars between the first and the last published day that no night has published, and bills that their source marks provisional long
    after their period. A source that never says which is not asked. -#}
{% macro reconciliation_gap_alerts(controls, deliveries, reconciliation, dim_date) -%}
with

unpublished as (

    select
        controls.source,
        controls.currency,
        min(controls.usage_date) as first_day,
        max(controls.usage_date) as last_day,
        count(distinct controls.usage_date) as day_count,
        sum(controls.source_cost) as source_cost
    from {{ controls }} as controls
    inner join {{ deliveries }} as deliveries on controls.delivery_id = deliveries.delivery_id and controls.source = deliveries.source
    left join {{ dim_date }} as published on controls.usage_date = published.usage_date
    where published.usage_date is null
        and controls.usage_date > (select min(usage_date) from {{ dim_date }})
        and controls.usage_date <= {{ dbt.dateadd('day', '-1 * ' ~ governance('alerts.unpublished_days'), last_day(dim_date)) }}
    group by controls.source, controls.currency
    having sum(abs(controls.source_cost)) > 0

),

periods as (

    select
        source,
        billing_period,
        cast({{ dbt.dateadd('month', 1, 'billing_period') }} as date) as ended_on,
        cast(sum(effective_cost_usd) as decimal(38, 12)) as amount_usd
    from {{ reconciliation }}
    where finality = 'provisional' and source in (select source from {{ deliveries }} where finality is not null)
    group by source, billing_period

),

provisional as (

    select
        periods.*,
        substr(cast(billing_period as {{ dbt.type_string() }}), 1, 7) as period,
        {{ dbt.datediff('ended_on', last_day(dim_date), 'day') }} as ended_days_ago
    from periods
    where {{ dbt.datediff('ended_on', last_day(dim_date), 'day') }} >= {{ governance('alerts.provisional_days') }}

)

select
    'reconciliation_gap' as alert_kind,
    'warning' as severity,
    cast(null as {{ dbt.type_string() }}) as team,
    'source' as subject_type,
    concat(source, {{ after_a_blank('currency') }}) as subject,
    first_day as since_date,
    {{ last_day(dim_date) }} as usage_date,
    case when currency = 'USD' then cast(source_cost as decimal(38, 12)) end as amount_usd,
    concat(cast(cast(source_cost as decimal(38, 2)) as {{ dbt.type_string() }}), {{ after_a_blank('currency') }}, ' unpublished') as measured,
    concat(cast({{ governance('alerts.unpublished_days') }} as {{ dbt.type_string() }}), ' days') as threshold,
    concat('Source ', source, ' delivered ', cast(cast(source_cost as decimal(38, 2)) as {{ dbt.type_string() }}), {{ after_a_blank('currency') }}, ' on ',
        cast(day_count as {{ dbt.type_string() }}), ' day(s) from ', cast(first_day as {{ dbt.type_string() }}), ' to ', cast(last_day as {{ dbt.type_string() }}),
        ' that no night has published.') as message,
    {{ evidence_json([
        ('currency', 'currency', 'text'), ('days', 'day_count', 'number'), ('first_day', 'cast(first_day as ' ~ dbt.type_string() ~ ')', 'text'),
        ('last_day', 'cast(last_day as ' ~ dbt.type_string() ~ ')', 'text'), ('source_cost', 'cast(source_cost as decimal(38, 12))', 'number')]) }} as evidence,
    concat('apportion nightly --from ', cast(first_day as {{ dbt.type_string() }}), ' --to ', cast(last_day as {{ dbt.type_string() }})) as explain
from unpublished
union all
select
    'reconciliation_gap',
    'warning',
    null,
    'billing_period',
    concat(source, ' ', period),
    cast({{ dbt.dateadd('day', governance('alerts.provisional_days'), 'ended_on') }} as date),
    {{ last_day(dim_date) }},
    amount_usd,
    concat('provisional ', cast(ended_days_ago as {{ dbt.type_string() }}), ' days after its end'),
    concat(cast({{ governance('alerts.provisional_days') }} as {{ dbt.type_string() }}), ' days'),
    concat('The bill of ', source, ' for ', period, ' is still provisional ', cast(ended_days_ago as {{ dbt.type_string() }}), ' days after its period ended: ',
        {{ usd_text('amount_usd') }}, ' may still change.'),
    {{ evidence_json([('ended_days_ago', 'ended_days_ago', 'number'), ('provisional_usd', 'amount_usd', 'number'), ('source', 'source', 'text')]) }},
    concat('apportion explain --source ', {{ command_word('source') }})
from provisional
{%- endmacro %}
