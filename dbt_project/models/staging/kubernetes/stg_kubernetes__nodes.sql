-- Grain: one Kubernetes node (by uid), put together from every snapshot and event that shows it; field by field the latest that knows
-- something counts. It is valid from its creation until its deletion, or until the first list of nodes that lacks it: the bill says which of
-- those seconds were paid.
with

source as (

    select
        *,
        {{ seen_key() }} as seen_key
    from {{ source('kubernetes', 'nodes') }}

),

lists as (

    select distinct _source, observed_at from source where is_listed and observed_at is not null

),

put_together as (

    select
        _source,
        uid,
        {% for column in ['hostname', 'provider', 'resource_id', 'gpu_model', 'gpu_sharing', 'gpu_replicas', 'vcpus', 'memory_gib', 'pool', 'cluster', 'zone',
                          'labels', 'aliases'] -%}
        max_by({{ column }}, case when {{ column }} is not null then seen_key end) as {{ column }},
        {% endfor -%}
        -- before its device plugin runs a node has no GPU yet
        max_by(gpu_count, case when gpu_count > 0 then seen_key end) as gpu_count,
        min(created_at) as created_at,
        max(case when event = 'DELETED' then observed_at end) as deleted_at,
        max(deletion_at) as deletion_at,
        max(observed_at) as last_seen_at
    from source
    group by _source, uid

),

gone as (

    select put_together._source, put_together.uid, min(lists.observed_at) as gone_at
    from put_together
    inner join lists on put_together._source = lists._source and lists.observed_at > put_together.last_seen_at
    group by put_together._source, put_together.uid

),

renamed as (

    select
        put_together._source as source,
        hostname,
        provider,
        resource_id,
        coalesce(gpu_count, 0) as gpu_count,
        gpu_model,
        gpu_sharing,
        gpu_replicas,
        vcpus,
        memory_gib,
        pool,
        cluster,
        zone,
        created_at as valid_from,
        coalesce(deleted_at, gone.gone_at, deletion_at) as valid_to,
        coalesce(nullif(labels, ''), '{}') as labels,
        coalesce(nullif(aliases, ''), '[]') as aliases,
        '[]' as volumes,
        '[]' as gpus
    from put_together
    left join gone on put_together._source = gone._source and put_together.uid = gone.uid
    where hostname is not null

)

select * from renamed
