{#- Shares of a GPU and the slices of MIG (attribution rules, section 5). -#}

{#- A physical GPU is 7,207,200 parts: 2^5 x 3^2 x 5^2 x 7 x 11 x 13, divisible by the slices of every model (7, 4), by every even split up to 16 and by 100. -#}
{% macro gpu_parts() %}cast(7207200 as bigint){% endmacro %}

{#- Compute slices of a MIG profile: the number before `g` in `3g.40gb`, `1g.10gb+me`. A profile that cannot be read is taken for the whole GPU;
    none has more slices than the GPU. -#}
{% macro mig_slices(profile, model) -%}
least(
  coalesce(cast(nullif(replace(regexp_extract({{ profile }}, '[0-9]+g'), 'g', ''), '') as bigint), {{ mig_slices_of_model(model) }}),
  {{ mig_slices_of_model(model) }})
{%- endmacro %}

{#- Compute slices of a whole GPU: 4 on A30, 7 on A100, H100, H200, B200. -#}
{% macro mig_slices_of_model(model) %}case when upper({{ model }}) like '%A30%' then 4 else 7 end{% endmacro %}

{#- Memory slices of a whole GPU. -#}
{% macro mig_memory_slices_of_model(model) %}case when upper({{ model }}) like '%A30%' then 4 else 8 end{% endmacro %}

{#- Memory of a GPU in GB: as its name says (`A100-SXM4-40GB`), else by its model; NULL where the model is unknown. GH200's name has the size of the
    host's memory. -#}
{% macro gpu_memory_gb(model) -%}
case
  when upper({{ model }}) like '%GH200%' then case when upper({{ model }}) like '%144G%' then 144 else 96 end
  when regexp_extract(upper({{ model }}), '[0-9]+ ?GB') <> '' then cast(replace(replace(regexp_extract(upper({{ model }}), '[0-9]+ ?GB'), 'GB', ''), ' ', '') as bigint)
  when upper({{ model }}) like '%A30%' then 24
  when upper({{ model }}) like '%A100%' then 80
  when upper({{ model }}) like '%H100%NVL%' then 96
  when upper({{ model }}) like '%H100%' then 80
  when upper({{ model }}) like '%H200%' then 141
  when upper({{ model }}) like '%B200%' then 180
end
{%- endmacro %}

{#- Memory slices of a MIG profile, from its name's GB and the GPU's; where either is unknown, by its compute slices. -#}
{% macro mig_memory_slices(profile, model) -%}
{%- set gb = "cast(nullif(replace(regexp_extract(" ~ profile ~ ", '[0-9]+gb'), 'gb', ''), '') as bigint)" -%}
coalesce(
  {{ int_div('2 * ' ~ gb ~ ' * ' ~ mig_memory_slices_of_model(model) ~ ' + ' ~ gpu_memory_gb(model), '2 * ' ~ gpu_memory_gb(model)) }},
  case {{ mig_slices(profile, model) }} when 3 then 4 when 7 then 8 else {{ mig_slices(profile, model) }} end)
{%- endmacro %}
