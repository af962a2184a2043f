-- Grain: day x physical GPU x second of a reading, from the one series that read most of its block: the counter where there is one, else
-- power. A plain block gives its first and last reading only (what lies between them is known); the others give each of theirs.
{{ config(materialized='incremental', incremental_strategy='replace_days', meta={'days': 'dirty_telemetry_days'}) }}

with

days as (

    select * from {{ ref('int_days') }}
    where usage_date in (select usage_date from {{ source('ops', 'dirty_telemetry_days') }})

),

staged as (

    {{ staged('gpu_samples', gpu_sample_columns()) }}

),

gpus as (

    select distinct usage_date, hostname, node_key, gpu_key, gpu_uuid, pci_bus_id, gpu_index
    from {{ ref('int_gpu_units') }}

),

keyed as (

    select blocks.*, gpus.node_key, gpus.gpu_key
    from {{ ref('int_gpu_energy_blocks') }} as blocks
    inner join days on blocks.usage_date = days.usage_date
    inner join {{ ref('int_gpu_block_nodes') }} as block_nodes on {{ node_of_block('blocks', 'block_nodes') }}
    inner join gpus
        on blocks.usage_date = gpus.usage_date
        and blocks.hostname = gpus.hostname
        and block_nodes.node_key = gpus.node_key
        and {{ same_labels('blocks', 'gpus', device_labels()) }}

),

-- blocks of two lengths cannot be told apart by their start: the source with the most observed time has the GPU for the day
lengths as (

    select
        usage_date,
        gpu_key,
        slot_seconds,
        row_number() over (
            partition by usage_date, gpu_key order by sum(bit_count(counter_mask | power_mask) * slot_seconds) desc, slot_seconds
        ) as choice
    from keyed
    group by usage_date, gpu_key, slot_seconds

),

candidates as (

    select
        keyed.usage_date,
        keyed.node_key,
        keyed.gpu_key,
        keyed.series_key,
        keyed.block_from,
        keyed.slot_seconds,
        max(bit_count(keyed.counter_mask)) as counter_slots,
        max(bit_count(keyed.power_mask)) as power_slots,
        max(max(greatest(bit_count(keyed.counter_mask), bit_count(keyed.power_mask)))) over (
            partition by keyed.usage_date, keyed.gpu_key, keyed.block_from
        ) as most_slots
    from keyed
    inner join lengths
        on keyed.usage_date = lengths.usage_date
        and keyed.gpu_key = lengths.gpu_key
        and keyed.slot_seconds = lengths.slot_seconds
        and lengths.choice = 1
    group by keyed.usage_date, keyed.node_key, keyed.gpu_key, keyed.series_key, keyed.block_from, keyed.slot_seconds

),

-- the counter, unless it read less than half of what another series or the power did
chosen as (

    select *, 2 * counter_slots >= most_slots as is_counter
    from (
        select
            *,
            row_number() over (
                partition by usage_date, gpu_key, block_from
                order by case when 2 * counter_slots >= most_slots then counter_slots else -1 end desc, greatest(counter_slots, power_slots) desc, series_key
            ) as choice
        from candidates
    ) as ranked
    where choice = 1

),

blocks as (

    select
        chosen.usage_date,
        chosen.node_key,
        chosen.gpu_key,
        chosen.series_key,
        chosen.block_from,
        chosen.slot_seconds,
        chosen.is_counter,
        count(*) as identities,
        min(case when chosen.is_counter then keyed.first_counter_second else keyed.first_power_second end) as first_second,
        max(case when chosen.is_counter then keyed.last_counter_second else keyed.last_power_second end) as last_second,
        min(keyed.first_millijoules) as first_millijoules,
        max(keyed.last_millijoules) as last_millijoules,
        min(keyed.least_millijoules) as least_millijoules,
        max(keyed.most_millijoules) as most_millijoules,
        min(bit_count(keyed.power_mask)) as power_slots,
        sum(keyed.power_samples) as power_samples,
        sum(keyed.power_milliwatts) as power_milliwatts,
        max(keyed.last_milliwatts) as last_milliwatts,
        min(case when keyed.has_even_power then 1 else 0 end) as has_even_power,
        max(bit_count(case when chosen.is_counter then keyed.counter_mask else keyed.power_mask end)) as slots
    from chosen
    inner join keyed
        on chosen.usage_date = keyed.usage_date
        and chosen.gpu_key = keyed.gpu_key
        and chosen.series_key = keyed.series_key
        and chosen.block_from = keyed.block_from
        and chosen.slot_seconds = keyed.slot_seconds
    group by
        chosen.usage_date, chosen.node_key, chosen.gpu_key, chosen.series_key, chosen.block_from, chosen.slot_seconds, chosen.is_counter

),

