-- Named double count: two versions of one bill count at once: two deliveries of one source that each bring the whole period (B01, B05), or
-- two sources that bring the bill of the same payer for the same month.
with

bills as (

    select distinct controls.source, controls.provider, controls.billing_account_id, controls.billing_period, controls.delivery_id, deliveries.kind
    from {{ ref('int_control_totals') }} as controls
    inner join {{ source('ops', 'deliveries') }} as deliveries on controls.delivery_id = deliveries.delivery_id and controls.source = deliveries.source

)

select source as subject, billing_period, billing_account_id, 'two deliveries of one period' as broken
from bills
where kind = 'aws_cur'
group by source, billing_period, billing_account_id
having count(distinct delivery_id) > 1
union all
select provider, billing_period, billing_account_id, 'two sources bring one bill'
from bills
where billing_account_id is not null
group by provider, billing_period, billing_account_id
having count(distinct source) > 1
