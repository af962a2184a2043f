{#- What several models about training runs say alike: the groups of a price, the lineage of a model, exact figures per cadence. Does not belong here:
    a lever or an alert (macros/levers/, macros/alerts/). -#}

{#- The group of a charge by how it was priced: spot, commitment (plans, reservations, committed use) or other (on demand at a negotiated or
    discounted price, a rate card, credits). -#}
{% macro price_groups() %}{{ return(['spot', 'commitment', 'other']) }}{% endmacro %}

{% macro price_group(pricing_category) -%}
case
  when {{ pricing_category }} = 'spot' then 'spot'
  when {{ pricing_category }} in ('savings_plan', 'reservation', 'committed') then 'commitment'
  else 'other'
end
{%- endmacro %}

{#- Whether every priced day of a group of rows of int_attempt_days tells its components and price groups: a closed day that was published before these
    columns were there does not. -#}
{% macro has_price_groups() %}count(effective_cost) > 0 and count(effective_cost) = count(gpu_component_cost){% endmacro %}

{#- A sum over days of what a group saved against list price: NULL where dollars of the group are there and none of them has a list price, 0 where the
    group has no dollars at all. `missing` is NULL on days without dollars that lack a list price. -#}
{% macro summed_saving(saving, missing) -%}
case when {{ has_price_groups() }}
  then cast(coalesce(sum({{ saving }}), case when count({{ missing }}) = 0 then 0 end) as decimal(38, 12)) end
{%- endmacro %}

{#- The same over attempts, whose saving is NULL where none of their dollars of the group has a list price: what the others saved, NULL where they have
    nothing of the group either. -#}
{% macro saving_of_attempts(saving, cost) -%}
case when sum(case when {{ saving }} is null and {{ cost }} is not null then 1 else 0 end) = 0 then sum({{ saving }})
  else sum(nullif({{ saving }}, 0)) end
{%- endmacro %}

{#- The runs of one model that follow one another: of one team, in one environment. A missing team or environment is a value of its own. -#}
{% macro lineage() %}{{ return(['model', 'team', 'environment']) }}{% endmacro %}

{% macro same_lineage(a, b) -%}
{{ a }}.model = {{ b }}.model and {{ a }}.team is not distinct from {{ b }}.team and {{ a }}.environment is not distinct from {{ b }}.environment
{%- endmacro %}

{#- scaled_amount() within its range (below 1e14 for the amount, and for amount x numerator); NULL above, where it would break the night. -#}
{% macro bounded_amount(amount, numerator, denominator) -%}
case when abs(cast({{ amount }} as double)) < 1e14 and abs(cast({{ amount }} as double)) * abs(cast({{ numerator }} as double)) < 1e14
  then {{ scaled_amount(amount, numerator, denominator) }} end
{%- endmacro %}

{#- Over the stints of a run: the address that a label gives it in its tracker; only http and https, printable. -#}
{% macro tracker_address(labels) -%}
max(case when {{ labels }} like '%url"%' then nullif(regexp_extract(
  coalesce({{ json_text(labels, 'tracker_url') }}, {{ json_text(labels, 'mlflow_run_url') }}, {{ json_text(labels, 'wandb_url') }}), '^https?:[/][/][!#-;=?-~]+$'), '') end)
{%- endmacro %}

{#- Over the stints of a run: its id in its tracker, where a tracker told of it or a label says so. -#}
{% macro tracker_id(identified_by, workload_id, labels) -%}
coalesce(
  max(case when {{ identified_by }} = 'tracker' then {{ workload_id }} end),
  max(case when lower({{ labels }}) like '%mlflow_run_id%' then coalesce({{ json_text(labels, 'mlflow_run_id') }}, {{ json_text(labels, 'MLFLOW_RUN_ID') }}) end))
{%- endmacro %}

{#- The tracker's page of a run by the template of the policy (`governance.training.tracker_url`); NULL without a template, without an id, and for an id
    that would need escaping. -#}
{% macro templated_address(tracker_run_id) -%}
replace({{ governance('training.tracker_url', dbt.type_string()) }}, '{run_id}', nullif(regexp_extract({{ tracker_run_id }}, '^[A-Za-z0-9._~-]+$'), ''))
{%- endmacro %}

{#- A text that sorts as runs began: the second in 12 digits, then the key (which starts at its 14th sign). Runs that no source tells a start of (known
    by a tag or a label alone) began with their first published day. -#}
{% macro started_text(started_at, workload_key) -%}
concat(lpad(cast({{ epoch_seconds(started_at) }} as {{ dbt.type_string() }}), 12, '0'), '|', {{ workload_key }})
{%- endmacro %}

{#- GPU-seconds as hours with six places: what keeps dollars x hours within 38 digits. -#}
{% macro gpu_hours_of(seconds) -%}
cast({{ int_div(wide_int(seconds ~ ' * 1000000'), '3600') }} * cast('0.000001' as decimal(7, 6)) as decimal(38, 6))
{%- endmacro %}

{#- The work of a run, in GPU-hours at full activity: its GPU-hours x the activity of those that were measured. NULL where nothing was measured, or
    nothing was active. -#}
{% macro work_hours_of(runs) -%}
nullif({{ bounded_amount(gpu_hours_of(runs ~ '.held_gpu_seconds'), gpu_hours_of(runs ~ '.used_gpu_seconds'), gpu_hours_of(runs ~ '.measured_gpu_seconds')) }}, 0)
{%- endmacro %}

{#- As what a run that is not (part of) a version was spent, by its root's outcome. -#}
{% macro version_outcomes() %}{{ return(['failed', 'preempted', 'cancelled', 'unknown_outcome', 'running']) }}{% endmacro %}

{% macro is_spent_as(outcome) -%}
cost_role <> 'version' and root_outcome = '{{ outcome | replace('_outcome', '') }}'
{%- endmacro %}

{#- Whether the rank-th smallest of n values is at or below the lower bound of a 90 % interval for their median: n - 2 rank >= 1.645 sqrt(n), in whole
    numbers (1.645 squared is 2.706), or the smallest. The normal approximation, rounded outwards: never narrower than 90 % from five values on. -#}
{% macro is_within_median(rank, n) -%}
({{ rank }} = 1 or ({{ n }} - 2 * ({{ rank }}) > 0 and ({{ n }} - 2 * ({{ rank }})) * ({{ n }} - 2 * ({{ rank }})) * 1000 >= 2706 * {{ n }}))
{%- endmacro %}

{#- Seconds as days with six places. -#}
{% macro days_of_seconds(seconds) -%}
cast({{ int_div(wide_int(seconds ~ ' * 1000000'), '86400') }} * cast('0.000001' as decimal(7, 6)) as decimal(38, 6))
{%- endmacro %}

{#- The cadences that are compared, the observed one first, as (name, days between two retrains as numerator, denominator). -#}
{% macro retrain_cadences() %}{{ return([('observed', 'interval_days', '1'), ('nightly', '1', '1'), ('weekly', '7', '1'), ('monthly', '365', '12')]) }}{% endmacro %}

{#- Dollars a year of retrains: 365 / days x cost of one. -#}
{% macro yearly_cost(cost, days, denominator) -%}
{{ bounded_amount(cost, '(365 * ' ~ denominator ~ ')', days) }}
{%- endmacro %}

{#- Dollars a year that the model is worth less than one that is always fresh: it falls behind evenly, by the gain of one interval per interval, and each
    retrain makes it good, so that on average half of what an interval brings is missing: 365 x value of the gain x days / (2 x interval squared). -#}
{% macro yearly_staleness(value, days, denominator) -%}
{{ bounded_amount(value, '(365 * ' ~ days ~ ')', 'cast(2 * ' ~ denominator ~ ' * interval_days * interval_days as decimal(38, 12))') }}
{%- endmacro %}

{#- Why the verdict is what it is; the first that holds. Certain is only what holds at the near end of the gain's interval, for the mean retrain and for
    the median one. -#}
{% macro retrain_reason() -%}
case
          when retrain_count = 0 then 'no_counted_retrain'
          when coalesce(interval_seconds, 0) = 0 then 'no_interval'
          when metric is null then 'quality_unknown'
          when measured_gain_count < {{ governance('training.least_measured_gains') }} then 'too_few_measured_gains'
          when value_per_quality_point_usd is null then 'value_per_quality_point_unknown'
          when gain_p50_value is null or gain_low_value is null or gain_high_value is null
            {%- for cadence, days, denominator in retrain_cadences() %} or {{ cadence }}_cost + {{ cadence }}_staleness is null{% endfor %} then 'out_of_range'
          when gain_high_value < least(cost_mean, cost_p50) then 'gain_worth_less'
          when gain_low_value > greatest(cost_mean, cost_p50) and coalesce(gain_p50 > noise_floor, true) then 'gain_worth_more'
          when gain_low_value > greatest(cost_mean, cost_p50) then 'gain_within_noise'
          when gain_high_value < greatest(cost_mean, cost_p50) or gain_low_value > least(cost_mean, cost_p50) then 'a_few_dear_retrains'
          else 'gain_too_near_break_even'
        end
{%- endmacro %}

{% macro is_reckoned_retrain(reason) -%}
{{ reason }} in ('gain_worth_less', 'gain_worth_more', 'gain_within_noise', 'a_few_dear_retrains', 'gain_too_near_break_even')
{%- endmacro %}

{% macro quality_text(quality) %}cast(cast({{ quality }} as decimal(38, 6)) as {{ dbt.type_string() }}){% endmacro %}
{% macro days_text(days) %}cast(cast({{ days }} as decimal(38, 1)) as {{ dbt.type_string() }}){% endmacro %}

{#- The figure at which the answer would be another. -#}
{% macro retrain_change() -%}
case
      when verdict_reason = 'no_counted_retrain' then 'a second success that is priced and published in full'
      when verdict_reason = 'no_interval' then 'versions that do not begin at one moment: give the runs of a sweep a parent run'
      when verdict_reason = 'quality_unknown' then 'measurements of its versions (source kind model_quality), with the run_id of the run that made them'
      when verdict_reason = 'too_few_measured_gains' then concat('measured gains of at least ', cast({{ governance('training.least_measured_gains') }} as {{ dbt.type_string() }}),
        ' retrains on one evaluation set; now ', cast(measured_gain_count as {{ dbt.type_string() }}))
      when verdict_reason = 'value_per_quality_point_unknown' then concat('value_per_quality_point_usd of the model in governance.training.models',
        case when break_even_value is not null then concat('; it pays if a point is worth more than ', {{ usd_text('break_even_value') }}) else '; no value makes it pay: the median gain is not above 0' end)
      when verdict_reason = 'out_of_range' then 'figures that 38 digits hold'
      when gain_p50 <= 0 then concat('a gain: the median retrain changes ', metric, ' by ', {{ quality_text('gain_p50') }}, '; it pays from ',
        coalesce({{ quality_text('break_even_gain') }}, 'no gain'), ' on')
      when gain_p50_value < cost_mean then concat('it pays from a gain of ', coalesce({{ quality_text('break_even_gain') }}, '?'), ' ', metric, ' per retrain on (median now ',
        {{ quality_text('gain_p50') }}, '), or below ', {{ usd_text('gain_p50_value') }}, ' per retrain (now ', {{ usd_text('cost_mean') }},
        '), or when it runs every ', {{ days_text('break_even_interval') }}, ' days or less often (now every ', {{ days_text('interval_days') }}, ')')
      else concat('it does not pay below a gain of ', coalesce({{ quality_text('break_even_gain') }}, '?'), ' ', metric, ' per retrain (median now ',
        {{ quality_text('gain_p50') }}, '), or above ', {{ usd_text('gain_p50_value') }}, ' per retrain (now ', {{ usd_text('cost_mean') }},
        '), or when it runs more often than every ', {{ days_text('break_even_interval') }}, ' days (now every ', {{ days_text('interval_days') }}, ')')
    end
{%- endmacro %}

{#- What the figures for other cadences rest on; docs/training.md argues each. -#}
{% macro retrain_assumptions() -%}
'a retrain costs the same at every cadence; quality falls behind evenly by the median measured gain per observed interval, and the next retrain brings all of it: a weekly retrain collects seven nights of gains, and half of that is missing on average meanwhile; a point of quality is worth the same at every level; the evaluation set stayed the same'
{%- endmacro %}

{#- The cadence whose retrains and missing quality cost least together; of equals the observed one. -#}
{% macro cheapest_cadence() -%}
case least(observed_total, nightly_total, weekly_total, monthly_total)
      {%- for cadence, days, denominator in retrain_cadences() %}
      when {{ cadence }}_total then '{{ cadence }}'
      {%- endfor %}
    end
{%- endmacro %}

{#- Why there is no break-even gain. -#}
{% macro no_break_even_reason() -%}
case
      when break_even_gain is not null then null
      when retrain_count = 0 then 'no_counted_retrain'
      when coalesce(interval_seconds, 0) = 0 then 'no_interval'
      when value_per_quality_point_usd is null then 'value_per_quality_point_unknown'
      when value_per_quality_point_usd = 0 then 'quality_is_worth_nothing'
      else 'out_of_range'
    end
{%- endmacro %}

{#- The window of `days` days that ends with a day: its first and last day, and its last second (half open) since 1970. -#}
{% macro window_of_days(day, days) -%}
select window_to, cast({{ timestamp_of('to_second - ' ~ days ~ ' * 86400') }} as date) as window_from, to_second
    from (
        select window_to, {{ epoch_seconds('cast(window_to as timestamp)') }} + 86400 as to_second
        from (select {{ day }} as window_to) as last_days
    ) as ends
{%- endmacro %}
