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
