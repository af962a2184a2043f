-- Grain: kind of lever x scope: what a change would save, in the observed days and per month, with its evidence. Of the levers of one overlap group, which claim the
-- same dollars, one is the best: a total sums those only.
with

span_dates as (

    {{ lever_window(ref('dim_date')) }}

),

hours as (

    {{ lever_hours(ref('fct_workload_hourly'), 'span_dates') }}

),

span as (

    select min(usage_date) as observed_from, max(usage_date) as observed_to, cast(count(distinct usage_date) as bigint) as observed_days
    from hours

),

scopes as (

    {{ lever_scopes('hours') }}

),

peaks as (

    {{ lever_peaks('hours') }}

),

endpoint_hours as (

    {{ endpoint_hours('hours', ref('fct_inference_unit_cost_hourly'), 'span_dates') }}

),

idle_hours as (

    {{ idle_hours('hours') }}

),

spot_records as (

    {{ spot_records('hours', ref('fct_run_attempt_cost')) }}

),

-- one line each; a topic of another file is one more line here: a SELECT of the columns of a lever
{%- set topics = [
    raise_utilization_levers('scopes', 'span'),
    shared_gpu_levers('share_gpu', fitting_sharers(), 'hours', 'peaks', 'scopes', 'span', "'let them share GPUs by time slicing or MPS, and give back what becomes free'"),
    shared_gpu_levers('use_mig', fitting_instances(), 'hours', 'peaks', 'scopes', 'span', "'cut GPUs into MIG instances of the size that it needs, and give back what becomes free'"),
    scale_to_zero_levers('endpoint_hours', 'scopes', 'span'),
    downsize_endpoint_levers('endpoint_hours', 'scopes', 'span'),
    schedule_off_levers('idle_hours', 'scopes', 'span'),
    stop_notebook_levers('hours', 'scopes', 'span'),
    release_idle_pool_levers('hours', 'scopes', 'span'),
    use_spot_levers('hours', 'spot_records', 'scopes', 'span'),
    right_size_levers('peaks', 'scopes', 'span'),
    compress_levers('scopes', 'span'),
    commitment_levers(ref('fct_commitment_daily'), ref('fct_commitment_coverage'), ref('fct_storage_resource_daily'), ref('dim_date')),
    training_levers(ref('fct_retrain_cadence')),
    inference_levers(ref('fct_serving_configuration'), ref('dim_workload')),
] %}

levers as (

    {% for topic in topics -%}
    select {{ lever_columns() | join(', ') }} from ({{ topic }}) as topic_{{ loop.index }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

ranked as (

    select
        *,
        row_number() over (
            partition by coalesce(overlap_group, concat(lever_kind, '/', scope_type, '/', scope, '/', coalesce(team, ''), '/', coalesce(environment, '')))
            order by saving_usd_per_month desc, lever_kind, scope_type, scope, coalesce(team, ''), coalesce(environment, '')
        ) as choice
    from levers
    where saving_usd_per_month >= {{ governance('levers.minimum_saving_usd_per_month', 'decimal(38, 12)') }}

)

select {{ lever_columns() | join(', ') }}, choice = 1 as is_best_of_group
from ranked
