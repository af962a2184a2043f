-- Grain: one MLflow run. It names people and parameters, not machines: no node and no GPU, so it holds nothing by itself; its
-- tags join the run of the same id.
with

source as (

    select * from {{ source('mlflow', 'runs') }}

),

renamed as (

    select
        _source as source,
        'training_run' as workload_type,
        run_id as workload_id,
        run_id as attempt_id,
        started_at,
        ended_at,
        lower(status) as state,
        cast(null as {{ dbt.type_string() }}) as hostname,
        cast(null as {{ dbt.type_string() }}) as gpu_ids,
        cast(null as decimal(18, 6)) as gpu_count,
        cast(null as decimal(18, 6)) as vcpus,
        cast(null as decimal(18, 6)) as memory_gib,
        nullif({{ json_text('tags', 'mlflow.parentRunId') }}, '') as parent_workload_id,
        cast(null as {{ dbt.type_string() }}) as namespace,
        cast(null as {{ dbt.type_string() }}) as pod,
        cast(null as {{ dbt.type_string() }}) as pod_uid,
        cast(null as {{ dbt.type_string() }}) as hpc_job,
        coalesce(nullif(tags, ''), '{}') as labels
    from source
    where started_at is not null

)

select * from renamed
