-- Named double count: usage that a Savings Plan covers is billed although the plan's fee is (B12): covered usage and its negation bear no
-- billed dollars, and per commitment and day the source's own amounts cancel to less than AWS's rounding (1e-6 per charge). The
-- policy may let an export through that lacks the negations (reconciliation: unmatched_negation); fct_reconciliation shows it all the same.
with

covered as (

    select source, usage_date, account_id, line_item_type, charge_count, source_cost, billed_cost
    from {{ ref('int_charge_buckets') }}
    where line_item_type in ('SavingsPlanCoveredUsage', 'SavingsPlanNegation')

),

unmatched as (

    select source, usage_date, account_id, sum(source_cost) as left_over
    from covered
    group by source, usage_date, account_id
    having abs(sum(source_cost)) > sum(charge_count) * cast('0.000001' as decimal(38, 12))

)

select source, usage_date, account_id, 'covered usage is billed' as broken, sum(billed_cost) as amount
from covered
where billed_cost <> 0
group by source, usage_date, account_id
union all
select source, usage_date, account_id, 'covered usage without its negation', left_over
from unmatched
where {{ parameter('unmatched_negation', dbt.type_string()) }} = 'block'
