-- Grain: day x node x name of a GPU there -> its key. Names come from telemetry (UUID, PCI bus id, index), from the inventory, and
-- from intervals that name a GPU nobody else knows. gpu_model: as the inventory lists it, else as its telemetry says; NULL: nobody does.
with

units as (

    select * from {{ ref('int_gpu_units') }}

),

nodes as (

    select * from {{ ref('int_nodes') }}

),

telemetry_names as (

    select usage_date, node_key, {{ device_name('gpu_uuid') }} as device_name, gpu_key, 1 as name_rank from units where gpu_uuid is not null
    union all
    select usage_date, node_key, {{ device_name('pci_bus_id') }}, gpu_key, 2 from units where pci_bus_id is not null
    union all
    select usage_date, node_key, {{ device_name('gpu_index') }}, gpu_key, 3 from units where gpu_index is not null

),

inventory_elements as (

    select element_source as gpus, {{ json_text('element', 'uuid') }} as gpu_uuid, {{ json_text('element', 'index') }} as gpu_index, {{ json_text('element', 'pci_bus_id') }} as pci_bus_id,
        {{ json_text('element', 'model') }} as gpu_model
    from {{ json_elements('nodes', 'gpus') }} as gpu_elements

),

inventory_gpus as (

    select distinct
        nodes.usage_date,
        nodes.node_key,
        inventory_elements.gpu_uuid,
        inventory_elements.gpu_index,
        inventory_elements.pci_bus_id,
        inventory_elements.gpu_model,
        coalesce(
            by_uuid.gpu_key, by_pci.gpu_key, by_index.gpu_key,
            concat(nodes.node_key, '|', lower(coalesce(inventory_elements.gpu_uuid, inventory_elements.pci_bus_id, inventory_elements.gpu_index)))
        ) as gpu_key
    from nodes
    inner join inventory_elements on nodes.gpus = inventory_elements.gpus
    left join telemetry_names as by_uuid
        on nodes.usage_date = by_uuid.usage_date and nodes.node_key = by_uuid.node_key
        and by_uuid.name_rank = 1 and {{ device_name('inventory_elements.gpu_uuid') }} = by_uuid.device_name
    left join telemetry_names as by_pci
        on nodes.usage_date = by_pci.usage_date and nodes.node_key = by_pci.node_key
        and by_pci.name_rank = 2 and {{ device_name('inventory_elements.pci_bus_id') }} = by_pci.device_name
    left join telemetry_names as by_index
        on nodes.usage_date = by_index.usage_date and nodes.node_key = by_index.node_key
        and by_index.name_rank = 3 and {{ device_name('inventory_elements.gpu_index') }} = by_index.device_name

),

known_names as (

    select * from telemetry_names
    union all
    select usage_date, node_key, {{ device_name('gpu_uuid') }}, gpu_key, 4 from inventory_gpus where gpu_uuid is not null
    union all
    select usage_date, node_key, {{ device_name('pci_bus_id') }}, gpu_key, 5 from inventory_gpus where pci_bus_id is not null
    union all
    select usage_date, node_key, {{ device_name('gpu_index') }}, gpu_key, 6 from inventory_gpus where gpu_index is not null

),

interval_ids as (

    select distinct attempts.usage_date, attempts.node_key, {{ device_name('elements.element') }} as device_name
    from {{ ref('int_stints') }} as attempts
    inner join (select distinct element_source, element from {{ json_elements(ref('int_workload_attempts'), 'gpu_ids') }} as gpu_id_elements) as elements
        on attempts.gpu_ids = elements.element_source
    where attempts.node_key is not null and attempts.from_second < attempts.to_second

),

interval_names as (

    select interval_ids.usage_date, interval_ids.node_key, interval_ids.device_name, concat(interval_ids.node_key, '|', interval_ids.device_name) as gpu_key, 7 as name_rank
    from interval_ids
    left join known_names
        on interval_ids.usage_date = known_names.usage_date
        and interval_ids.node_key = known_names.node_key
        and interval_ids.device_name = known_names.device_name
    where known_names.gpu_key is null

),

all_names as (

    select * from known_names
    union all
    select * from interval_names

),

listed_models as (

    select usage_date, node_key, gpu_key, max(gpu_model) as gpu_model
    from inventory_gpus
    where gpu_model is not null
    group by usage_date, node_key, gpu_key

),

seen_models as (

    select usage_date, node_key, gpu_key, max(gpu_model) as gpu_model
    from units
    where gpu_model is not null
    group by usage_date, node_key, gpu_key

),

ranked as (

    select *, row_number() over (partition by usage_date, node_key, device_name order by name_rank, gpu_key) as choice
    from all_names

)

select ranked.usage_date, ranked.node_key, ranked.device_name, ranked.gpu_key, coalesce(listed_models.gpu_model, seen_models.gpu_model) as gpu_model
from ranked
left join listed_models
    on ranked.usage_date = listed_models.usage_date and ranked.node_key = listed_models.node_key and ranked.gpu_key = listed_models.gpu_key
left join seen_models
    on ranked.usage_date = seen_models.usage_date and ranked.node_key = seen_models.node_key and ranked.gpu_key = seen_models.gpu_key
where ranked.choice = 1
