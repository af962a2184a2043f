{#- The one allocation function (attribution rules, section 1): split `amount` (DECIMAL(38,12), repeated on every row of a bucket)
    over the bucket's rows by their whole-number `weight`: floor to the unit of 1e-12, then one unit each to the largest
    remainders, ties by `tie_order`. Works on the magnitude, so that a refund of X is split as the charge X with the sign turned.
    Three steps, each a named CTE of the caller: units, floors, amounts. -#}

{% macro allocation_units(amount) -%}
{{ wide_int('abs(' ~ amount ~ ') * 1000000000000') }}
{%- endmacro %}

{#- units x weight / total_weight: the whole quotient, and what is left of it. The product may have more than 38 digits (a daily window of 16 GPUs, split
    between GPUs and host: weights of 1e26): there, and only there, it is divided digit by digit in base 1e6, exactly. -#}
{% macro allocation_floor(units, weight, total_weight) -%}
case when {{ fits_38_digits(units, total_weight) }} then {{ int_div(units ~ ' * ' ~ weight, total_weight) }} else {{ long_quotient(units, weight, total_weight) }} end
{%- endmacro %}

{% macro allocation_remainder(units, weight, total_weight) -%}
case when {{ fits_38_digits(units, total_weight) }} then ({{ units }} * {{ weight }}) % {{ total_weight }} else {{ long_remainder(units, weight, total_weight, 0) }} end
{%- endmacro %}

{#- Whether units x weight stays under 1e37 for every weight up to the total. -#}
{% macro fits_38_digits(units, total_weight) -%}
(cast({{ units }} as double) * cast({{ total_weight }} as double) < 1e37)
{%- endmacro %}

{#- The digit of `units` in base 1e6 at a place (3 is the highest, and takes all that is above it). -#}
{% macro base_million_digit(units, place) -%}
{%- if place == 0 -%}({{ units }} % 1000000)
{%- elif place == 3 -%}{{ int_div(units, '1000000000000000000') }}
{%- else -%}({{ int_div(units, '1' ~ '000000' * place) }} % 1000000)
{%- endif -%}
{%- endmacro %}

{#- Long division: what is carried from the places above, times 1e6, plus the digit of this place times the weight. -#}
{% macro long_dividend(units, weight, total_weight, place) -%}
({%- if place < 3 -%}{{ long_remainder(units, weight, total_weight, place + 1) }} * 1000000 + {% endif -%}
{{ base_million_digit(units, place) }} * {{ weight }})
{%- endmacro %}

{% macro long_remainder(units, weight, total_weight, place) -%}
({{ long_dividend(units, weight, total_weight, place) }} % {{ total_weight }})
{%- endmacro %}

{% macro long_quotient(units, weight, total_weight) -%}
({%- for place in [3, 2, 1, 0] -%}
{{ int_div(long_dividend(units, weight, total_weight, place), total_weight) }}{% if place %} * {{ '1' ~ '000000' * place }} + {% endif -%}
{%- endfor -%})
{%- endmacro %}

{% macro allocation_amount(amount, floor_units, leftover_units, remainder_rank) -%}
cast(
  case when {{ amount }} < 0 then -1 else 1 end
  * cast({{ floor_units }} + case when {{ remainder_rank }} <= {{ leftover_units }} then 1 else 0 end as decimal(38, 0))
  * cast('0.000000000001' as decimal(13, 12))
as decimal(38, 12))
{%- endmacro %}

{#- CTEs name_floors and name: each row of `rows` (weight, total_weight of its part as wide whole numbers, cost_units) with floor_units, leftover_units and
    remainder_rank, as allocation_amount takes them. `part`: the columns of which each value is one amount; `tie_order` within it. -#}
{% macro split_amounts(name, rows, part, tie_order) -%}
{{ name }}_floors as (

    select
        *,
        {{ allocation_floor('cost_units', 'weight', 'total_weight') }} as floor_units,
        {{ allocation_remainder('cost_units', 'weight', 'total_weight') }} as remainder_units
    from {{ rows }}

),

{{ name }} as (

    select
        *,
        cost_units - sum(floor_units) over (partition by {{ part }}) as leftover_units,
        row_number() over (partition by {{ part }} order by remainder_units desc, {{ tie_order }}) as remainder_rank
    from {{ name }}_floors

)
{%- endmacro %}

{#- Whether a charge is GPU compute although the inventory does not know the node: every EC2 and SageMaker family that
    begins with p or g, and the accelerators trn and inf, bears accelerators. -#}
{% macro is_gpu_compute(compute_kind, sku) -%}
coalesce({{ compute_kind }} = 'gpu' or ({{ compute_kind }} = 'instance' and (
  {%- for prefix in ['', 'ml.'] %}
  {{ sku }} like '%:{{ prefix }}p%' or {{ sku }} like '%:{{ prefix }}g%' or {{ sku }} like '%:{{ prefix }}trn%' or {{ sku }} like '%:{{ prefix }}inf%'{% if not loop.last %} or{% endif %}
  {%- endfor %})), false)
{%- endmacro %}

{#- Seconds of whole GPUs from a weight in parts of a GPU x seconds (x millionths where `scaled`), rounded down to a millionth of a second. -#}
{% macro gpu_seconds(weight, scaled=false) -%}
cast(cast({{ int_div(wide_int(weight) if scaled else wide_int(weight) ~ ' * 1000000', gpu_parts()) }} as decimal(38, 0)) * cast('0.000001' as decimal(7, 6)) as decimal(38, 6))
{%- endmacro %}

{#- The cost bases that are allocated, each by itself with the same weights. -#}
{% macro allocated_bases() %}{{ return(['billed_cost', 'effective_cost', 'net_cost', 'list_cost', 'contracted_cost']) }}{% endmacro %}

{#- The classes in which a billed GPU-second can be. -#}
{% macro gpu_cost_classes() %}{{ return(['used', 'held_idle', 'unallocated_idle', 'stranded', 'unattributed', 'unknown']) }}{% endmacro %}
