-- Grain: one bucket = charges alike in all that attribution can see (attribution rules, section 7), with their count and sums.
{{ config(materialized='table') }}

with

charges as (

    select * from {{ ref('int_charges') }}

),

tag_sets as (

    select * from {{ ref('int_tag_sets') }}

),

bucketed as (

    select
        usage_date,
        source,
        provider,
        billing_period,
        invoice_id,
        billing_account_id,
        account_id,
        window_from,
        window_to,
        service,
        service_category,
        sku,
        usage_unit,
        region,
        resource_id,
        resource_alias,
        line_item_type,
        charge_category,
        charge_class,
        fixed_cost_class,
        quarantine_reason,
        pricing_category,
        commitment_id,
        compute_kind,
        currency,
        exchange_rate,
        tags,
        cast(count(*) as bigint) as charge_count,
        cast(sum(compute_seconds) as decimal(38, 12)) as compute_seconds,
        cast(sum(usage_quantity) as decimal(38, 12)) as usage_quantity,
        cast(sum(source_cost) as decimal(38, 12)) as source_cost,
        cast(sum(net_cost) as decimal(38, 12)) as net_cost,
        cast(sum(billed_cost) as decimal(38, 12)) as billed_cost,
        cast(sum(effective_cost) as decimal(38, 12)) as effective_cost,
        cast(sum(list_cost) as decimal(38, 12)) as list_cost,
        cast(sum(contracted_cost) as decimal(38, 12)) as contracted_cost,
        cast(sum(covered_cost) as decimal(38, 12)) as covered_cost,
        cast(sum(covered_list_cost) as decimal(38, 12)) as covered_list_cost,
        {{ one_or_mixed('commitment_kind') }} as commitment_kind,
        max(commitment_ends_at) as commitment_ends_at
    from charges
    group by all

),

keyed as (

    select
        {{ digest(bucket_dimensions()) }} as bucket_key,
        bucketed.*,
        tag_sets.team,
        tag_sets.model,
        tag_sets.environment,
        tag_sets.project,
        tag_sets.cluster,
        tag_sets.pool,
        tag_sets.namespace,
        tag_sets.run_id,
        tag_sets.endpoint,
        tag_sets.creator
    from bucketed
    left join tag_sets on bucketed.tags = tag_sets.tags and {{ in_era('bucketed.usage_date') }}

)

select * from keyed
