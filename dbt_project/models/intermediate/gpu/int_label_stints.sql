-- Grain: day x node x telemetry label x the stint that the label can mean there (several where a pod name was used again).
-- A label is matched by job id (in any of Slurm's spellings: raw, array task, either with a step), by pod uid, or by namespace and pod; a stint that names its node is matched only on that node.
with

blocks as (

    select distinct usage_date, hostname, gpu_uuid, pci_bus_id, gpu_index, mig_profile, mig_instance_id, holder_label, namespace, pod, pod_uid, hpc_job
    from {{ ref('int_gpu_blocks') }}
    where holder_label is not null and usage_date in (select usage_date from {{ ref('int_days') }})

),

units as (

    select * from {{ ref('int_gpu_units') }}

),

labels as (

    select distinct blocks.usage_date, units.node_key, blocks.holder_label, blocks.namespace, blocks.pod, blocks.pod_uid, blocks.hpc_job
    from blocks
    inner join units
        on blocks.usage_date = units.usage_date
        and blocks.hostname = units.hostname
        and {{ same_labels('blocks', 'units', unit_labels()) }}

),

attempts as (

    select * from {{ ref('int_stints') }}

),

job_names as (

    select distinct attempts.usage_date, attempts.stint_key, attempts.known_node_key, names.element as job_name
    from attempts
    inner join (select element_source, element from {{ json_elements(ref('int_workload_attempts'), 'job_names') }} as elements) as names
        on attempts.job_names = names.element_source
    where attempts.hpc_job is not null
    union
    select usage_date, stint_key, known_node_key, hpc_job from attempts where hpc_job is not null

),

by_job as (

    select labels.usage_date, labels.node_key, labels.holder_label, labels.pod_uid, job_names.stint_key, job_names.known_node_key as stint_node_key
    from labels
    inner join job_names
        on labels.usage_date = job_names.usage_date
        and {{ job_of_step('labels.hpc_job') }} = {{ job_of_step('job_names.job_name') }}

),

by_pod as (

    select labels.usage_date, labels.node_key, labels.holder_label, labels.pod_uid, attempts.stint_key, attempts.known_node_key as stint_node_key
    from labels
    inner join attempts
        on labels.usage_date = attempts.usage_date
        and labels.pod = attempts.pod
        and labels.namespace is not distinct from attempts.namespace
        and coalesce(labels.pod_uid, attempts.pod_uid, '') = coalesce(attempts.pod_uid, labels.pod_uid, '')
    where labels.hpc_job is null

),

matched as (

    select * from by_job
    union
    select * from by_pod

),

stints as (

    select distinct
        matched.usage_date,
        matched.node_key,
        matched.holder_label,
        matched.pod_uid,
        attempts.stint_key,
        attempts.attempt_key,
        attempts.workload_key,
        attempts.started_second,
        attempts.ended_second,
        attempts.gpu_count
    from matched
    inner join attempts on matched.usage_date = attempts.usage_date and matched.stint_key = attempts.stint_key
    where matched.stint_node_key is null or matched.stint_node_key = matched.node_key

)

select * from stints
