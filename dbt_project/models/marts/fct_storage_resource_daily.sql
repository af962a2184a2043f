-- Grain: day x source x account x disk or snapshot of the bill: what it cost, whose it is by its tags, and whether the inventory attaches it to a
-- machine of that day or a tag claims it for a run or an endpoint.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

buckets as (

    select *, {{ block_storage_kind('service', 'sku') }} as storage_kind
    from {{ ref('int_charge_buckets') }}
    where fixed_cost_class is null and charge_category = 'Usage' and resource_id is not null

),

nodes as (

    select * from {{ ref('int_nodes') }}

),

attached as (

    select nodes.usage_date, lower(elements.element) as volume_id, min(nodes.hostname) as node
    from nodes
    inner join (select distinct element_source, element from {{ json_elements('nodes', 'volumes') }} as volume_elements) as elements
        on nodes.volumes = elements.element_source
    group by nodes.usage_date, lower(elements.element)

),

-- machines of the bill, and those whose disks the inventory names: how far "attached to nothing" can be trusted in an account
machines as (

    select
        buckets.usage_date,
        buckets.source,
        buckets.account_id,
        count(distinct buckets.resource_id) as machine_count,
        count(distinct case when nodes.volumes <> '[]' then buckets.resource_id end) as inventoried_machine_count
    from buckets
    left join nodes
        on buckets.usage_date = nodes.usage_date and nodes.resource_id in (lower(buckets.resource_id), lower(buckets.resource_alias))
    where buckets.compute_kind in ('instance', 'gpu', 'core')
    group by buckets.usage_date, buckets.source, buckets.account_id

),

disks as (

    select
        buckets.usage_date,
        buckets.source,
        buckets.provider,
        buckets.account_id,
        buckets.resource_id,
        min(buckets.storage_kind) as storage_kind,
        min(buckets.region) as region,
        {%- for key in ['team', 'environment', 'project'] %}
        case when min(buckets.{{ key }}) = max(buckets.{{ key }}) then min(buckets.{{ key }}) end as {{ key }},
        {%- endfor %}
        max(coalesce(buckets.run_id, buckets.endpoint)) as claimed_by,
        min(coalesce(attached.node, by_alias.node)) as attached_node,
        cast(sum(buckets.effective_cost) as decimal(38, 12)) as cost_usd
    from buckets
    left join attached on buckets.usage_date = attached.usage_date and lower(buckets.resource_id) = attached.volume_id
    left join attached as by_alias on buckets.usage_date = by_alias.usage_date and lower(buckets.resource_alias) = by_alias.volume_id
    where buckets.storage_kind is not null
    group by buckets.usage_date, buckets.source, buckets.provider, buckets.account_id, buckets.resource_id

)

select
    disks.usage_date,
    disks.source,
    disks.provider,
    disks.account_id,
    disks.resource_id,
    disks.storage_kind,
    disks.region,
    disks.team,
    disks.environment,
    disks.project,
    disks.claimed_by,
    disks.attached_node,
    cast(coalesce(machines.machine_count, 0) as bigint) as machine_count,
    cast(coalesce(machines.inventoried_machine_count, 0) as bigint) as inventoried_machine_count,
    disks.cost_usd
from disks
left join machines
    on disks.usage_date = machines.usage_date
    and disks.source = machines.source
    and disks.account_id is not distinct from machines.account_id
