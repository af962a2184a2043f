-- Grain: day x device as a series labels it x block of sixty slots: the energy counter's first and last reading, its least and most, and
-- the sum of the power readings. Energy is the device's: rows of MIG instances and of pods that share it repeat it, and are one here.
{{ config(materialized='incremental', incremental_strategy='replace_days', meta={'days': 'dirty_telemetry_days'}) }}

with

days as (

    {{ bounded_days(source('ops', 'dirty_telemetry_days')) }}

),

staged as (

    {{ staged('gpu_samples', gpu_sample_columns()) }}

),

wanted as (

    select
        *,
        {{ epoch_seconds('sampled_at') }} as sampled_second,
        -- instant and value in one number: the least is the first reading, the greatest the last
        {{ packed_reading(epoch_seconds('sampled_at'), 'energy_millijoules') }} as packed_energy,
        {{ packed_reading(epoch_seconds('sampled_at'), 'power_milliwatts') }} as packed_power
    from staged
    where (energy_millijoules is not null or power_milliwatts is not null)
        and {{ sampled_for_days() }}

),

blocks as (

    select
        source,
        exporter,
        slot_seconds,
        lower(hostname) as hostname,
        gpu_uuid,
        pci_bus_id,
        gpu_index,
        {{ block_start('sampled_second', 'slot_seconds') }} as block_from,
        coalesce(bit_or(case when energy_millijoules is not null then {{ slot_bit() }} end), 0) as counter_mask,
        min(packed_energy) as first_energy,
        max(packed_energy) as last_energy,
        min(energy_millijoules) as least_millijoules,
        max(energy_millijoules) as most_millijoules,
        coalesce(bit_or(case when power_milliwatts is not null then {{ slot_bit() }} end), 0) as power_mask,
        cast(count(power_milliwatts) as bigint) as power_samples,
        cast(sum(power_milliwatts) as bigint) as power_milliwatts,
        min(packed_power) as first_power,
        max(packed_power) as last_power,
        min(case when power_milliwatts is not null then sampled_second % slot_seconds end) as least_phase_seconds,
        max(case when power_milliwatts is not null then sampled_second % slot_seconds end) as most_phase_seconds
    from wanted
    group by
        source, exporter, slot_seconds, lower(hostname), gpu_uuid, pci_bus_id, gpu_index,
        {{ block_start('sampled_second', 'slot_seconds') }}

),

owned as (

    select
        days.usage_date,
        blocks.source,
        {{ digest(['blocks.source', 'blocks.exporter']) }} as series_key,
        blocks.slot_seconds,
        blocks.hostname,
        blocks.gpu_uuid,
        blocks.pci_bus_id,
        blocks.gpu_index,
        blocks.block_from,
        blocks.counter_mask,
        {{ reading_second('blocks.first_energy') }} as first_counter_second,
        {{ reading_value('blocks.first_energy') }} as first_millijoules,
        {{ reading_second('blocks.last_energy') }} as last_counter_second,
        {{ reading_value('blocks.last_energy') }} as last_millijoules,
        blocks.least_millijoules,
        blocks.most_millijoules,
        blocks.power_mask,
        blocks.power_samples,
        blocks.power_milliwatts,
        {{ reading_second('blocks.first_power') }} as first_power_second,
        {{ reading_second('blocks.last_power') }} as last_power_second,
        {{ reading_value('blocks.last_power') }} as last_milliwatts,
        blocks.least_phase_seconds = blocks.most_phase_seconds as has_even_power
    from blocks
    inner join days on {{ block_of_day('blocks', 'days') }}

)

select * from owned
