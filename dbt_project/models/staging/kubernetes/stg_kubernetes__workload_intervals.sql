-- Grain: one pod that ran on a node: one attempt (pod uid) of what it is part of. That is named by its labels (Ray, KServe, Kubeflow, JobSet and
-- the like), else by climbing its owners to the topmost that is one job or service, else by itself. Exporters, device plugins and every
-- other DaemonSet's pods hold no GPU, nor do the placeholders with which Run:ai reserves one.
with

pods as (

    select * from {{ ref('base_kubernetes__pods') }}
    where started_at is not null and node_name is not null
        and coalesce(owner_kind, '') not in ('DaemonSet', 'Node')
        and coalesce(namespace, '') not in ('runai-reservation', 'kai-resource-reservation')

),

owner_sightings as (

    select
        *,
        {{ recency_of('uid') }} as recency
    from {{ source('kubernetes', 'owners') }}

),

owners as (

    -- climbing ends below a CronJob: each of its jobs is a run
    select _source, uid, kind, name, job_id, owner_kind, owner_name, case when owner_kind <> 'CronJob' then owner_uid end as owner_uid
    from owner_sightings
    where recency = 1

),

node_sightings as (

    select
        *,
        {{ recency_of('hostname') }} as recency
    from {{ source('kubernetes', 'nodes') }}

),

nodes as (

    select _source, hostname, gpu_count, gpu_memory_mib, case when gpu_sharing in ('time_slicing', 'mps') then gpu_replicas end as gpu_replicas
    from node_sightings
    where recency = 1

),

climbed as (

    select
        pods.*,
        case
            when pods.root_name is not null then pods.root_kind
            when topmost.uid is not null then topmost.kind
            when next_one.uid is not null then next_one.kind
            when nearest.owner_name is not null and nearest.owner_kind <> 'CronJob' then nearest.owner_kind
            when nearest.uid is not null then nearest.kind
            when pods.owner_kind = 'ReplicaSet' then 'Deployment'
            else coalesce(pods.owner_kind, 'Pod')
        end as top_kind,
        case
            when pods.root_name is not null then pods.root_name
            when topmost.uid is not null then topmost.name
            when next_one.uid is not null then next_one.name
            when nearest.owner_name is not null and nearest.owner_kind <> 'CronJob' then nearest.owner_name
            when nearest.uid is not null then nearest.name
            -- a Deployment names its ReplicaSets <deployment>-<pod-template-hash>
            when pods.owner_kind = 'ReplicaSet' then replace(pods.owner_name, concat('-', coalesce(nullif({{ json_text('pods.labels', 'pod-template-hash') }}, ''), '?')), '')
            else coalesce(pods.owner_name, pods.name)
        end as top_name,
        coalesce(nearest.job_id, next_one.job_id, topmost.job_id) as submission_id,
        nodes.gpu_count as node_gpu_count,
        case
            when pods.gpu_core_percent > 0 then pods.gpu_core_percent / 100
            when pods.gpu_memory_percent > 0 then pods.gpu_memory_percent / 100
            when pods.gpu_fraction > 0 then pods.gpu_fraction
            when pods.gpu_memory_mib > 0 then pods.gpu_memory_mib / nodes.gpu_memory_mib
            when nodes.gpu_replicas > 1 then cast(1 as double) / nodes.gpu_replicas
            else 1
        end as part_of_a_gpu,
        -- what it asks for: whole or shared devices, a fraction by annotation (then it has no device of its own), or none
        case when pods.gpu_fraction > 0 or (pods.gpus is null and pods.gpu_memory_mib > 0) then coalesce(pods.gpu_fraction_devices, 1) else coalesce(pods.gpus, 0) end as devices
    from pods
    left join owners as nearest on pods._source = nearest._source and pods.owner_uid = nearest.uid
    left join owners as next_one on nearest._source = next_one._source and nearest.owner_uid = next_one.uid
    left join owners as topmost on next_one._source = topmost._source and next_one.owner_uid = topmost.uid
    left join nodes on pods._source = nodes._source and pods.node_name = nodes.hostname

),

wanted as (

    -- without a GPU it is of interest where it takes the processors of a node that was bought for its GPUs
    select * from climbed
    where devices > 0 or mig_instances > 0
        or (node_gpu_count > 0 and coalesce(namespace, '') not in ('kube-system', 'gpu-operator') and coalesce(priority_class, '') not like 'system-%')

),

renamed as (

    select
        _source as source,
        case
            when top_kind in ('Job', 'JobSet', 'RayJob', 'PyTorchJob', 'TFJob', 'MPIJob', 'XGBoostJob', 'JAXJob', 'PaddleJob', 'TrainJob', 'VolcanoJob', 'Workflow')
                then 'training_run'
            when top_kind in ('Deployment', 'ReplicaSet', 'StatefulSet', 'InferenceService', 'RayService', 'LeaderWorkerSet', 'Service', 'Revision', 'Configuration') then 'endpoint'
            when top_kind = 'Notebook' then 'notebook'
            else 'job'
        end as workload_type,
        concat(coalesce(namespace, 'default'), '/', top_name) as workload_id,
        uid as attempt_id,
        started_at,
        ended_at,
        case when reason is not null and reason <> 'Error' then lower(reason) else lower(phase) end as state,
        node_name as hostname,
        gpu_ids,
        -- MIG instances are no GPUs: telemetry's labels show which instance it is
        case when mig_instances > 0 then null else cast(round(devices * part_of_a_gpu, 6) as decimal(18, 6)) end as gpu_count,
        cast(round(vcpus, 6) as decimal(18, 6)) as vcpus,
        cast(round(memory_gib, 6) as decimal(18, 6)) as memory_gib,
        cast(null as {{ dbt.type_string() }}) as parent_workload_id,
        namespace,
        name as pod,
        uid as pod_uid,
        cast(null as {{ dbt.type_string() }}) as hpc_job,
        coalesce(nullif(labels, ''), '{}') as labels,
        'owner' as identity,
        concat('[', {{ json_string('top_name') }}, ',', {{ json_string("concat(coalesce(namespace, 'default'), '/', top_name)") }},
               case when submission_id is not null then concat(',', {{ json_string('submission_id') }}) else '' end, ']') as job_names
    from wanted

)

select * from renamed
