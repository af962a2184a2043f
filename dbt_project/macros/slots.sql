{#- The bit of the slot in which a sample falls: slot 0 of a block is bit 59. -#}
{% macro slot_bit() -%}
(cast(1 as bigint) << cast(59 - {{ int_div('sampled_second', 'slot_seconds') }} % 60 as integer))
{%- endmacro %}

{#- All sixty slots. -#}
{% macro full_mask() %}cast(1152921504606846975 as bigint){% endmacro %}

{#- How many slots before the end of its block the last observed slot starts: (mask & -mask) - 1 is every slot behind it. -#}
{% macro lowest_bit_slots(mask) %}(bit_count(({{ mask }} & -{{ mask }}) - 1) + 1){% endmacro %}

{#- The start of the block of sixty slots in which a second falls. -#}
{% macro block_start(second, slot_seconds) %}{{ int_div(second, '60 * ' ~ slot_seconds) }} * 60 * {{ slot_seconds }}{% endmacro %}

{#- The samples of the evening before that a day knows (its lead-in) never reach back further than these seconds. -#}
{% macro longest_lead_in_seconds() %}{{ return(7200) }}{% endmacro %}
