-- What moved between two releases, and why. Grain: day x source x account x team x workload x cost class x cause.
--
-- Reads the views that restatement.py makes over the files of the changed days of both releases:
--   buckets: side (-1 old, 1 new), usage_date, bucket_key, source, identity_key (every dimension that both releases have),
--            uninvoiced_key (without invoice and finality), untagged_key (without tags either), covered_key (the resource's hour of one sku),
--            line_item_type, pricing_category, commitment_id, charge_category, charge_class, fixed_cost_class, charge_count,
--            usage_quantity, billed_cost, effective_cost, list_cost
--   ledger:  side, usage_date, bucket_key, source, account_id, team, workload_key, cost_class, stage, billed_cost,
--            effective_cost, list_cost
--   days:    usage_date, in_old, in_new
--   identity_change: allocation_cause (the cause of a move between bearers where the bill did not move)
--
-- Every ledger row of a changed day is in exactly one group, with its sign; so the moves sum to the whole move exactly.
with

-- one row per charge bucket as both releases can tell it apart
bucket_sums as (

    select
        identity_key,
        any_value(usage_date) as usage_date,
        any_value(uninvoiced_key) as uninvoiced_key,
        any_value(untagged_key) as untagged_key,
        any_value(covered_key) as covered_key,
        any_value(concat_ws('|', line_item_type, coalesce(pricing_category, ''), coalesce(commitment_id, ''))) as coverage,
        any_value(line_item_type) as line_item_type,
        any_value(charge_category) as charge_category,
        any_value(charge_class) as charge_class,
        any_value(fixed_cost_class) as fixed_cost_class,
        count(*) filter (side = -1) as old_buckets,
        count(*) filter (side = 1) as new_buckets,
        coalesce(sum(side * charge_count), 0) as count_move,
        coalesce(sum(side * usage_quantity), 0) as quantity_move,
        coalesce(sum(side * billed_cost), 0) as billed_move,
        coalesce(sum(side * effective_cost), 0) as effective_move,
        coalesce(sum(side * list_cost), 0) as list_move
    from buckets
    group by identity_key

),

stated as (

    select
        *,
        old_buckets > 0 and new_buckets > 0
        and count_move = 0 and quantity_move = 0 and billed_move = 0 and effective_move = 0 and list_move = 0 as is_same
    from bucket_sums

),

-- among what is not the same: would it be, without its invoice; without its tags too; is it the same resource's hour, covered otherwise
compared as (

    select
        *,
        sum(old_buckets) over invoices > 0 and sum(new_buckets) over invoices > 0
        and sum(count_move) over invoices = 0 and sum(quantity_move) over invoices = 0 and sum(billed_move) over invoices = 0
        and sum(effective_move) over invoices = 0 and sum(list_move) over invoices = 0 as is_invoiced,
        sum(old_buckets) over tags > 0 and sum(new_buckets) over tags > 0
        and sum(count_move) over tags = 0 and sum(quantity_move) over tags = 0 and sum(billed_move) over tags = 0
        and sum(effective_move) over tags = 0 and sum(list_move) over tags = 0 as is_retagged,
        covered_key is not null
        and (
            min(case when new_buckets = 0 then coverage end) over hours <> min(case when old_buckets = 0 then coverage end) over hours
            or max(case when new_buckets = 0 then coverage end) over hours <> max(case when old_buckets = 0 then coverage end) over hours
        ) as is_covered_otherwise,
        sum(old_buckets) over tags > 0 and sum(new_buckets) over tags > 0 as is_on_both_sides,
        sum(count_move) over tags as both_count_move,
        sum(quantity_move) over tags as both_quantity_move
    from stated
    where not is_same
    window
        invoices as (partition by uninvoiced_key),
        tags as (partition by untagged_key),
        hours as (partition by covered_key)

),

bucket_causes as (

    select
        compared.identity_key,
        case
            when compared.is_invoiced then 'invoice_assigned'
            when compared.is_retagged then 'tag_change'
            when compared.charge_class = 'Correction' then 'correction'
            when compared.fixed_cost_class = 'tax_and_fees' or compared.charge_category = 'Tax' then 'tax_and_fees'
            when compared.fixed_cost_class = 'credit' or compared.charge_category in ('Credit', 'Adjustment')
                or compared.line_item_type in ('Credit', 'Refund') then 'credit'
            when compared.is_covered_otherwise or compared.fixed_cost_class in ('unused_commitment', 'commitment_true_up')
                then 'commitment_reapplied'
            when not compared.is_on_both_sides and compared.new_buckets > 0 then 'late_usage'
            when not compared.is_on_both_sides then 'removed_usage'
            when compared.both_quantity_move > 0 or (compared.both_quantity_move = 0 and compared.both_count_move > 0) then 'late_usage'
            when compared.both_quantity_move < 0 or compared.both_count_move < 0 then 'removed_usage'
            else 'price_change'
        end as cause
    from compared

),

explained as (

    select
        ledger.usage_date,
        ledger.source,
        ledger.account_id,
        ledger.team,
        ledger.workload_key,
        ledger.cost_class,
        case
            when not days.in_old then 'first_published'
            when not days.in_new then 'withdrawn'
            when ledger.stage = 'distributed' and identity_change.allocation_cause = 'telemetry_change' then 'redistributed'
            when ledger.stage = 'distributed' then identity_change.allocation_cause
            else coalesce(bucket_causes.cause, identity_change.allocation_cause)
        end as cause,
        ledger.side,
        ledger.billed_cost,
        ledger.effective_cost,
        ledger.list_cost
    from ledger
    inner join days on ledger.usage_date = days.usage_date
    left join buckets
        on ledger.usage_date = buckets.usage_date and ledger.bucket_key = buckets.bucket_key and ledger.side = buckets.side
    left join bucket_causes on buckets.identity_key = bucket_causes.identity_key
    cross join identity_change

),

moves as (

    select
        usage_date,
        source,
        account_id,
        team,
        workload_key,
        cost_class,
        cause,
        cast(count(*) filter (side = -1) as bigint) as old_rows,
        cast(count(*) filter (side = 1) as bigint) as new_rows,
        cast(coalesce(sum(side * billed_cost), 0) as decimal(38, 12)) as billed_move_usd,
        cast(coalesce(sum(side * effective_cost), 0) as decimal(38, 12)) as effective_move_usd,
        cast(coalesce(sum(side * list_cost), 0) as decimal(38, 12)) as list_move_usd
    from explained
    group by all

)

select *
from moves
where billed_move_usd <> 0 or effective_move_usd <> 0 or list_move_usd <> 0 or cause in ('invoice_assigned', 'tag_change')
order by all
