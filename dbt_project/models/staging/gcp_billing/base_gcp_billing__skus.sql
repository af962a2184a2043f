-- Grain: one distinct service and SKU of the export, and what its name says it is.
with

skus as (

    select distinct service_id, service_description, sku_description from {{ ref('base_gcp_billing__rows') }}

),

categories as (

    select * from {{ ref('gcp_service_categories') }}

),

spelled as (

    select
        *,
        coalesce(lower(service_description), '') as service_text,
        coalesce(service_id = '6F81-5844-456A', false) or coalesce(lower(service_description) = 'compute engine', false) as is_compute_engine,
        {{ gcp_is_commitment_fee('sku_description') }} as is_fee,
        regexp_replace(coalesce(lower(sku_description), ''), '^commitment[^:]*: *', '') as sku_text,
        coalesce(lower(sku_description), '') as full_text
    from skus

),

named as (

    select
        *,
        case
            when not is_compute_engine then null
            when is_fee then {{ gcp_resource('sku_text', '(?:^|[^a-z0-9])') }}
            else {{ gcp_resource('sku_text', '(?:instance|optimized|custom|predefined|extended) ') }}
        end as resource_kind,
        full_text like '%spot%' or full_text like '%preemptible%' as is_spot,
        -- flexible commitments cover these three services alike
        service_text in ('compute engine', 'kubernetes engine', 'cloud run', 'cloud run functions') as is_flexible
    from spelled

),

familied as (

    select
        named.service_id,
        named.service_description,
        named.sku_description,
        categories.service_category,
        named.is_fee,
        named.is_spot,
        case when not named.is_fee then named.resource_kind end as compute_kind,
        full_text like '%dollar based%' or full_text like '%flexible%' as is_spend_fee,
        concat('resource/', coalesce(named.resource_kind, concat('other/', named.service_text)),
            case when named.resource_kind is null then '' else concat('/', {{ gcp_machine('named.sku_text') }}) end) as resource_family,
        case
            when named.is_flexible and (not named.is_fee or {{ gcp_matches('named.full_text', 'gce|compute|flexible') }}) then 'spend/flexible'
            else concat('spend/', named.service_text)
        end as spend_family
    from named
    left join categories on named.service_text = categories.service

)

select * from familied
