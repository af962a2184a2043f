-- Law of money: a rate card bills a machine for at most the 3600 seconds of an hour: two host names that claim one resource at a time
-- would be billed twice.
select cast(usage_start as date) as usage_date, resource_id, usage_start, sum(compute_seconds) as billed_seconds
from {{ ref('int_rated_charges') }}
group by cast(usage_start as date), resource_id, usage_start
having sum(compute_seconds) > 3600
