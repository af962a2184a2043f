-- Grain: one node over one validity interval, as the inventory states it.
with

source as (

    select * from {{ source('nodes', 'nodes') }}

),

renamed as (

    select
        _source as source,
        hostname,
        provider,
        resource_id,
        gpu_count,
        gpu_model,
        gpu_sharing,
        gpu_replicas,
        vcpus,
        memory_gib,
        pool,
        cluster,
        zone,
        valid_from,
        valid_to,
        coalesce(nullif(labels, ''), '{}') as labels,
        coalesce(nullif(aliases, ''), '[]') as aliases,
        coalesce(nullif(volumes, ''), '[]') as volumes,
        coalesce(nullif(gpus, ''), '[]') as gpus
    from source

)

select * from renamed
