-- Grain: day x node x stretch of its seconds: the one price that holds for it, or none (rate_rule NULL). Pool and model beat pool, pool
-- beats model, model beats any; a longer model name beats a shorter one, a named provider any, the latest price an older one.
with

days as (

    select * from {{ ref('int_days') }}

),

nodes as (

    select nodes.*, days.day_from, days.day_to, {{ model_words('nodes.gpu_model') }} as model_name
    from {{ ref('int_nodes') }} as nodes
    inner join days on nodes.usage_date = days.usage_date

),

rules as (

    select * from {{ ref('int_rate_rules') }}

),

validity as (

    -- a node of which the inventory tells no time is there all day
    select
        nodes.usage_date,
        nodes.node_key,
        greatest(coalesce(stretches.from_second, nodes.day_from), nodes.day_from) as from_second,
        least(coalesce(stretches.to_second, nodes.day_to), nodes.day_to) as to_second
    from nodes
    left join {{ ref('int_node_validity') }} as stretches on nodes.usage_date = stretches.usage_date and nodes.node_key = stretches.node_key
    where nodes.usage_date in (select usage_date from rules)

),

sizes as (

    select * from {{ ref('int_node_sizes') }}

),

matches as (

    select
        nodes.usage_date,
        nodes.node_key,
        rules.from_second,
        rules.to_second,
        rules.rate_rule,
        rules.rate_unit,
        rules.hourly_rate,
        rules.hourly_rate_usd,
        rules.currency,
        rules.is_bill,
        rules.source,
        rules.provider,
        rules.delivery_id,
        rules.file_name,
        rules.row_number,
        rules.since_second,
        case when rules.pool_name is not null then 2 else 0 end + case when rules.model_name is not null then 1 else 0 end as specificity,
        coalesce(length(rules.model_name), 0) as model_length,
        case when rules.provider_name is not null then 1 else 0 end as has_provider
    from nodes
    inner join rules
        on nodes.usage_date = rules.usage_date
        and (rules.provider_name is null or rules.provider_name = lower(nodes.provider))
        and (rules.pool_name is null or rules.pool_name = lower(nodes.pool))
        and (rules.model_name is null or concat(' ', nodes.model_name, ' ') like concat('% ', rules.model_name, ' %'))
        -- a price of GPU-hours says nothing of a machine without GPUs
        and (rules.rate_unit = 'node_hour' or nodes.gpu_count > 0)

),

cuts as (

    select usage_date, node_key, from_second as cut_second from validity
    union
    select usage_date, node_key, to_second from validity
    union
    select usage_date, node_key, from_second from sizes
    union
    select usage_date, node_key, from_second from matches
    union
    select usage_date, node_key, to_second from matches

),

pieces as (

    select
        usage_date,
        node_key,
        cut_second as from_second,
        lead(cut_second) over (partition by usage_date, node_key order by cut_second) as to_second
    from cuts

),

stretches as (

    select pieces.*, sizes.gpu_count
    from pieces
    inner join sizes
        on pieces.usage_date = sizes.usage_date
        and pieces.node_key = sizes.node_key
        and pieces.from_second >= sizes.from_second
        and pieces.to_second <= sizes.to_second
    inner join validity
        on pieces.usage_date = validity.usage_date
        and pieces.node_key = validity.node_key
        and pieces.from_second >= validity.from_second
        and pieces.to_second <= validity.to_second

),

ranked as (

    select
        stretches.usage_date,
        stretches.node_key,
        stretches.from_second,
        stretches.to_second,
        stretches.gpu_count,
        matches.rate_rule,
        matches.rate_unit,
        matches.hourly_rate,
        matches.hourly_rate_usd,
        matches.currency,
        matches.is_bill,
        matches.source,
        matches.provider,
        matches.delivery_id,
        matches.file_name,
        matches.row_number,
        row_number() over (
            partition by stretches.usage_date, stretches.node_key, stretches.from_second
            order by
                matches.specificity desc, matches.model_length desc, matches.has_provider desc, matches.since_second desc, matches.rate_rule,
                matches.hourly_rate, matches.is_bill
        ) as choice
    from stretches
    left join matches
        on stretches.usage_date = matches.usage_date
        and stretches.node_key = matches.node_key
        and stretches.from_second >= matches.from_second
        and stretches.to_second <= matches.to_second

)

select usage_date, node_key, from_second, to_second, gpu_count, rate_rule, rate_unit, hourly_rate, hourly_rate_usd, currency, is_bill, source, provider,
    delivery_id, file_name, row_number
from ranked
where choice = 1
