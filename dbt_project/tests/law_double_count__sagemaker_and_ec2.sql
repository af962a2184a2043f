-- Named double count: one node is billed for one hour by two services or two bills (a SageMaker instance and an EC2 instance): its seconds
-- would be paid twice. A rate card beside a provider's bill is refused at the exit, with the rate card named.
with

billed as (

    select nodes.usage_date, nodes.node_key, nodes.window_from, buckets.source, buckets.service
    from {{ ref('int_bucket_nodes') }} as nodes
    inner join {{ ref('int_charge_buckets') }} as buckets on nodes.usage_date = buckets.usage_date and nodes.bucket_key = buckets.bucket_key
    where nodes.compute_kind is not null and buckets.compute_seconds > 0 and coalesce(buckets.line_item_type, '') <> 'RateCard'

)

select usage_date, node_key, window_from, min(service) as one_service, max(service) as other_service
from billed
group by usage_date, node_key, window_from
having count(distinct concat(source, '/', coalesce(service, ''))) > 1
