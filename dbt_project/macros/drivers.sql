{#- Why spend changed: price, mix, volume, utilization, other. The parts sum to the change exactly. -#}

{#- CTEs ending in `drivers` from `sides`: incident_key x GPU model x pricing category with dollars and GPU-seconds, expected (0) and actual (1).

    A GPU's rate is midpoint-weighted (the order of the factors does not matter): price = change of the rate x mean seconds, of each (GPU model, pricing
    category) that has seconds on both sides; with m = mean rate of each, M = their mean weighted by seconds: mix = change of seconds x (m - M).
    Seconds = busy x v, v = seconds per busy second: utilization = change of v x mean busy x M. What is not GPU time is other. Each is rounded to a millionth of
    a dollar; volume (change of busy x mean v x M) is what is left, so that the parts sum to the change. -#}
{% macro drivers(sides) -%}
cells as (

    select
        *,
        coalesce(seconds_0, 0) > 0 and coalesce(seconds_1, 0) > 0 as is_on_both,
        case when seconds_0 > 0 then cast(usd_0 as double) / cast(seconds_0 as double) end as rate_0,
        case when seconds_1 > 0 then cast(usd_1 as double) / cast(seconds_1 as double) end as rate_1
    from {{ sides }}
    where is_gpu

),

rated as (

    select *, case when is_on_both then (rate_0 + rate_1) / 2 else coalesce(rate_0, rate_1) end as rate
    from cells

),

-- a side with dollars and no second has no rate: those dollars are other
fleet as (

    select
        incident_key,
        sum(seconds_0) as seconds_0,
        sum(seconds_1) as seconds_1,
        sum(busy_0) as busy_0,
        sum(busy_1) as busy_1,
        sum(case when seconds_0 > 0 then 0 else usd_0 end) as unrated_usd_0,
        sum(case when seconds_1 > 0 then 0 else usd_1 end) as unrated_usd_1,
        cast(sum(cast(rate * cast(seconds_0 + seconds_1 as double) as decimal(38, 12))) as double) / cast(nullif(sum(seconds_0 + seconds_1), 0) as double) as mean_rate,
        cast(sum(case when is_on_both then cast((rate_1 - rate_0) * cast(seconds_0 + seconds_1 as double) / 2 as decimal(38, 12)) else 0 end) as decimal(38, 12)) as price_usd
    from rated
    group by incident_key

),

mixed as (

    select rated.incident_key, sum(cast(cast(rated.seconds_1 - rated.seconds_0 as double) * (rated.rate - fleet.mean_rate) as decimal(38, 12))) as mix_usd
    from rated
    inner join fleet on rated.incident_key = fleet.incident_key
    where rated.rate is not null
    group by rated.incident_key

),

totals as (

    select
        incident_key,
        sum(usd_0) as baseline_usd,
        sum(usd_1) as actual_usd,
        sum(case when is_gpu then 0 else usd_1 - usd_0 end) as other_usd
    from {{ sides }}
    group by incident_key

),

parts as (

    select
        totals.incident_key,
        totals.baseline_usd,
        totals.actual_usd,
        totals.actual_usd - totals.baseline_usd as change_usd,
        cast(round(coalesce(fleet.price_usd, 0), 6) as decimal(38, 12)) as price_usd,
        cast(round(coalesce(mixed.mix_usd, 0), 6) as decimal(38, 12)) as mix_usd,
        cast(round(coalesce(case
            when fleet.busy_0 > 0 and fleet.busy_1 > 0 then cast(
                (cast(fleet.seconds_1 as double) / cast(fleet.busy_1 as double) - cast(fleet.seconds_0 as double) / cast(fleet.busy_0 as double))
                * cast(fleet.busy_0 + fleet.busy_1 as double) / 2 * fleet.mean_rate as decimal(38, 12))
            -- all of one side stood still: seconds busy are volume, seconds idle are utilization
            when fleet.busy_0 > 0 or fleet.busy_1 > 0 then cast(
                cast((fleet.seconds_1 - fleet.busy_1) - (fleet.seconds_0 - fleet.busy_0) as double) * fleet.mean_rate as decimal(38, 12))
        end, 0), 6) as decimal(38, 12)) as utilization_usd,
        totals.other_usd + coalesce(fleet.unrated_usd_1 - fleet.unrated_usd_0, 0) as other_usd
    from totals
    left join fleet on totals.incident_key = fleet.incident_key
    left join mixed on totals.incident_key = mixed.incident_key

),

drivers as (

    select
        incident_key,
        cast(baseline_usd as decimal(38, 12)) as baseline_usd,
        cast(actual_usd as decimal(38, 12)) as actual_usd,
        cast(change_usd as decimal(38, 12)) as change_usd,
        price_usd,
        cast(change_usd - price_usd - mix_usd - utilization_usd - other_usd as decimal(38, 12)) as volume_usd,
        mix_usd,
        utilization_usd,
        cast(other_usd as decimal(38, 12)) as other_usd
    from parts

)
{%- endmacro %}

{#- The largest part in the direction of the change; ties in this order. -#}
{% macro largest_driver() -%}
{%- set parts = ['price', 'volume', 'mix', 'utilization', 'other'] -%}
case
  {%- for part in parts %}
  when sign(change_usd) * {{ part }}_usd >= greatest({% for other in parts %}sign(change_usd) * {{ other }}_usd{{ ', ' if not loop.last }}{% endfor %}) then '{{ part }}'
  {%- endfor %}
end
{%- endmacro %}
