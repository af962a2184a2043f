"""The raw table of an AWS bill: CUR 2.0's own column names, which both report formats are landed with.

Belongs here: the columns, and which of them a bill cannot do without. Does not: how a legacy report's names lead here
(cur_names.py), reading files (cur_files.py), what line item types and money mean (dbt models).
"""

from __future__ import annotations

from typing import cast

from pipelines.source import Column, ColumnType, RawTable

TABLE = "line_items"
REQUIRED = (
    "line_item_unblended_cost",
    "line_item_line_item_type",
    "line_item_usage_start_date",
    "line_item_usage_account_id",
    "line_item_product_code",
)

_COLUMNS = """
identity_line_item_id | VARCHAR | identifies the row within one delivery only
bill_bill_type | VARCHAR | Anniversary (monthly), Purchase (upfront) or Refund
bill_billing_entity | VARCHAR | who sells: AWS, AWS Marketplace
bill_invoicing_entity | VARCHAR | who sends the invoice
bill_billing_period_start_date | TIMESTAMP | first instant of the billing period
bill_billing_period_end_date | TIMESTAMP | end of the billing period
bill_invoice_id | VARCHAR | the invoice; empty until the bill is final
bill_payer_account_id | VARCHAR | the account that pays
bill_payer_account_name | VARCHAR | its name; CUR 2.0 only
line_item_usage_account_id | VARCHAR | the account that used
line_item_usage_account_name | VARCHAR | its name; CUR 2.0 only
line_item_usage_start_date | TIMESTAMP | start of the usage; NULL where it could not be read
line_item_usage_end_date | TIMESTAMP | end of the usage, exclusive
line_item_line_item_type | VARCHAR | Usage, DiscountedUsage, SavingsPlanCoveredUsage, Tax, Credit and so on
line_item_line_item_description | VARCHAR | the charge in words
line_item_product_code | VARCHAR | the service, such as AmazonEC2
line_item_usage_type | VARCHAR | what was used, such as BoxUsage:p4d.24xlarge
line_item_operation | VARCHAR | the operation, such as RunInstances
line_item_tax_type | VARCHAR | which tax, on tax rows
line_item_legal_entity | VARCHAR | the seller of record
line_item_availability_zone | VARCHAR | the availability zone
line_item_resource_id | VARCHAR | the instance, volume or other resource; empty where there is none
line_item_usage_amount | MONEY | usage in the pricing unit, as exact decimal text
line_item_currency_code | VARCHAR | currency of the costs
line_item_unblended_cost | MONEY | what AWS charges for this row; never missing
line_item_net_unblended_cost | MONEY | the same after negotiated discounts; only where there are any
pricing_public_on_demand_cost | MONEY | the list price of the same usage
pricing_currency | VARCHAR | currency of the list price
pricing_term | VARCHAR | OnDemand, Reserved or Spot
pricing_purchase_option | VARCHAR | of a reservation: No Upfront, Partial Upfront or All Upfront
pricing_unit | VARCHAR | the unit of the usage amount
product_instance_type | VARCHAR | the instance type
product_instance_family | VARCHAR | the instance family, such as GPU instance
product_region_code | VARCHAR | the region
product_product_family | VARCHAR | the product family, such as Compute Instance
product_servicecode | VARCHAR | the service's code in the price list
product | JSON | what else is told of the product: attribute to value
reservation_reservation_a_r_n | VARCHAR | the reservation that covers or causes the row
reservation_effective_cost | MONEY | amortised cost of the covered usage
reservation_net_effective_cost | MONEY | the same after negotiated discounts
reservation_amortized_upfront_cost_for_usage | MONEY | the amortised upfront part of the covered usage
reservation_net_amortized_upfront_cost_for_usage | MONEY | the same after negotiated discounts
reservation_recurring_fee_for_usage | MONEY | the recurring part of the covered usage
reservation_net_recurring_fee_for_usage | MONEY | the same after negotiated discounts
reservation_unused_amortized_upfront_fee_for_billing_period | MONEY | unused part of the upfront fee
reservation_net_unused_amortized_upfront_fee_for_billing_period | MONEY | the same after negotiated discounts
reservation_unused_recurring_fee | MONEY | unused part of the recurring fee
reservation_net_unused_recurring_fee | MONEY | the same after negotiated discounts
reservation_amortized_upfront_fee_for_billing_period | MONEY | the period's part of the upfront fee
reservation_net_amortized_upfront_fee_for_billing_period | MONEY | the same after negotiated discounts
reservation_upfront_value | MONEY | what was paid upfront for the reservation
reservation_net_upfront_value | MONEY | the same after negotiated discounts
reservation_end_time | VARCHAR | when the reservation ends, as ISO 8601 text
savings_plan_savings_plan_a_r_n | VARCHAR | the Savings Plan that covers or causes the row
savings_plan_savings_plan_effective_cost | MONEY | amortised cost of the covered usage
savings_plan_net_savings_plan_effective_cost | MONEY | the same after negotiated discounts
savings_plan_total_commitment_to_date | MONEY | the commitment of the hour, upfront part amortised
savings_plan_used_commitment | MONEY | the used part of it
savings_plan_amortized_upfront_commitment_for_billing_period | MONEY | the period's part of the upfront commitment
savings_plan_net_amortized_upfront_commitment_for_billing_period | MONEY | the same after negotiated discounts
savings_plan_recurring_commitment_for_billing_period | MONEY | the recurring part of the period's commitment
savings_plan_net_recurring_commitment_for_billing_period | MONEY | the same after negotiated discounts
savings_plan_end_time | VARCHAR | when the Savings Plan ends, as ISO 8601 text
split_line_item_parent_resource_id | VARCHAR | the instance that a split (container) row restates
split_line_item_reserved_usage | MONEY | what the container asked for
split_line_item_actual_usage | MONEY | what the container used
split_line_item_split_usage | MONEY | the larger of the two: what is allocated to the container
split_line_item_split_usage_ratio | MONEY | its share of what the instance has
split_line_item_split_cost | MONEY | the instance's cost, amortised, that goes with it; restates the instance's row
split_line_item_unused_cost | MONEY | the container's part of the instance's unused cost; restates the instance's row
split_line_item_net_split_cost | MONEY | the split cost after negotiated discounts
split_line_item_net_unused_cost | MONEY | the unused cost after negotiated discounts
split_line_item_public_on_demand_split_cost | MONEY | the split cost at list prices
split_line_item_public_on_demand_unused_cost | MONEY | the unused cost at list prices
resource_tags | JSON | cost allocation tags of the resource: key to value
cost_category | JSON | cost categories: name to value
tags | JSON | tags of resources, users, accounts and cost categories, keys with their origin
"""


def _columns() -> tuple[Column, ...]:
    rows = (line.split(" | ") for line in _COLUMNS.strip().splitlines())
    return tuple(Column(name, cast(ColumnType, kind), description) for name, kind, description in rows)


LINE_ITEMS = RawTable(TABLE, "one row per line item of the bill, as AWS delivered it", _columns())
