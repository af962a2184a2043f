-- Grain: one AWS CUR 2.0 line item with its cost on every basis, and its true-up. Bases follow FOCUS; amortisation follows the public CID
-- formula (DECISIONS.md, AWS bases). Net columns win over gross ones column by column: they are there only where a negotiated discount applies.
with

line_items as (

    select * from {{ ref('base_aws_cur__classified_line_items') }}

),

net as (

    select
        *,
        coalesce(net_unblended_cost, unblended_cost) as cash_cost,
        coalesce(savings_plan_net_effective_cost, savings_plan_effective_cost) as savings_plan_paid_cost,
        coalesce(reservation_net_effective_cost, reservation_effective_cost) as reservation_paid_cost,
        coalesce(savings_plan_net_amortized_upfront_cost, savings_plan_amortized_upfront_cost) as savings_plan_upfront_part,
        coalesce(reservation_net_amortized_upfront_cost, reservation_amortized_upfront_cost) as reservation_upfront_part,
        -- AWS gives the unused part of a Savings Plan before discounts only; it is net by the ratio of net to gross commitment
        coalesce(
            case
                when savings_plan_net_amortized_upfront_cost is not null or savings_plan_net_recurring_cost is not null then {{ scaled_amount(
                    'savings_plan_commitment_cost - savings_plan_used_cost',
                    'coalesce(savings_plan_net_amortized_upfront_cost, savings_plan_amortized_upfront_cost, 0) + coalesce(savings_plan_net_recurring_cost, savings_plan_recurring_cost, 0)',
                    'coalesce(savings_plan_amortized_upfront_cost, 0) + coalesce(savings_plan_recurring_cost, 0)') }}
            end,
            savings_plan_commitment_cost - savings_plan_used_cost
        ) as savings_plan_unused_cost,
        case
            when coalesce(
                reservation_net_unused_upfront_cost, reservation_unused_upfront_cost, reservation_net_unused_recurring_cost, reservation_unused_recurring_cost
            ) is not null
                then coalesce(reservation_net_unused_upfront_cost, reservation_unused_upfront_cost, 0)
                    + coalesce(reservation_net_unused_recurring_cost, reservation_unused_recurring_cost, 0)
        end as reservation_unused_cost
    from line_items

),

amortised as (

    select
        *,
        case
            when is_split_row or is_upfront_fee or line_item_type = 'SavingsPlanNegation' then 0
            when line_item_type = 'SavingsPlanCoveredUsage' then savings_plan_paid_cost
            when line_item_type = 'SavingsPlanRecurringFee' then savings_plan_unused_cost
            when line_item_type = 'DiscountedUsage' then reservation_paid_cost
            when line_item_type = 'RIFee' then reservation_unused_cost
            else cash_cost
        end as amortised_cost
    from net

),

priced as (

    select
        *,
        case when is_split_row then 0 else unblended_cost end as source_cost,
        case when is_split_row then 0 else cash_cost end as net_cost,
        -- covered usage and its negation cancel out on the invoice
        case when is_split_row or line_item_type in ('SavingsPlanCoveredUsage', 'SavingsPlanNegation') then 0 else cash_cost end as billed_cost,
        -- the list price stands on the usage, before any discount, and not a second time on the fee that pays for it (B15)
        case
            when is_split_row or is_commitment_fee or price_role in ('negation', 'negotiated_discount', 'bundled_discount') then 0
            else coalesce(public_on_demand_cost, unblended_cost)
        end as list_cost,
        case
            when is_split_row or is_commitment_fee or price_role in ('negation', 'bundled_discount') then 0
            when price_role = 'negotiated_discount' and coalesce(savings_plan_arn, reservation_arn) is not null then 0
            when line_item_type = 'DiscountedUsage' and reservation_net_effective_cost is not null
                then coalesce({{ scaled_amount('public_on_demand_cost', 'reservation_net_effective_cost', 'reservation_effective_cost') }}, public_on_demand_cost)
            when line_item_type = 'DiscountedUsage' then public_on_demand_cost
            else cash_cost
        end as contracted_cost,
        -- what leads from the amortised cost back to the invoice: the one-time fee paid, minus the part of it that this row's hours bear
        case
            when is_split_row or amortised_cost is null then null
            when is_upfront_fee then cash_cost
            when line_item_type = 'SavingsPlanRecurringFee' then -savings_plan_upfront_part
            when line_item_type = 'RIFee' then -reservation_upfront_part
        end as true_up_cost
    from amortised

)

select * from priced
