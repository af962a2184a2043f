-- Law of money: what was published is what was delivered, and what was allocated is what was charged: both residuals are 0.
select source, billing_period, currency, delivery_residual, allocation_residual_usd
from {{ ref('fct_reconciliation') }}
where delivery_residual <> 0 or allocation_residual_usd <> 0
