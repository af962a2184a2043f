-- Named double count: rows are repeated on the way from the file to the first model, as by joining credits or labels to them (B08): the sum
-- taken when the delivery was landed is not what staging made of it.
select source, delivery_id, currency, delivered_cost, staged_cost, staging_residual
from {{ ref('fct_delivery_control') }}
where staging_residual <> 0
