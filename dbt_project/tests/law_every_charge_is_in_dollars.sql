-- Law of money: every charge has a rate to US dollars; one without would vanish from every sum.
select source, currency, usage_date, count(*) as charge_count
from {{ ref('int_charges') }}
where exchange_rate is null or effective_cost is null or billed_cost is null or net_cost is null
group by source, currency, usage_date
