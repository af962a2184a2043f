-- Grain: row of fct_cost_allocation, in the columns of FOCUS 1.4's Cost and Usage dataset (docs/focus.md says column by column what is
-- what). Two parameters: first and last usage day. Rows of stage allocated share out an origin charge (our bucket); rows of stage
-- distributed share out a pool of dollars anew (received) and take them from where they stood (handed_out).
with

ledger as (

    select
        rowid as ledger_row,
        *,
        case when stage = 'allocated' then 'allocated' when bucket_key = distribution_key then 'received' else 'handed_out' end as ledger_role,
        case when stage = 'allocated' then bucket_key else distribution_key end as origin_key
    from fct_cost_allocation
    where usage_date = $day

),

buckets as (

    select * from fct_charge_bucket
    where usage_date = $day

),

-- a pool has the category of what was put into it, where that is one
pools as (

    select
        ledger.usage_date,
        ledger.distribution_key,
        case when count(*) = count(buckets.service_category) and min(buckets.service_category) = max(buckets.service_category)
            then min(buckets.service_category) end as service_category
    from ledger
    inner join buckets on ledger.usage_date = buckets.usage_date and ledger.bucket_key = buckets.bucket_key
    where ledger.ledger_role = 'handed_out'
    group by ledger.usage_date, ledger.distribution_key

),

charges as (

    select
        ledger.*,
        coalesce(buckets.service_category, pools.service_category, 'Other') as service_category,
        buckets.tags,
        buckets.usage_unit,
        -- consumption is of usage: what a commitment did not use was not consumed, a discount or a restatement of other rows consumes
        -- nothing again, and distribution moves money, not usage
        case
            when ledger.ledger_role <> 'allocated' or ledger.charge_category is distinct from 'Usage' then null
            when buckets.fixed_cost_class = 'unused_commitment' then null
            when ledger.line_item_type in ('EdpDiscount', 'PrivateRateDiscount', 'SppDiscount', 'BundledDiscount', 'SplitLineItem') then 0
            else buckets.usage_quantity
        end as origin_quantity,
        buckets.fixed_cost_class is not distinct from 'unused_commitment' as is_unused,
        case when ledger.commitment_id is null then null
            when ledger.pricing_category = 'savings_plan' then 'Savings Plan'
            when ledger.pricing_category = 'reservation' then 'Reserved Instance'
        end as commitment_type,
        coalesce(
            ledger.attempt_key, ledger.workload_key,
            case when ledger.ledger_role = 'received' then concat('team/', ledger.team) end
        ) as allocated_resource_id
    from ledger
    left join buckets on ledger.usage_date = buckets.usage_date and ledger.bucket_key = buckets.bucket_key
    left join pools
        on ledger.ledger_role = 'received' and ledger.usage_date = pools.usage_date and ledger.distribution_key = pools.distribution_key

),

-- the rule of the money, for the two figures that the ledger does not hold: floor to 1e-12, then one unit each to the largest remainders
-- (long_quotient and long_remainder divide units x weight by the total digit by digit: the product may have more than 38)
units as (

    select
        ledger_row,
        origin_key,
        ledger_role,
        route,
        workload_key,
        attempt_key,
        cost_class,
        component,
        reason,
        team,
        evidence,
        sharing,
        is_unmeasured,
        usage_date,
        cast(allocation_weight as hugeint) as weight,
        cast(bucket_weight as hugeint) as total_weight,
        cast(1000000000000 as hugeint) as ratio_units,
        -- a large quantity (bytes) is split in millionths, so that units x weight stay within 38 digits; the first row takes the rest
        case when abs(origin_quantity) < 1000000 then cast('0.000000000001' as decimal(13, 12)) else cast('0.000001' as decimal(13, 12)) end as quantity_unit,
        case
            when abs(origin_quantity) < 1000000 then cast(abs(origin_quantity) * 1000000000000 as hugeint)
            else cast(floor(abs(origin_quantity) * 1000000) as hugeint)
        end as quantity_units,
        case when abs(origin_quantity) < 1000000 then 0 else abs(origin_quantity) - floor(abs(origin_quantity) * 1000000) * cast('0.000001' as decimal(7, 6)) end
            as quantity_rest,
        case when origin_quantity < 0 then -1 else 1 end as quantity_sign
    from charges

),

