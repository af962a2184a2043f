-- Grain: one thing that somebody should look at, as of the last published day: the alerts of every topic in one table, dearest first. The same key for
-- as long as the condition lasts.

{#- The topics: each is one line here and one macro in macros/alerts/ that returns alert_columns(). -#}
{%- set topics = [
    idle_gpu_alerts(ref('fct_gpu_utilization'), ref('dim_node'), ref('dim_workload'), ref('dim_date')),
    stale_source_alerts(source('ops', 'deliveries'), source('policy', 'stale_source_limits'), ref('dim_date')),
    reconciliation_gap_alerts(ref('int_control_totals'), source('ops', 'deliveries'), ref('fct_reconciliation'), ref('dim_date')),
    budgets_alerts(ref('fct_budget_status')),
    anomalies_alerts(ref('fct_spend_anomaly'), ref('dim_date')),
    inference_alerts(ref('fct_inference_unit_cost'), ref('dim_date'), ref('dim_workload')),
    guardrails_alerts(ref('fct_guardrail_violation'), ref('dim_date')),
    commitments_alerts(ref('fct_commitment_daily'), ref('dim_date')),
    training_alerts(ref('fct_retrain_cadence')),
] %}

with

told as (
    {% for topic in topics %}
    select {{ alert_columns() | join(', ') }}
    from (
{{ topic }}
    ) as topic_{{ loop.index }}
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}

),

keyed as (

    select
        told.*,
        {{ digest(['alert_kind', 'team', 'subject_type', 'subject', json_text('evidence', 'period')]) }} as alert_key,
        {{ last_day(ref('dim_date')) }} as as_of_date
    from told

),

-- two alerts of one key are one: the most severe speaks, and says how many there are
placed as (

    select
        keyed.*,
        row_number() over (partition by alert_key order by {{ severity_rank('severity') }}, amount_usd desc nulls last, message, evidence) as place,
        count(*) over (partition by alert_key) as told_count
    from keyed

)

select
    alert_key,
    row_number() over (order by amount_usd desc nulls last, {{ severity_rank('severity') }}, alert_key) as alert_rank,
    alert_kind,
    severity,
    team,
    subject_type,
    subject,
    since_date,
    usage_date as until_date,
    since_date >= as_of_date as is_new,
    cast(amount_usd as decimal(38, 12)) as amount_usd,
    measured,
    threshold,
    message,
    evidence,
    explain,
    told_count
from placed
where place = 1
