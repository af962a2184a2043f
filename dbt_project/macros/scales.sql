{#- Which scale a series of activity values is on, told by its values (docs/telemetry.md). DCGM delivers the profiling rungs as ratios
    and GPU_UTIL in percent; collectors on the way turn one into the other and keep the name. Evidence is counted per block and summed
    per series: day x source x host x exporter x rung. Two values in a hundred decide, so that one poisoned value in a hundred cannot. -#}

{#- The ladder, highest first. -#}
{% macro activity_rungs() %}{{ return(['sm_active', 'gr_engine_active', 'gpu_util']) }}{% endmacro %}

{#- The column that says that a series is on the other scale than its rung is delivered on by DCGM. -#}
{% macro reads_otherwise(rung) %}is_{{ rung }}_{{ 'ratio' if rung == 'gpu_util' else 'percent' }}{% endmacro %}

{#- Whether its series is read as a ratio, of which nothing is above 1; else in percent. -#}
{% macro is_ratio(rung, relation='') -%}
{%- set flag = 'coalesce(' ~ (relation ~ '.' if relation else '') ~ reads_otherwise(rung) ~ ', false)' -%}
{{ flag if rung == 'gpu_util' else 'not ' ~ flag }}
{%- endmacro %}

{#- Counts of a block, an aggregate. Two or three counts stand in one sum, because a sum costs more than its terms: low bits first.
    A block of one series has at most 2^20 samples. -#}
{% macro scale_evidence() -%}
cast(sum(case when sm_active_millionths > 1000000 then 1 else 0 end
            + case when sm_active_millionths > 2000000 then 1048576 else 0 end) as bigint) as sm_active_evidence,
        cast(sum(case when gr_engine_active_millionths > 1000000 then 1 else 0 end
            + case when gr_engine_active_millionths > 2000000 then 1048576 else 0 end) as bigint) as gr_engine_active_evidence,
        cast(sum(case when gpu_util_millionths > 1000000 then 1 else 0 end
            + case when gpu_util_millionths % 1000000 > 0 then case when gpu_util_millionths < 1000000 then 1048576 else 1099511627776 end else 0 end
        ) as bigint) as gpu_util_evidence
{%- endmacro %}

{#- Values above 1; values well above 1 (a ratio that overshoots is garbage, no percentage); fractions of 1; fractions above 1. -#}
{% macro above_one(rung) %}({{ rung }}_evidence % 1048576){% endmacro %}
{% macro well_above_one(rung) %}{{ int_div(rung ~ '_evidence', '1048576') }}{% endmacro %}
{% macro fractions_of_one() %}({{ int_div('gpu_util_evidence', '1048576') }} % 1048576){% endmacro %}
{% macro fractions_above_one() %}{{ int_div('gpu_util_evidence', '1099511627776') }}{% endmacro %}

{#- The evidence of a series, over its blocks of the day. -#}
{% macro series_evidence() -%}
{% for rung in ['sm_active', 'gr_engine_active'] -%}
sum({{ rung }}_samples) over series as {{ rung }}_series_samples,
        sum({{ well_above_one(rung) }}) over series as {{ rung }}_series_high,
        {% endfor -%}
sum(gpu_util_samples) over series as gpu_util_series_samples,
        sum({{ above_one('gpu_util') }}) over series as gpu_util_series_high,
        sum({{ fractions_of_one() }}) over series as gpu_util_series_fractions,
        sum({{ fractions_above_one() }}) over series as gpu_util_series_high_fractions
{%- endmacro %}

{#- The evidence of the series of one source that are plainly in percent: whole numbers as DCGM has them, or means of them. -#}
{% macro source_evidence() -%}
sum(case when gpu_util_series_high * 50 > gpu_util_series_samples then {{ above_one('gpu_util') }} else 0 end) over by_source as gpu_util_source_high,
        sum(case when gpu_util_series_high * 50 > gpu_util_series_samples then {{ fractions_above_one() }} else 0 end) over by_source
            as gpu_util_source_high_fractions
{%- endmacro %}

{#- The reading. Three values at least, and more than two in a hundred. GPU_UTIL up to 1 with fractions is a ratio, unless the source
    delivers means of percentages elsewhere: then it may be an idle host, is read in percent, and is told as unclear. -#}
{% macro scale_readings() -%}
{% for rung in ['sm_active', 'gr_engine_active'] -%}
coalesce({{ rung }}_series_high >= 3 and {{ rung }}_series_high * 50 > {{ rung }}_series_samples, false) as is_{{ rung }}_percent,
        {% endfor -%}
coalesce(
            gpu_util_series_fractions >= 3
            and gpu_util_series_fractions * 50 > gpu_util_series_samples
            and gpu_util_series_high * 50 <= gpu_util_series_samples
            and gpu_util_source_high_fractions * 50 <= gpu_util_source_high,
            false
        ) as is_gpu_util_ratio,
        coalesce(
            gpu_util_series_fractions >= 3
            and gpu_util_series_fractions * 50 > gpu_util_series_samples
            and gpu_util_series_high * 50 <= gpu_util_series_samples
            and gpu_util_source_high_fractions * 50 > gpu_util_source_high,
            false
        ) as is_gpu_util_scale_unclear
{%- endmacro %}

{#- Millionths as delivered as millionths of full activity, on the scale that the series is on. -#}
{% macro as_ppm(rung, millionths) -%}
case when {{ is_ratio(rung) }} then {{ millionths }} else {{ int_div(millionths ~ ' + 50', '100') }} end
{%- endmacro %}

{#- One sample's activity: NULL where its value is on the other scale than its series. -#}
{% macro sample_ppm(rung, relation) -%}
case
            when {{ is_ratio(rung, relation) }}
                then case when sampled.{{ rung }}_millionths <= 1000000 then sampled.{{ rung }}_millionths end
            else {{ int_div('sampled.' ~ rung ~ '_millionths + 50', '100') }}
        end as {{ rung }}_ppm
{%- endmacro %}

{#- Values of a block above what the scale of their series has. -#}
{% macro off_scale_values() -%}
(
            {% for rung in activity_rungs() -%}
            {{ '+ ' if not loop.first }}case when {{ is_ratio(rung) }} then {{ above_one(rung) }} else 0 end
            {% endfor -%}
        )
{%- endmacro %}