floors as (

    select
        *,
        long_quotient(ratio_units, weight, total_weight) as ratio_floor,
        long_remainder(ratio_units, weight, total_weight) as ratio_remainder,
        long_quotient(quantity_units, weight, total_weight) as quantity_floor,
        long_remainder(quantity_units, weight, total_weight) as quantity_remainder
    from units

),

ranked as (

    select
        *,
        -- whether the charge was split or reached a workload at all; if so, every row of it says how
        max(case when route <> 'none' then route end) over origin as origin_route,
        ratio_units - sum(ratio_floor) over origin as ratio_leftover,
        quantity_units - sum(quantity_floor) over origin as quantity_leftover,
        row_number() over (
            partition by usage_date, ledger_role, origin_key
            order by
                ratio_remainder desc, workload_key nulls first, cost_class, component, attempt_key nulls first, reason nulls first,
                team nulls first, evidence nulls first, sharing nulls first, is_unmeasured nulls first
        ) as ratio_rank,
        row_number() over (
            partition by usage_date, ledger_role, origin_key
            order by
                quantity_remainder desc, workload_key nulls first, cost_class, component, attempt_key nulls first, reason nulls first,
                team nulls first, evidence nulls first, sharing nulls first, is_unmeasured nulls first
        ) as quantity_rank
    from floors
    window origin as (partition by usage_date, ledger_role, origin_key)

),

shares as (

    select
        ledger_row,
        origin_route,
        cast(cast(ratio_floor + case when ratio_rank <= ratio_leftover then 1 else 0 end as decimal(38, 0))
            * cast('0.000000000001' as decimal(13, 12)) as decimal(38, 12)) as allocated_ratio,
        cast(quantity_sign * (
            cast(quantity_floor + case when quantity_rank <= quantity_leftover then 1 else 0 end as decimal(38, 0)) * quantity_unit
            + case when quantity_rank = 1 then quantity_rest else 0 end
        ) as decimal(38, 12)) as consumed_quantity
    from ranked

),

described as (

    select
        charges.*,
        shares.consumed_quantity,
        shares.origin_route,
        case
            when origin_route is null then null
            when stage = 'distributed' then concat('rule.', rule_id)
            else concat_ws('.', origin_route, coalesce(method_id, case when route = 'telemetry' then evidence end))
        end as allocated_method_id,
        case
            when origin_route is null then null
            when ledger_role = 'handed_out' then '{"Elements":[]}'
            else concat(
                '{"Elements":[{"AllocatedRatio":', shares.allocated_ratio,
                ',"UsageUnit":"GPU-Seconds","UsageQuantity":' || gpu_seconds,
                ',"x_Weight":"', allocation_weight, '","x_TotalWeight":"', bucket_weight,
                '","x_CostClass":', to_json(cost_class), ',"x_Component":', to_json(component),
                ',"x_Evidence":' || to_json(evidence), ',"x_ActivityRung":' || to_json(activity_rung), '}]}')
        end as allocated_method_details,
        nullif(concat('{', concat_ws(',',
            '"apportion/environment":' || to_json(environment), '"apportion/model":' || to_json(model),
            '"apportion/project":' || to_json(project), '"apportion/team":' || to_json(team)), '}'), '{}') as allocated_tags,
        -- the usual spellings of the bills in FOCUS's; others stay as the bill writes them
        case lower(usage_unit)
            when 'hrs' then 'Hours' when 'hours' then 'Hours' when 'seconds' then 'Seconds' when 'bytes' then 'B' when 'gb-mo' then 'GB-Months'
            when 'gb-hours' then 'GB-Hours' when 'byte-seconds' then 'B-Seconds' when 'requests' then 'Requests' when 'count' then 'Count'
        end as focus_unit,
        case provider when 'aws' then 'Amazon Web Services' when 'gcp' then 'Google Cloud' else coalesce(provider, source) end as provider_name
    from charges
    inner join shares on charges.ledger_row = shares.ledger_row

)

