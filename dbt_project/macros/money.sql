{#- The money rule: DECIMAL(38,12), rounded half-even. -#}

{#- Text to DECIMAL(38,12), half-even at the twelfth place. NULL or '' stays NULL; unreadable text is an error. -#}
{% macro money(text) -%}
{{ short_decimal(text, half_even('cast(nullif(' ~ text ~ ", '') as decimal(38, 24))")) }}
{%- endmacro %}

{#- A DECIMAL(38,24) rounded half-even to 12 places. -#}
{% macro half_even(amount) -%}
cast(
  {{ amount }}
  - ({{ amount }} % cast('0.000000000001' as decimal(38, 24)))
  + case
      when abs({{ amount }} % cast('0.000000000001' as decimal(38, 24))) > cast('0.0000000000005' as decimal(38, 24))
        or (abs({{ amount }} % cast('0.000000000001' as decimal(38, 24))) = cast('0.0000000000005' as decimal(38, 24))
            and abs({{ amount }} % cast('0.000000000002' as decimal(38, 24))) >= cast('0.000000000001' as decimal(38, 24)))
      then sign({{ amount }}) * cast('0.000000000001' as decimal(38, 24))
      else cast(0 as decimal(38, 24))
    end
  as decimal(38, 12))
{%- endmacro %}

{#- An amount in a bill's currency in US dollars: times the dated rate, rounded once. Dollars pass as they are. -#}
{% macro converted_money(amount, rate) -%}
case when {{ rate }} = 1 then {{ amount }} else {{ half_even('cast(' ~ amount ~ ' * ' ~ rate ~ ' as decimal(38, 24))') }} end
{%- endmacro %}

{#- An amount of money scaled by a ratio of two others, exact and rounded once: amount x numerator / denominator to the unit of 1e-12, half to
    even (DECIMAL division would go through DOUBLE). Whole-number arithmetic of 38 digits: amount x numerator may be up to 1.7e14
    dollars squared, and is an error above. NULL where the denominator is 0 or anything is NULL. -#}

{% macro scaled_amount(amount, numerator, denominator) -%}
{%- set a = wide_int('abs(' ~ amount ~ ') * 1000000000000') -%}
{%- set n = wide_int('abs(' ~ numerator ~ ') * 1000000000000') -%}
{%- set d = wide_int('nullif(abs(' ~ denominator ~ '), 0) * 1000000000000') -%}
{%- set quotient = int_div(a ~ ' * ' ~ n, d) -%}
{%- set remainder = '((' ~ a ~ ' * ' ~ n ~ ') % ' ~ d ~ ')' -%}
cast(
  sign({{ amount }}) * sign({{ numerator }}) * sign({{ denominator }})
  * cast({{ quotient }} + case when {{ remainder }} * 2 > {{ d }} or ({{ remainder }} * 2 = {{ d }} and {{ quotient }} % 2 = 1) then 1 else 0 end as decimal(38, 0))
  * cast('0.000000000001' as decimal(13, 12))
as decimal(38, 12))
{%- endmacro %}