-- where somebody else begins to hold a part of the GPU
changes as (

    select distinct usage_date, gpu_key, from_second
    from (
        select
            usage_date, gpu_key, from_second,
            lag(to_second) over (partition by usage_date, unit_key, coalesce(attempt_key, ''), unit_share order by from_second) as previous_to_second
        from {{ ref('int_gpu_segments') }}
    ) as held
    where previous_to_second is null or previous_to_second <> from_second

),

contested as (

    select distinct blocks.usage_date, blocks.gpu_key, blocks.block_from
    from blocks
    inner join changes
        on blocks.usage_date = changes.usage_date
        and blocks.gpu_key = changes.gpu_key
        and changes.from_second > blocks.first_second
        and changes.from_second < blocks.last_second

),

-- Plain: one holder, no slot without a reading, not across midnight; and the counter does not fall: its first reading is its least, its
-- last the most, and the first is too high for a counter that began anew inside the block to have come back to it unseen.
judged as (

    select
        blocks.*,
        blocks.identities = 1
        and contested.block_from is null
        and not (blocks.block_from < days.day_from and blocks.block_from + 60 * blocks.slot_seconds > days.day_from)
        and blocks.block_from + 60 * blocks.slot_seconds <= days.day_to
        and blocks.slots = {{ int_div('blocks.last_second', 'blocks.slot_seconds') }} - {{ int_div('blocks.first_second', 'blocks.slot_seconds') }} + 1
        and case
            when blocks.is_counter then
                blocks.first_millijoules = blocks.least_millijoules
                and blocks.last_millijoules = blocks.most_millijoules
                and blocks.last_millijoules - blocks.first_millijoules <= {{ parameter('gpu_power_limit_milliwatts') }} * (blocks.last_second - blocks.first_second)
                and blocks.first_millijoules >= {{ parameter('gpu_power_limit_milliwatts') }} * 60 * blocks.slot_seconds
            else blocks.has_even_power = 1 and blocks.power_samples = blocks.power_slots
        end as is_plain
    from blocks
    inner join days on blocks.usage_date = days.usage_date
    left join contested
        on blocks.usage_date = contested.usage_date and blocks.gpu_key = contested.gpu_key and blocks.block_from = contested.block_from

),

sampled as (

    select *, {{ epoch_seconds('sampled_at') }} as sampled_second
    from staged
    where sampled_at >= (select cast(min({{ timestamp_of('block_from') }}) as timestamp) from judged where not is_plain)

),

details as (

    select
        judged.usage_date,
        judged.node_key,
        judged.gpu_key,
        judged.is_counter,
        judged.slot_seconds,
        sampled.sampled_second as reading_second,
        max(sampled.energy_millijoules) as millijoules,
        max(sampled.power_milliwatts) as milliwatts
    from sampled
    inner join keyed
        on {{ sample_of_block('sampled', 'keyed', device_labels()) }}
        and {{ digest(['sampled.source', 'sampled.exporter']) }} = keyed.series_key
    inner join judged
        on keyed.usage_date = judged.usage_date
        and keyed.gpu_key = judged.gpu_key
        and keyed.series_key = judged.series_key
        and keyed.slot_seconds = judged.slot_seconds
        and keyed.block_from = judged.block_from
    where not judged.is_plain
        and case when judged.is_counter then sampled.energy_millijoules is not null else sampled.power_milliwatts is not null end
    group by judged.usage_date, judged.node_key, judged.gpu_key, judged.is_counter, judged.slot_seconds, sampled.sampled_second

),

readings as (

    -- until_next: what is used until the next reading, where the block tells it
    select
        usage_date, node_key, gpu_key, is_counter, slot_seconds, reading_second,
        case when is_counter then millijoules end as counter_millijoules,
        case when is_counter then cast(null as bigint) else milliwatts end as milliwatts,
        cast(null as bigint) as until_next_millijoules
    from details
    union all
    select
        usage_date, node_key, gpu_key, is_counter, slot_seconds, first_second,
        case when is_counter then first_millijoules end,
        cast(null as bigint),
        cast(case
            when is_counter then last_millijoules - first_millijoules
            else (power_milliwatts - last_milliwatts) * slot_seconds
        end as bigint)
    from judged
    where is_plain and first_second < last_second
    union all
    select
        usage_date, node_key, gpu_key, is_counter, slot_seconds, last_second,
        case when is_counter then last_millijoules end,
        case when is_counter then cast(null as bigint) else last_milliwatts end,
        cast(null as bigint)
    from judged
    where is_plain

)

select * from readings
