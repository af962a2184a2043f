{#- Prices per hour times seconds, exactly: whole numbers all the way, rounded once. -#}

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

{#- A GPU model as words: lower case, letters and digits, one blank between two words, so that A10 is not found in A100. -#}
{% macro model_words(name) -%}
trim({{ replace_every('lower(' ~ name ~ ')', '[^a-z0-9]+', ' ') }})
{%- endmacro %}
