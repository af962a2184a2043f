-- Grain: one telemetry sample (wide row), or one value (long row: then one value column at most is filled). Activity is in
-- whole millionths of the value as delivered; whether that is a ratio or a percentage, the series tells (int_gpu_blocks). What no
-- scale has (below 0, above 100), NaN or a sentinel is discarded here and counted.
with

wide as (

    select
        _source as source, sample_at, slot_seconds, hostname, gpu_uuid, gpu_index, pci_bus_id, gpu_model, mig_profile, mig_instance_id,
        namespace, pod, container, pod_uid, exported_namespace, exported_pod, hpc_job, exporter,
        sm_active, gr_engine_active, gpu_util, fb_used_mib, power_w, energy_mj
    from {{ source('dcgm', 'samples_wide') }}

),

long as (

    select
        _source as source, sample_at, slot_seconds, hostname, gpu_uuid, gpu_index, pci_bus_id, gpu_model, mig_profile, mig_instance_id,
        namespace, pod, container, pod_uid, exported_namespace, exported_pod, hpc_job, exporter,
        case when names.measure = 'sm_active' then value * names.factor end as sm_active,
        case when names.measure = 'gr_engine_active' then value * names.factor end as gr_engine_active,
        case when names.measure = 'gpu_util' then value * names.factor end as gpu_util,
        case when names.measure = 'fb_used_mib' then value * names.factor end as fb_used_mib,
        case when names.measure = 'power_w' then value * names.factor end as power_w,
        case when names.measure = 'energy_mj' then value * names.factor end as energy_mj
    from {{ source('dcgm', 'samples_long') }} as samples
    left join {{ ref('dcgm_metric_names') }} as names on lower(samples.metric) = names.metric_name

),

source_rows as (

    select * from wide
    union all
    select * from long

),

renamed as (

    select
        source,
        sample_at as sampled_at,
        slot_seconds,
        coalesce(nullif(hostname, ''), '(no host name)') as hostname,
        nullif(gpu_uuid, '') as gpu_uuid,
        nullif(gpu_index, '') as gpu_index,
        nullif(pci_bus_id, '') as pci_bus_id,
        nullif(gpu_model, '') as gpu_model,
        nullif(mig_profile, '') as mig_profile,
        nullif(mig_instance_id, '') as mig_instance_id,
        {{ workload_label('namespace') }} as namespace,
        {{ workload_label('pod') }} as pod,
        nullif(pod_uid, '') as pod_uid,
        nullif(hpc_job, '') as hpc_job,
        nullif(exporter, '') as exporter,
        case when sm_active between 0 and 100 then cast(round(sm_active * 1000000) as bigint) end as sm_active_millionths,
        case when gr_engine_active between 0 and 100 then cast(round(gr_engine_active * 1000000) as bigint) end as gr_engine_active_millionths,
        -- under MIG the device's GPU_UTIL is unsupported and reads 0: it says nothing about an instance
        case when nullif(mig_profile, '') is null and gpu_util between 0 and 100 then cast(round(gpu_util * 1000000) as bigint) end as gpu_util_millionths,
        case when fb_used_mib between 0 and 10000000 then cast(round(fb_used_mib * 1024) as bigint) end as fb_used_kib,
        case when power_w between 0 and 10000 then cast(round(power_w * 1000) as bigint) end as power_milliwatts,
        -- 2^47 is the driver's blank, whatever the scale
        case when energy_mj >= 0 and energy_mj < 9000000000000000000 and energy_mj <> 140737488355328 then cast(round(energy_mj) as bigint) end as energy_millijoules,
        cast(case when sm_active between 0 and 100 or sm_active is null then 0 else 1 end
            + case when gr_engine_active between 0 and 100 or gr_engine_active is null then 0 else 1 end
            + case when gpu_util between 0 and 100 or gpu_util is null then 0 else 1 end as bigint) as discarded_values,
        cast(case when fb_used_mib between 0 and 10000000 or fb_used_mib is null then 0 else 1 end
            + case when power_w between 0 and 10000 or power_w is null then 0 else 1 end
            + case when (energy_mj >= 0 and energy_mj < 9000000000000000000 and energy_mj <> 140737488355328) or energy_mj is null
                then 0 else 1 end as bigint) as discarded_meter_values
    from source_rows
    where sample_at is not null

)

select * from renamed
