-- Grain: one Slurm job allocation on one node. sacct names no GPU: the hpc_job label of telemetry does. The job's GPUs are taken as spread
-- evenly over its nodes, and where they cannot be no count is invented. The run is the job's name where one is set, the attempt the raw job
-- id; the components of a heterogeneous job (1200+0, 1200+1) are attempts of what the first is called.
with

source as (

    select
        *,
        {{ dbt.split_part('job_id', "'+'", 1) }} as leader_id,
        dense_rank() over (partition by _source, job_id_raw order by started_at) as start_number
    from {{ source('slurm', 'jobs') }}
    where started_at is not null

),

starts as (

    select _source, job_id_raw, start_number, started_at, min(nullif(job_name, '')) as job_name
    from source
    group by _source, job_id_raw, start_number, started_at

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
        coalesce(case when source.job_id like '%+%' then leaders.job_name end, nullif(source.job_name, ''), source.job_id_raw) as workload_id,
        -- a requeued job keeps its raw id: each of its starts is an attempt of its own
        case
            when source.start_number = 1 then source.job_id_raw
            else concat(source.job_id_raw, '-requeue-', cast(source.start_number - 1 as {{ dbt.type_string() }}))
        end as attempt_id,
        source.started_at,
        -- one that is told without an end has ended where the same job is told to start again
        coalesce(ended_at, next_starts.started_at) as ended_at,
        lower(state) as state,
        node_elements.hostname,
        cast(null as {{ dbt.type_string() }}) as gpu_ids,
        case when node_count = 1 or gpus_total % node_count = 0 then cast(round(gpus_total / node_count, 6) as decimal(18, 6)) end as gpu_count,
        cast(round(vcpus_total / node_count, 6) as decimal(18, 6)) as vcpus,
        cast(round(memory_gib_total / node_count, 6) as decimal(18, 6)) as memory_gib,
        cast(null as {{ dbt.type_string() }}) as parent_workload_id,
        cast(null as {{ dbt.type_string() }}) as namespace,
        cast(null as {{ dbt.type_string() }}) as pod,
        cast(null as {{ dbt.type_string() }}) as pod_uid,
        source.job_id_raw as hpc_job,
        concat('{"account":', {{ json_string("coalesce(account, '')") }}, ',"user":', {{ json_string("coalesce(user_name, '')") }},
               ',"wckey":', {{ json_string("coalesce(wckey, '')") }}, ',"partition":', {{ json_string("coalesce(partition, '')") }},
               case when length(comment_tags) > 2 then concat(',', substr(comment_tags, 2, length(comment_tags) - 2)) else '' end, '}') as labels,
        'owner' as identity,
        concat('[', {{ json_string('source.job_id_raw') }}, case when source.job_id is not null then concat(',', {{ json_string('source.job_id') }}) else '' end, ']') as job_names
    from source
    left join node_elements on source.node_list = node_elements.node_list
    left join starts as next_starts
        on source._source = next_starts._source and source.job_id_raw = next_starts.job_id_raw and next_starts.start_number = source.start_number + 1
    left join starts as leaders
        on source._source = leaders._source and source.leader_id = leaders.job_id_raw and source.started_at = leaders.started_at

)

select * from renamed
