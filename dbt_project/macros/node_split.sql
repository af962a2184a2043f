{#- How a node's price is split between its GPUs and its host (docs/node-split.md): whole-number weights per node and second. -#}

{% macro split_methods() %}{{ return(['gpu_only', 'weights_9_1', 'base_price', 'fixed_95_3_2', 'price_list']) }}{% endmacro %}

{#- FROM-clause item: one row (method) for each method that can be computed. -#}
{% macro split_method_rows() -%}
(
  {% for method in split_methods() -%}
  select cast('{{ method }}' as {{ dbt.type_string() }}) as method
  {%- if method == 'price_list' %} where exists (select 1 from {{ source('policy', 'price_list_weights') }}){% endif %}
  {% if not loop.last %}union all {% endif %}
  {%- endfor -%}
)
{%- endmacro %}

{#- A weight of the user's price list, micro-dollars an hour: of `vcpu` or `memory_gib`. -#}
{% macro price_list_weight(resource) -%}
(select max(weight) from {{ source('policy', 'price_list_weights') }} where resource = '{{ resource }}')
{%- endmacro %}

{#- What all GPUs of a machine weigh. AWS split cost allocation: 9 each; OpenCost's default prices: 0.95 each; Datadog: 95 %. -#}
{% macro gpu_method_weight(method, gpu_count, price_list_gpus) -%}
cast(case {{ method }}
  when 'gpu_only' then {{ gpu_count }}
  when 'weights_9_1' then 9000 * {{ gpu_count }}
  when 'base_price' then 950000 * {{ gpu_count }}
  when 'fixed_95_3_2' then 95000000
  when 'price_list' then {{ price_list_gpus }}
end as bigint)
{%- endmacro %}

{#- What its vCPUs and GiB weigh: AWS 0.9 and 0.1; OpenCost 0.031611 and 0.004237; Datadog 5 %. NULL where the method needs them and they
    are not known. -#}
{% macro host_method_weight(method, vcpus, memory_gib) -%}
cast(case {{ method }}
  when 'gpu_only' then 0
  when 'fixed_95_3_2' then 5000000
  else {{ linear_host_weight(method, vcpus, memory_gib) }}
end as bigint)
{%- endmacro %}

{#- What a request weighs beside the host: by the same prices; Datadog's 3 % go by vCPUs and its 2 % by memory. -#}
{% macro request_method_weight(method, vcpus, memory_gib, host_vcpus, host_memory_gib) -%}
cast(case {{ method }}
  when 'gpu_only' then 0
  when 'fixed_95_3_2' then coalesce(round(3000000 * {{ vcpus }} / nullif({{ host_vcpus }}, 0)), 0)
    + coalesce(round(2000000 * {{ memory_gib }} / nullif({{ host_memory_gib }}, 0)), 0)
  else {{ linear_host_weight(method, vcpus, memory_gib) }}
end as bigint)
{%- endmacro %}

{% macro linear_host_weight(method, vcpus, memory_gib) -%}
case {{ method }}
    when 'weights_9_1' then round(900 * {{ vcpus }} + 100 * {{ memory_gib }})
    when 'base_price' then round(31611 * {{ vcpus }} + 4237 * {{ memory_gib }})
    when 'price_list' then round({{ price_list_weight('vcpu') }} * {{ vcpus }} + {{ price_list_weight('memory_gib') }} * {{ memory_gib }})
  end
{%- endmacro %}

{#- The GPU models of a relation (column gpu_model) that the price list knows, with their weights: the longest of its names that stands in
    the model's name as whole words. -#}
{% macro price_list_models(relation) -%}
select gpu_model, weight
from (
    select
        models.gpu_model,
        prices.weight,
        row_number() over (partition by models.gpu_model order by length(prices.gpu_model) desc, prices.gpu_model) as choice
    from (select distinct gpu_model from {{ relation }} where gpu_model is not null) as models
    inner join {{ source('policy', 'price_list_weights') }} as prices
        on prices.resource = 'gpu' and concat(' ', {{ model_words('models.gpu_model') }}, ' ') like concat('% ', prices.gpu_model, ' %')
) as matched
where choice = 1
{%- endmacro %}

{#- CTEs node_methods, mixed_windows, device_models, device_prices, priced_classes: the classes of each window with what their GPUs weigh by the price list,
    where the node has several models (NULL elsewhere: there the GPUs are alike). -#}
{% macro priced_classes(methods, device_names, window_classes) -%}
node_methods as (

    select * from {{ methods }}

),

mixed_windows as (

    select window_key, mean_gpu_weight
    from node_methods
    where is_mixed

),

device_models as (

    select distinct usage_date, node_key, gpu_key, gpu_model
    from {{ device_names }}
    where gpu_model is not null

),

device_prices as (

    {{ price_list_models('device_models') }}

),

priced_classes as (

    select
        classes.*,
        case when mixed_windows.window_key is not null
            then {{ wide_int('classes.weight') }} * coalesce(device_prices.weight, mixed_windows.mean_gpu_weight) end as priced_weight
    from {{ window_classes }} as classes
    left join mixed_windows on classes.window_key = mixed_windows.window_key
    left join device_models
        on mixed_windows.window_key is not null
        and classes.usage_date = device_models.usage_date
        and classes.node_key = device_models.node_key
        and classes.gpu_key = device_models.gpu_key
    left join device_prices on device_models.gpu_model = device_prices.gpu_model

)
{%- endmacro %}
