-- Named double count: AWS's row for an instance's unused part weighs beside the containers' own unused_cost, which is the same money.
select usage_date, parent_resource_id, window_from, weight
from {{ ref('int_split_weights') }}
where pod is null or lower(pod) = 'unused'