select
    allocated_method_details as "AllocatedMethodDetails",
    allocated_method_id as "AllocatedMethodId",
    allocated_resource_id as "AllocatedResourceId",
    case
        when workload_key is not null then substring(workload_key, length(workload_type) + 2)
        when allocated_resource_id is not null then team
    end as "AllocatedResourceName",
    case when allocated_resource_id is not null then allocated_tags end as "AllocatedTags",
    billed_cost as "BilledCost",
    billing_account_id as "BillingAccountId",
    cast(null as varchar) as "BillingAccountName",
    'USD' as "BillingCurrency",
    cast(billing_period + interval 1 month as timestamp) as "BillingPeriodEnd",
    cast(billing_period as timestamp) as "BillingPeriodStart",
    charge_category as "ChargeCategory",
    charge_class as "ChargeClass",
    nullif(concat_ws(': ', service, sku), '') as "ChargeDescription",
    case
        when charge_category = 'Usage' then 'Usage-Based'
        when line_item_type in ('SavingsPlanRecurringFee', 'RIFee') then 'Recurring'
        when line_item_type = 'SavingsPlanUpfrontFee' then 'One-Time'
    end as "ChargeFrequency",
    window_end as "ChargePeriodEnd",
    window_start as "ChargePeriodStart",
    case commitment_type when 'Savings Plan' then 'Spend' when 'Reserved Instance' then 'Usage' end as "CommitmentDiscountCategory",
    commitment_id as "CommitmentDiscountId",
    cast(null as varchar) as "CommitmentDiscountName",
    cast(null as decimal(38, 12)) as "CommitmentDiscountQuantity",
    case when commitment_id is not null and charge_category = 'Usage'
        then case when is_unused then 'Unused' else 'Used' end end as "CommitmentDiscountStatus",
    commitment_type as "CommitmentDiscountType",
    cast(null as varchar) as "CommitmentDiscountUnit",
    consumed_quantity as "ConsumedQuantity",
    case when consumed_quantity is not null then coalesce(focus_unit, usage_unit) end as "ConsumedUnit",
    coalesce(contracted_cost, case when charge_category in ('Credit', 'Adjustment') then billed_cost end) as "ContractedCost",
    cast(null as decimal(38, 12)) as "ContractedUnitPrice",
    effective_cost as "EffectiveCost",
    provider_name as "HostProviderName",
    cast(null as varchar) as "InvoiceDetailId",
    invoice_id as "InvoiceId",
    provider_name as "InvoiceIssuerName",
    coalesce(list_cost, case when charge_category in ('Credit', 'Adjustment') then billed_cost end) as "ListCost",
    cast(null as decimal(38, 12)) as "ListUnitPrice",
    case
        when charge_category = 'Tax' then null
        when charge_category = 'Purchase' then 'Standard'
        when pricing_category = 'on_demand' then 'Standard'
        when pricing_category in ('savings_plan', 'reservation') then 'Committed'
        when pricing_category = 'spot' then 'Dynamic'
        when pricing_category in ('Standard', 'Dynamic', 'Committed', 'Other') then pricing_category
    end as "PricingCategory",
    cast(null as decimal(38, 12)) as "PricingQuantity",
    cast(null as varchar) as "PricingUnit",
    region as "RegionId",
    cast(null as varchar) as "RegionName",
    resource_id as "ResourceId",
    cast(null as varchar) as "ResourceName",
    cast(null as varchar) as "ResourceType",
    service_category as "ServiceCategory",
    service as "ServiceName",
    provider_name as "ServiceProviderName",
    concat('Other (', service_category, ')') as "ServiceSubcategory",
    case when charge_category <> 'Tax' then sku end as "SkuId",
    case when charge_category <> 'Tax' then sku end as "SkuMeter",
    cast(null as varchar) as "SkuPriceDetails",
    cast(null as varchar) as "SkuPriceId",
    account_id as "SubAccountId",
    cast(null as varchar) as "SubAccountName",
    tags as "Tags",
    bucket_key as "x_BucketKey",
    component as "x_Component",
    cost_class as "x_CostClass",
    environment as "x_Environment",
    exchange_rate as "x_ExchangeRate",
    model as "x_Model",
    net_cost as "x_NetCost",
    node as "x_Node",
    concat(ledger_role, '/', origin_key) as "x_OriginChargeId",
    project as "x_Project",
    reason as "x_Reason",
    route as "x_Route",
    source as "x_Source",
    currency as "x_SourceCurrency",
    stage as "x_Stage",
    team as "x_Team",
    cast(usage_date as timestamp) as "x_UsageDate",
    workload_key as "x_WorkloadId"
from described
order by
    usage_date, source, bucket_key, stage, workload_key nulls first, attempt_key nulls first, cost_class, component, reason nulls first,
    team nulls first, rule_id nulls first, distribution_key nulls first, evidence nulls first, activity_rung nulls first, sharing nulls first,
    is_unmeasured nulls first, allocation_weight
