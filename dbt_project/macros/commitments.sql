{#- What a bill tells of commitments (docs/commitments.md): kinds, what was used of them, families and regions that a commitment is bought for. -#}

{#- The kind of commitment of a charge bucket: Google's export tells whether it is for resources or for spend; else as `commitment_kind` has it. -#}
{% macro commitment_kind_of(b) -%}
case
  when {{ b }}.commitment_kind is not null then {{ b }}.commitment_kind
  when {{ b }}.commitment_id like '%:capacity-reservation/%' then 'capacity_reservation'
  else {{ commitment_kind(b ~ '.line_item_type', b ~ '.pricing_category', b ~ '.charge_category', b ~ '.sku') }}
end
{%- endmacro %}

{#- Usage that commitments cover, discounts on it included; a capacity reservation gives room and no discount. -#}
{% macro covered_amount(b, kind) -%}
coalesce(
  {{ b }}.covered_cost,
  case when {{ b }}.commitment_id is not null and {{ kind }} <> 'capacity_reservation' and {{ b }}.fixed_cost_class is null then {{ b }}.effective_cost end)
{%- endmacro %}

{#- A zone's region: `us-central1-a` -> `us-central1`, `us-east-1a` -> `us-east-1`. -#}
{% macro region_of_zone(region) -%}
case
  when {{ gcp_matches(region, '[0-9]-[a-z]$') }} then substr({{ region }}, 1, length({{ region }}) - 2)
  when {{ gcp_matches(region, '[0-9][a-z]$') }} then substr({{ region }}, 1, length({{ region }}) - 1)
  else {{ region }}
end
{%- endmacro %}

{#- What a commitment is bought for: the family of an AWS instance type (`BoxUsage:p4d.24xlarge` -> p4d, `Host:ml.g5.xlarge` -> ml.g5), else the SKU. -#}
{% macro instance_family(sku) -%}
case
  when {{ sku }} like '%:ml.%.%' then concat('ml.', {{ dbt.split_part(sku, "'.'", 2) }})
  when {{ sku }} like '%:%.%' then {{ dbt.split_part(dbt.split_part(sku, "':'", 2), "'.'", 1) }}
  else {{ sku }}
end
{%- endmacro %}

{#- What of block storage a charge is for; NULL for everything else. AWS usage types, Google's SKU descriptions. -#}
{% macro block_storage_kind(service, sku) -%}
case
  when {{ sku }} like '%EBS:Snapshot%' then 'snapshot'
  when {{ sku }} like '%EBS:Volume%' then 'volume'
  when lower({{ service }}) <> 'compute engine' then null
  when lower({{ sku }}) like '%snapshot%' or lower({{ sku }}) like '%machine image%' then 'snapshot'
  when lower({{ sku }}) like '%pd capacity%' or lower({{ sku }}) like '%hyperdisk%' then 'volume'
end
{%- endmacro %}
