-- Law of money: what the distribution rules hand out and what is received sum to zero, per pool and basis; and no row is handed out twice.
with

distributed as (

    select * from {{ ref('fct_cost_allocation') }}
    where stage = 'distributed' and usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})

),

handed_out as (

    select usage_date, bucket_key, workload_key, attempt_key, cost_class, component, reason
    from distributed
    where bucket_key <> distribution_key
    group by usage_date, bucket_key, workload_key, attempt_key, cost_class, component, reason
    having count(*) > 1

)

select usage_date, distribution_key, 'does not sum to zero' as broken
from distributed
group by usage_date, distribution_key
having {% for basis in allocated_bases() %}coalesce(sum({{ basis }}), 0) <> 0{% if not loop.last %} or {% endif %}{% endfor %}
union all
select usage_date, bucket_key, 'is handed out twice'
from handed_out
