{#- Robust statistics in whole millionths of a dollar: integers all the way, so that no order of rows and no thread changes a byte. -#}

{#- DECIMAL dollars as whole millionths, what lies below cut off. Statistics only: money itself stays DECIMAL. -#}
{% macro micros(amount) -%}
cast(sign({{ amount }}) * {{ int_div(allocation_units(amount), '1000000') }} as bigint)
{%- endmacro %}

{#- Whole millionths as dollars. -#}
{% macro usd_of_micros(micros) -%}
cast(cast({{ micros }} as decimal(31, 0)) * cast('0.000001' as decimal(7, 6)) as decimal(38, 12))
{%- endmacro %}

{#- The median of whole numbers, an aggregate; of an even count the mean of the middle two, cut to a whole number. -#}
{% macro median_of(value) -%}
{{ int_div('(' ~ discrete_percentile(value, 0.5) ~ ' - ' ~ discrete_percentile('-(' ~ value ~ ')', 0.5) ~ ')', '2') }}
{%- endmacro %}

{#- Days since 1970-01-01, and back. 1970-01-05 was a Monday. -#}
{% macro day_number(day) %}{{ int_div(epoch_seconds('cast(' ~ day ~ ' as timestamp)'), '86400') }}{% endmacro %}
{% macro day_of(number) %}cast({{ timestamp_of('(' ~ number ~ ') * 86400') }} as date){% endmacro %}
{% macro is_weekend(number) %}(({{ number }} + 3) % 7 >= 5){% endmacro %}

{#- Days that a forecast looks back, that are tested, and that series go back at all (a quarter and the one before). -#}
{% macro forecast_window_days() %}{{ return(28) }}{% endmacro %}
{% macro backtest_days() %}{{ return(60) }}{% endmacro %}
{% macro series_days() %}{{ return(190) }}{% endmacro %}

{#- Horizons in days over which forecasts are tested. -#}
{% macro backtest_horizons() %}{{ return([1, 7, 28]) }}{% endmacro %}
