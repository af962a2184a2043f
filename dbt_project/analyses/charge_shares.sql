-- Grain: charge x ledger row of its bucket: the charge's share of the row. Compiled for `apportion explain`, never built.
-- Reads what explain wrote down: explained.charges (the keyed charges of whole buckets) and explained.ledger (the buckets' ledger rows).
with

charges as (

    select concat(cast(usage_date as {{ dbt.type_string() }}), '/', bucket_key) as group_key, charge_rank as part_rank, {{ allocated_bases() | join(', ') }}
    from explained.charges

),

lines as (

    select
        concat(cast(usage_date as {{ dbt.type_string() }}), '/', bucket_key) as group_key,
        line_id,
        row_number() over (
            partition by usage_date, bucket_key
            order by workload_key nulls first, cost_class, component, attempt_key nulls first, reason nulls first, line_id
        ) as line_rank,
        allocation_weight as weight,
        {{ allocated_bases() | join(', ') }}
    from explained.ledger
    where stage = 'allocated'

),

{{ split_parts('shares', 'charges', 'lines') }},

placed as (

    select lines.line_id, shares.part_rank as charge_rank, shares.group_key, {% for basis in allocated_bases() %}shares.{{ basis }}{% if not loop.last %}, {% endif %}{% endfor %}

    from shares
    inner join lines on shares.group_key = lines.group_key and shares.line_rank = lines.line_rank

),

-- what a distribution rule took is the negative of the allocated row that it took
taken as (

    select taken.line_id, placed.charge_rank, placed.group_key, {% for basis in allocated_bases() %}-placed.{{ basis }} as {{ basis }}{% if not loop.last %}, {% endif %}{% endfor %}

    from explained.ledger as taken
    inner join explained.ledger as allocated
        on taken.usage_date = allocated.usage_date
        and taken.bucket_key = allocated.bucket_key
        and taken.cost_class = allocated.cost_class
        and taken.component = allocated.component
        and taken.reason is not distinct from allocated.reason
        and allocated.stage = 'allocated'
        and allocated.workload_key is null
    inner join placed on allocated.line_id = placed.line_id
    where taken.stage = 'distributed' and taken.bucket_key <> taken.distribution_key

)

select * from placed
union all
select * from taken
