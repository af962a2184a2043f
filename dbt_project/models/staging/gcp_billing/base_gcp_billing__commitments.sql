-- Grain: one export row whose effective cost a commitment changes: a fee row, less what the day's usage used of it, or the first row of a
-- usage line, which bears its exact share. Fees are pooled by account, invoice month, usage day, family and region; a pool is split in
-- proportion to what commitments took off the lines, by largest remainder, so that nothing is left over.
with

fees as (

    select * from {{ ref('base_gcp_billing__fees') }}

),

credited as (

    select * from {{ ref('base_gcp_billing__credited') }}

),

pooled as (

    select
        source, billing_account_id, invoice_month, currency, usage_date, commitment_kind, family, commitment_region,
        sum(usage_amount) as committed_amount,
        min(usage_unit) as lowest_unit,
        max(usage_unit) as highest_unit
    from fees
    where is_spread
    group by source, billing_account_id, invoice_month, currency, usage_date, commitment_kind, family, commitment_region

),

-- of each pool: the part that the day's credited usage used, all of it unless the quantities tell less
used as (

    select
        pooled.source, pooled.billing_account_id, pooled.invoice_month, pooled.currency, pooled.usage_date, pooled.commitment_kind, pooled.family,
        pooled.commitment_region,
        case
            when pooled.commitment_kind = 'resource' and pooled.family not like 'resource/other/%' and pooled.committed_amount >= 1
                and min(credited.usage_unit) = max(credited.usage_unit) and pooled.lowest_unit = pooled.highest_unit
                and max(credited.usage_unit) = pooled.highest_unit
                and sum(credited.covered_amount) < {{ wide_int('pooled.committed_amount') }}
                then {{ int_div('sum(credited.covered_amount) * 1000000000', wide_int('pooled.committed_amount')) }}
            else {{ wide_int('1000000000') }}
        end as used_billionths
    from pooled
    inner join credited
        on pooled.source = credited.source
        and pooled.billing_account_id = credited.billing_account_id
        and pooled.invoice_month = credited.invoice_month
        and pooled.currency = credited.currency
        and pooled.usage_date = credited.usage_date
        and pooled.commitment_kind = credited.commitment_kind
        and pooled.family = credited.family
        and (pooled.commitment_region is null or pooled.commitment_region = credited.commitment_region)
    group by pooled.source, pooled.billing_account_id, pooled.invoice_month, pooled.currency, pooled.usage_date, pooled.commitment_kind, pooled.family,
        pooled.commitment_region, pooled.committed_amount, pooled.lowest_unit, pooled.highest_unit

),

told as (

    select
        fees.*,
        case when fees.is_spread and used.used_billionths is not null then
            sign(fees.fee_cost) * {{ int_div(allocation_units('fees.fee_cost') ~ ' * used.used_billionths', '1000000000') }}
        else 0 end as used_units
    from fees
    left join used
        on fees.source = used.source
        and fees.billing_account_id = used.billing_account_id
        and fees.invoice_month = used.invoice_month
        and fees.currency = used.currency
        and fees.usage_date = used.usage_date
        and fees.commitment_kind = used.commitment_kind
        and fees.family = used.family
        and fees.commitment_region is not distinct from used.commitment_region

),

pools as (

    select
        source, billing_account_id, invoice_month, currency, usage_date, commitment_kind, family, commitment_region,
        cast(cast(sum(used_units) as decimal(38, 0)) * cast('0.000000000001' as decimal(13, 12)) as decimal(38, 12)) as used_cost
    from told
    where used_units <> 0
    group by source, billing_account_id, invoice_month, currency, usage_date, commitment_kind, family, commitment_region

),

weighted as (

    select
        pools.*,
        credited.line_key, credited.delivery_id, credited.file_name, credited.row_number, credited.weight,
        sum(credited.weight) over (
            partition by pools.source, pools.billing_account_id, pools.invoice_month, pools.currency, pools.usage_date, pools.commitment_kind,
                pools.family, pools.commitment_region
        ) as total_weight
    from pools
    inner join credited
        on pools.source = credited.source
        and pools.billing_account_id = credited.billing_account_id
        and pools.invoice_month = credited.invoice_month
        and pools.currency = credited.currency
        and pools.usage_date = credited.usage_date
        and pools.commitment_kind = credited.commitment_kind
        and pools.family = credited.family
        and (pools.commitment_region is null or pools.commitment_region = credited.commitment_region)

),

floors as (

    select
        *,
        {{ allocation_floor(allocation_units('used_cost'), 'weight', 'total_weight') }} as floor_units,
        {{ allocation_remainder(allocation_units('used_cost'), 'weight', 'total_weight') }} as remainder
    from weighted

),

ranked as (

    select
        *,
        {{ allocation_units('used_cost') }} - sum(floor_units) over (
            partition by source, billing_account_id, invoice_month, currency, usage_date, commitment_kind, family, commitment_region
        ) as leftover_units,
        row_number() over (
            partition by source, billing_account_id, invoice_month, currency, usage_date, commitment_kind, family, commitment_region
            order by remainder desc, line_key
        ) as remainder_rank
    from floors

),

amortised as (

    -- a line that commitments of two kinds covered has two shares
    select
        delivery_id,
        file_name,
        row_number,
        cast(sum({{ allocation_amount('used_cost', 'floor_units', 'leftover_units', 'remainder_rank') }}) as decimal(38, 12)) as amortised_cost
    from ranked
    group by delivery_id, file_name, row_number

),

changed as (

    select
        delivery_id,
        file_name,
        row_number,
        cast(cast(used_units as decimal(38, 0)) * cast('0.000000000001' as decimal(13, 12)) as decimal(38, 12)) as used_fee_cost,
        cast(null as decimal(38, 12)) as amortised_cost
    from told
    where used_units <> 0
    union all
    select delivery_id, file_name, row_number, cast(null as decimal(38, 12)), amortised_cost
    from amortised

)

select * from changed
