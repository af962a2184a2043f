-- Law of money: every charge has a rate to US dollars on its day; one without would vanish from every sum.
select source, currency, usage_date, sum(charge_count) as charge_count
from {{ ref('int_charge_buckets') }}
where exchange_rate is null or effective_cost is null or billed_cost is null or net_cost is null
group by source, currency, usage_date
