-- Grain: one Slurm job allocation on one node. sacct names no GPU: the hpc_job label of telemetry does. The job's GPUs are taken
-- as spread evenly over its nodes; the run id is the job name where one is set, the attempt the raw job id.
with

source as (

    select *, dense_rank() over (partition by _source, job_id_raw order by started_at) as start_number
    from {{ source('slurm', 'jobs') }}
    where started_at is not null

),

node_lists as (

    select distinct node_list from source where node_list is not null

),

node_elements as (

    select element_source as node_list, element as hostname, count(*) over (partition by element_source) as node_count
    from {{ json_elements('node_lists', 'node_list') }} as elements

),

renamed as (

    select
        source._source as source,
        'training_run' as workload_type,
        coalesce(nullif(job_name, ''), job_id_raw) as workload_id,
        -- a requeued job keeps its raw id: each of its starts is an attempt of its own
        case when start_number = 1 then job_id_raw else concat(job_id_raw, '-requeue-', cast(start_number - 1 as {{ dbt.type_string() }})) end as attempt_id,
        started_at,
        ended_at,
        lower(state) as state,
        node_elements.hostname,
        cast(null as {{ dbt.type_string() }}) as gpu_ids,
        cast(case when gpus_total % node_count = 0 then {{ int_div('gpus_total', 'node_count') }} end as decimal(18, 6)) as gpu_count,
        cast(null as decimal(18, 6)) as vcpus,
        cast(null as decimal(18, 6)) as memory_gib,
        cast(null as {{ dbt.type_string() }}) as parent_workload_id,
        cast(null as {{ dbt.type_string() }}) as namespace,
        cast(null as {{ dbt.type_string() }}) as pod,
        cast(null as {{ dbt.type_string() }}) as pod_uid,
        job_id_raw as hpc_job,
        concat('{"account":', {{ json_string("coalesce(account, '')") }}, ',"user":', {{ json_string("coalesce(user_name, '')") }},
               ',"wckey":', {{ json_string("coalesce(wckey, '')") }}, ',"partition":', {{ json_string("coalesce(partition, '')") }}, '}') as labels
    from source
    left join node_elements on source.node_list = node_elements.node_list

)

select * from renamed
