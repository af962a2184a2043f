-- Grain: one row of a FOCUS Cost and Usage file, with what it is. The rules and their worked example stand in DECISIONS.md (FOCUS bills).
with

rows_as_delivered as (

    select * from {{ ref('base_focus__rows') }}

),

described as (

    select
        *,
        lower(coalesce(provider_name, '')) as provider_text,
        lower(coalesce(resource_type, '')) as resource_text,
        lower(concat(coalesce(sku_meter, ''), ' | ', coalesce(charge_description, ''))) as sku_text,
        lower(trim(coalesce(consumed_unit, pricing_unit, ''))) as unit_text,
        case when consumed_unit is null then pricing_quantity else consumed_quantity end as usage_quantity,
        coalesce(consumed_unit, pricing_unit) as usage_unit,
        coalesce(charge_category in ('Usage', 'Purchase', 'Tax', 'Credit', 'Adjustment'), false) as is_known_category,
        -- what covers later charges: a commitment's fee, prepaid tokens (the specification's own test)
        charge_category = 'Purchase' and effective_cost = 0 and (commitment_id is not null or billed_cost <> 0) as is_prepayment,
        coalesce(charge_category = 'Usage' and commitment_status = 'Unused', false) as is_unused_commitment,
        coalesce(charge_category = 'Usage' and capacity_reservation_status = 'Unused', false) as is_unused_capacity
    from rows_as_delivered

),

provided as (

    select
        *,
        coalesce(
            provider_option,
            case
                when provider_text like 'amazon%' or provider_text like 'aws%' then 'aws'
                when provider_text like 'google%' then 'gcp'
                when provider_text like 'microsoft%' or provider_text like 'azure%' then 'azure'
                else nullif(provider_text, '')
            end,
            'unknown'
        ) as provider,
        -- seconds of one unit of usage
        case
            when unit_text in ('hour', 'hours', 'hr', 'hrs', 'h') then 3600
            when unit_text in ('minute', 'minutes', 'min') then 60
            when unit_text in ('second', 'seconds', 'sec', 's') then 1
        end as unit_seconds
    from described

),

recognised as (

    select
        *,
        case
            when charge_category <> 'Usage' or is_unused_commitment or is_unused_capacity then null
            when full_resource_id is null or unit_seconds is null then null
            when coalesce(service_category, '') not in ('Compute', 'AI and Machine Learning') then null
            when provider = 'gcp' and (sku_text like '% gpu %' or sku_text like '% gpu') then 'gpu'
            when provider = 'gcp' and sku_text like '%instance core%' then 'core'
            when provider = 'gcp' and sku_text like '%instance ram%' then 'ram'
            when provider = 'gcp' and sku_text like '%local ssd%' then 'local_ssd'
            when sku_text like '%licen%' then null
            when usage_type is not null then
                case
                    when service_code = 'AmazonEC2' and coalesce(operation, 'RunInstances') like 'RunInstances%' and (
                        usage_type like '%BoxUsage%' or usage_type like '%SpotUsage%' or usage_type like '%DedicatedUsage%') then 'instance'
                    when service_code = 'AmazonSageMaker' and (
                        usage_type like '%Train:ml.%' or usage_type like '%Host:ml.%' or usage_type like '%Notebk:ml.%' or usage_type like '%Cluster:ml.%') then 'instance'
                end
            when service_subcategory = 'Virtual Machines' or resource_text like '%virtual machine%' or resource_text like '%virtualmachine%'
                or resource_text in ('vm', 'instance', 'compute instance', 'vm instance') or sku_text like '%virtual machine%' then 'instance'
        end as compute_kind
    from provided

),

classified as (

    select
        *,
        case
            when charge_category = 'Tax' then 'tax_and_fees'
            when charge_category = 'Credit' then 'credit'
            when charge_category = 'Adjustment' and lower(coalesce(charge_description, '')) like '%rounding%' then 'rounding'
            when charge_category = 'Adjustment' then 'credit'
            when is_prepayment or is_unused_commitment or is_unused_capacity then 'unused_commitment'
            when charge_category = 'Purchase' then 'tax_and_fees'
        end as cost_class,
        case
            when is_prepayment then 'CommitmentPurchase'
            when is_unused_commitment then 'UnusedCommitment'
            when is_unused_capacity then 'UnusedCapacity'
            when charge_category = 'Usage' and commitment_id is not null then 'CoveredUsage'
            else coalesce(charge_category, 'Unknown')
        end as line_item_type,
        -- rows whose effective cost may differ from what they bill: what was paid at another time, and what is derived from it
        commitment_id is not null or contract_applied is not null or is_prepayment
        or coalesce(charge_category = 'Purchase' and charge_frequency = 'One-Time', false)
        or coalesce(charge_category in ('Tax', 'Adjustment'), false) as may_be_trued_up
    from recognised

)

select * from classified
