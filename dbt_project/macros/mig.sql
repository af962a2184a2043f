{#- Compute slices of a MIG profile: the number before `g` in `3g.40gb`, `1g.10gb+me`. -#}
{% macro mig_slices(profile) %}cast(coalesce(nullif({{ dbt.split_part(profile, "'g'", 1) }}, ''), '0') as bigint){% endmacro %}

{#- Compute slices of a whole GPU: 4 on A30, 7 on A100, H100, H200, B200. Shares are kept in 28ths, which both divide. -#}
{% macro mig_slices_of_model(model) %}case when upper({{ model }}) like '%A30%' then 4 else 7 end{% endmacro %}
