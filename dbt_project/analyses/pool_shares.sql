-- Grain: charge x row that a distribution rule handed to somebody: the charge's share of it. Compiled for `apportion explain`, never built.
-- The pieces of a pool are its charges' shares of the rows that were taken; they are handed out like the pool, the last closing each row.
with

taken as (

    select
        ledger.distribution_key as group_key,
        shares.charge_rank,
        shares.group_key as bucket_group_key,
        row_number() over (
            partition by ledger.distribution_key
            order by ledger.usage_date, ledger.bucket_key, ledger.cost_class, ledger.component, ledger.reason nulls first, ledger.line_id, shares.charge_rank
        ) as part_rank,
        {% for basis in allocated_bases() %}shares.{{ basis }}{% if not loop.last %}, {% endif %}{% endfor %}

    from explained.ledger as ledger
    inner join explained.shares as shares on ledger.line_id = shares.line_id
    where ledger.stage = 'distributed' and ledger.bucket_key <> ledger.distribution_key

),

pieces as (

    -- what was taken is negative; what is handed out is its opposite
    select group_key, part_rank, {% for basis in allocated_bases() %}-{{ basis }} as {{ basis }}{% if not loop.last %}, {% endif %}{% endfor %}

    from taken

),

lines as (

    select
        distribution_key as group_key,
        line_id,
        row_number() over (partition by distribution_key order by coalesce(workload_key, team), line_id) as line_rank,
        allocation_weight as weight,
        {{ allocated_bases() | join(', ') }}
    from explained.ledger
    where stage = 'distributed' and bucket_key = distribution_key

),

{{ split_parts('shares', 'pieces', 'lines') }}

select
    lines.line_id,
    taken.charge_rank,
    taken.bucket_group_key as group_key,
    {%- for basis in allocated_bases() %}
    cast(sum(shares.{{ basis }}) as decimal(38, 12)) as {{ basis }}{% if not loop.last %},{% endif %}
    {%- endfor %}
from shares
inner join lines on shares.group_key = lines.group_key and shares.line_rank = lines.line_rank
inner join taken on shares.group_key = taken.group_key and shares.part_rank = taken.part_rank
group by lines.line_id, taken.charge_rank, taken.bucket_group_key
