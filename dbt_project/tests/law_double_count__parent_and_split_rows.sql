-- Named double count: a container's split row bears money although its instance's row bears it already (B07).
select source, usage_date, bucket_key, source_cost, effective_cost
from {{ ref('fct_charge_bucket') }}
where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    and line_item_type = 'SplitLineItem'
    and (source_cost <> 0 or net_cost <> 0 or billed_cost <> 0 or effective_cost <> 0 or coalesce(list_cost, 0) <> 0 or coalesce(contracted_cost, 0) <> 0)
