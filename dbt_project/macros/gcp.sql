{#- How the names of Google Cloud's SKUs are read. Wording varies (Gpu / GPU, "attached to A3 VMs", "Nvidia Tesla"), so by pattern; what no
    pattern knows is no compute, and its dollars stay where its labels or its account put them. -#}

{% macro gcp_matches(text, pattern) -%}
nullif(regexp_extract({{ text }}, '{{ pattern }}'), '') is not null
{%- endmacro %}

{#- Whether a SKU is a commitment's fee: "Commitment v1: A2 Cpu in Americas for 1 Year", "Commitment - dollar based v1: GCE for 1 year". -#}
{% macro gcp_is_commitment_fee(sku) -%}
coalesce(lower({{ sku }}) like 'commitment%', false)
{%- endmacro %}

{#- What a Compute Engine SKU (lower case, without "commitment v1: ") is of; `noun` is what must stand before core and RAM: usage SKUs say "instance
    core", commitments "cpu". -#}
{% macro gcp_resource(text, noun) -%}
case
  when {{ gcp_matches(text, 'licens|premium|virtual workstation only') }} then null
  when {{ gcp_matches(text, '(?:^|[^a-z0-9])gpus?(?:[^a-z0-9]|$)') }} then 'gpu'
  when {{ gcp_matches(text, 'local ssd|ssd backed local storage|titanium ssd') }} then 'local_ssd'
  when {{ gcp_matches(text, noun ~ '(?:core|cpu|vcpu)s?(?:[^a-z0-9]|$)') }} then 'core'
  when {{ gcp_matches(text, noun ~ '(?:ram|memory)(?:[^a-z0-9]|$)') }} then 'ram'
end
{%- endmacro %}

{#- The machine series or GPU model of a Compute Engine SKU (as above): "a2", "h100 80gb", "compute optimized"; '' for N1, whose commitments name none. -#}
{% macro gcp_machine(text) -%}
trim({{ replace_every(
  "regexp_replace(" ~ text ~ ", '(?:^|[^a-z0-9])(?:gpu|gpus|local ssd|ssd backed local storage|core|cores|cpu|vcpu|ram|memory)(?:[^a-z0-9].*)?$', '')",
  '(?:^| )(?:instance|predefined|custom|extended|amd|n1|nvidia|tesla)', '') }})
{%- endmacro %}

{#- Money as whole billionths, with its sign: weights of a distribution. -#}
{% macro gcp_billionths(amount) -%}
{{ wide_int(amount ~ ' * 1000000000') }}
{%- endmacro %}

{#- The query that sums each distinct credits array of `relation` (a model or CTE with a column `credits`) by effect. -#}
{% macro gcp_credit_sums(relation) -%}
select
    credits,
    sum(case when effect = 'reduces_charge' then amount else 0 end) as discount_cost,
    sum(case when effect = 'credit' then amount else 0 end) as credit_cost,
    sum(case when effect is null then amount else 0 end) as unknown_cost,
    min(case when effect is null then coalesce(credit_type, '(none)') end) as unknown_type,
    -- what commitments took off: for resources (GPUs, cores, memory) and for dollars spent
    sum(case when is_commitment and credit_type = 'COMMITTED_USAGE_DISCOUNT' then amount else 0 end) as resource_commitment_cost,
    sum(case when is_commitment and credit_type <> 'COMMITTED_USAGE_DISCOUNT' then amount else 0 end) as spend_commitment_cost,
    max(case when credit_type = 'FEE_UTILIZATION_OFFSET' then 1 else 0 end) = 1 as has_fee_offset
from (
    select elements.credits, elements.credit_type, elements.amount, types.effect, types.is_commitment
    from (
        select
            element_source as credits,
            {{ json_text('element', 'type') }} as credit_type,
            {{ money(json_text('element', 'amount')) }} as amount
        from {{ json_elements("(select distinct credits from " ~ relation ~ " where credits <> '[]') as arrays", 'credits') }} as credit_elements
    ) as elements
    left join {{ ref('gcp_credit_types') }} as types on elements.credit_type = types.credit_type
) as typed
group by credits
{%- endmacro %}
