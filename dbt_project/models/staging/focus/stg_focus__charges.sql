-- Grain: one charge = one FOCUS row; and one true-up row more for each row of a commitment whose effective cost is not what it bills:
-- effective = billed - effective, so that both rows together cost what the row bills (DECISIONS.md, FOCUS bills).
with

focus_rows as (

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
    from focus_rows

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
            when coalesce(charge_category, '') <> 'Usage' or is_unused_commitment or is_unused_capacity then null
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

),

both_rows as (

    select *, false as is_true_up from classified
    union all
    select *, true as is_true_up from classified
    where may_be_trued_up and billed_cost <> effective_cost

),

charges as (

    select
        source,
        provider,
        billing_period,
        invoice_id,
        billing_account_id,
        coalesce(sub_account_id, billing_account_id) as account_id,
        usage_start,
        usage_end,
        coalesce(service_code, service_name) as service,
        service_category,
        coalesce(usage_type, sku_meter, sku_id) as sku,
        region,
        case
            -- the resource's other row has its cost; what was paid for it at another time is no part of a machine's price
            when is_true_up then null
            -- the last part of a machine's or volume's ARN or Google resource name is what inventories know it by; a commitment keeps its own
            when full_resource_id like 'arn:%:ec2:%:instance/%' or full_resource_id like 'arn:%:ec2:%:volume/%'
                or full_resource_id like '%compute.googleapis.com/%' then regexp_extract(full_resource_id, '[^/]+$')
            else full_resource_id
        end as resource_id,
        case when not is_true_up then resource_name end as resource_alias,
        case when is_true_up then 'CommitmentTrueUp' else line_item_type end as line_item_type,
        case when is_true_up then 'Adjustment' else charge_category end as charge_category,
        charge_class,
        case
            when not is_true_up and not is_known_category then concat('unknown charge category ', coalesce(charge_category, '(none)'))
            when usage_start is null then 'unreadable charge period'
        end as quarantine_reason,
        case when is_true_up then 'commitment_true_up' else cost_class end as cost_class,
        case
            when commitment_id is not null and commitment_category = 'Spend' then 'savings_plan'
            when commitment_id is not null and commitment_category = 'Usage' then 'reservation'
            when commitment_id is not null or is_prepayment then 'committed'
            when is_unused_capacity then 'reservation'
            when coalesce(charge_category, '') <> 'Usage' then null
            when pricing_category = 'Dynamic' or usage_type like '%Spot%' then 'spot'
            else 'on_demand'
        end as pricing_category,
        coalesce(commitment_id, capacity_reservation_id) as commitment_id,
        case when not is_true_up then compute_kind end as compute_kind,
        -- a correction changes the price of hours that another row counts
        case
            when not is_true_up and charge_class is null and compute_kind in ('instance', 'gpu', 'core') then cast(usage_quantity * unit_seconds as decimal(38, 12))
        end as compute_seconds,
        case when not is_true_up then usage_quantity end as usage_quantity,
        case when not is_true_up then usage_unit end as usage_unit,
        currency,
        cast(case when is_true_up then 0 else billed_cost end as decimal(38, 12)) as source_cost,
        cast(case when is_true_up then 0 else billed_cost end as decimal(38, 12)) as net_cost,
        cast(case when is_true_up then 0 else billed_cost end as decimal(38, 12)) as billed_cost,
        cast(case when is_true_up then billed_cost - effective_cost else effective_cost end as decimal(38, 12)) as effective_cost,
        -- list and contracted prices stand on the usage that a purchase covers, and not a second time on the purchase or on what nobody used (B15)
        cast(case when is_true_up or is_prepayment or is_unused_commitment then 0 else list_cost end as decimal(38, 12)) as list_cost,
        cast(case when is_true_up or is_prepayment or is_unused_commitment then 0 else contracted_cost end as decimal(38, 12)) as contracted_cost,
        cast(case when not is_true_up and line_item_type = 'CoveredUsage' then effective_cost end as decimal(38, 12)) as covered_cost,
        cast(case when not is_true_up and line_item_type = 'CoveredUsage' then list_cost end as decimal(38, 12)) as covered_list_cost,
        cast(null as {{ dbt.type_string() }}) as commitment_kind,
        cast(null as timestamp) as commitment_ends_at,
        tags,
        case when is_true_up then concat('True-up of ', line_item_type) else charge_description end as charge_description,
        delivery_id,
        file_name,
        row_number
    from both_rows

)

select * from charges
