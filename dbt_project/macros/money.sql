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

{#- A quotient of whole numbers from 0 on, rounded half-even. -#}
{% macro half_even_quotient(numerator, denominator) -%}
({{ int_div(numerator, denominator) }} + case
  when 2 * ({{ numerator }} % {{ denominator }}) > {{ denominator }}
    or (2 * ({{ numerator }} % {{ denominator }}) = {{ denominator }} and {{ int_div(numerator, denominator) }} % 2 = 1)
  then 1 else 0 end)
{%- endmacro %}

{#- Units of 1e-12 as an amount. -#}
{% macro amount_of_units(units) -%}
cast(cast({{ units }} as decimal(38, 0)) * cast('0.000000000001' as decimal(13, 12)) as decimal(38, 12))
{%- endmacro %}

{#- amount x numerator / denominator for whole numbers from 0 on, exact and rounded once, half-even to 1e-12 (DECIMAL division would go through DOUBLE).
    The amount's units x numerator may have 38 digits, and are an error above. NULL where the denominator is 0 or anything is NULL. -#}
{% macro proportion(amount, numerator, denominator) -%}
cast(sign({{ amount }}) * {{ amount_of_units(half_even_quotient(allocation_units(amount) ~ ' * ' ~ wide_int(numerator), wide_int('nullif(' ~ denominator ~ ', 0)'))) }} as decimal(38, 12))
{%- endmacro %}

{#- proportion() for a ratio of two amounts, of any sign: amount x numerator may be up to 1.7e14 dollars squared. -#}
{% macro scaled_amount(amount, numerator, denominator) -%}
cast(sign({{ numerator }}) * sign({{ denominator }}) * {{ proportion(amount, 'abs(' ~ numerator ~ ') * 1000000000000', 'abs(' ~ denominator ~ ') * 1000000000000') }} as decimal(38, 12))
{%- endmacro %}
