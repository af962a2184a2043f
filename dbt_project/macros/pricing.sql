{#- Whether the dollars beside some GPU time are whole: a figure that still waits for part of its bill says so. -#}
{% macro pricing_status(awaiting_weight, cost) -%}
case
  when {{ cost }} is null and {{ awaiting_weight }} = 0 then 'no_charge'
  when {{ cost }} is null then 'awaiting_bill'
  when {{ awaiting_weight }} = 0 then 'priced'
  else 'partly_priced'
end
{%- endmacro %}
