{#- Levers on held GPUs that do little: fewer of them (raise_utilization), several workloads on each (share_gpu), each in a part of one (use_mig). -#}

{#- At the target activity the same used GPU time needs used / target; the rest of the known time is the saving, always a part of held idle. -#}
{% macro raise_utilization_levers(scopes, span) -%}
{%- set found -%}
(select *, known_cost_usd - {{ proportion('used_cost_usd', '1000000', lever_ppm('target_activity_ratio')) }} as saving_usd
    from {{ scopes }}
    where scope_type in ('endpoint', 'model', 'team', 'workload') and not is_notebook and activity_ppm < {{ lever_ppm('raise_below_activity_ratio') }})
{%- endset -%}
{{ lever_rows('raise_utilization', found, scopes, span, 'high', 'medium', {
  'activity_ratio': ('ratio', 'found.activity_ppm'), 'target_activity_ratio': ('ratio', lever_ppm('target_activity_ratio')),
  'held_idle_usd': ('usd', 'found.held_idle_cost_usd'), 'known_gpu_hours': ('number', gpu_hours('found.known_seconds')), 'workload_count': ('number', 'found.workload_count')},
  "'the same work at the target activity takes used / target of the GPU time; unknown time saves nothing'",
  "'feed the GPUs better (data loading, batch size, input waits) or run the same work on fewer of them'") }}
{%- endmacro %}

{#- Hours as text with one decimal. -#}
{% macro gpu_hours(seconds) %}cast({{ seconds }} * cast('0.000277777778' as decimal(12, 12)) as decimal(38, 1)){% endmacro %}

{#- CTE rows: one scope on one GPU model: its peaks, and what the GPU model is (the longest known name that stands in it as words; a size in the name wins). -#}
{% macro lever_peaks(hours) -%}
select
        peaks.*,
        catalogue.fp16_gflops,
        coalesce(catalogue.has_mig, false) as has_mig,
        case
            when upper(peaks.gpu_model) not like '%GH200%' and regexp_extract(upper(peaks.gpu_model), '[0-9]+ ?GB') <> ''
                then cast(replace(replace(regexp_extract(upper(peaks.gpu_model), '[0-9]+ ?GB'), 'GB', ''), ' ', '') as bigint) * 1048576
            else catalogue.memory_kib
        end as gpu_memory_kib
    from (
        select
            scope_type, scope, gpu_model,
            max(case when is_notebook then 1 else 0 end) = 1 as is_notebook,
            max(case when is_shared then 1 else 0 end) = 1 as is_shared,
            cast(max(peak_activity_ratio) * 1000000 as bigint) as peak_activity_ppm,
            max(peak_memory_kib) as peak_memory_kib,
            max({{ rounded_up(gpu_micros('gpu_seconds'), '3600000000') }}) as gpus_per_node,
            cast(sum(known_seconds) as decimal(38, 6)) as known_seconds,
            cast(sum(known_cost_usd) as decimal(38, 12)) as known_cost_usd
        from {{ hours }}
        where workload_key is not null and gpu_model is not null
        group by scope_type, scope, gpu_model
    ) as peaks
    left join ({{ known_accelerators(hours) }}) as catalogue on peaks.gpu_model = catalogue.gpu_model
{%- endmacro %}

{% macro known_accelerators(relation) -%}
select gpu_model, memory_kib, fp16_gflops, has_mig
        from (
            select
                models.gpu_model, known.memory_kib, known.fp16_gflops, known.has_mig,
                row_number() over (partition by models.gpu_model order by length(known.gpu_model) desc, known.gpu_model) as choice
            from (select distinct gpu_model from {{ relation }} where gpu_model is not null) as models
            inner join {{ source('policy', 'lever_accelerators') }} as known
                on concat(' ', {{ model_words('models.gpu_model') }}, ' ') like concat('% ', known.gpu_model, ' %')
        ) as matched
        where choice = 1
{%- endmacro %}

{#- How many of a scope fit on one GPU at their peaks, within target activity and memory head-room: time slicing at most `maximum_sharers`; MIG by its profiles
    (7 x 1g, 3 x 2g, 2 x 3g; on A30 4 x 1g, 2 x 2g, with 1, 2, 4 of 8 memory slices, on A30 1, 2 of 4). Fewer than two: nothing to gain. A peak
    that nobody measured fits nowhere. -#}
{% macro fitting_sharers() -%}
case when peak_activity_ppm is not null and peak_memory_kib is not null and gpu_memory_kib is not null then least(
  {{ governance('levers.maximum_sharers') }},
  {{ int_div(lever_ppm('target_activity_ratio'), 'greatest(peak_activity_ppm, 1)') }},
  {{ int_div('gpu_memory_kib * (1000000 - ' ~ lever_ppm('memory_headroom_ratio') ~ ')', 'greatest(peak_memory_kib, 1) * 1000000') }})
end
{%- endmacro %}

{% macro fitting_instances() -%}
case
  {%- for is_a30, instances, slices, of_slices, memory, of_memory in [
    (true, 4, 1, 4, 1, 4), (true, 2, 2, 4, 2, 4), (false, 7, 1, 7, 1, 8), (false, 3, 2, 7, 2, 8), (false, 2, 3, 7, 4, 8)] %}
  when has_mig and {{ '' if is_a30 else 'not ' }}upper(gpu_model) like '%A30%'
    and peak_activity_ppm * {{ of_slices }} <= {{ slices }} * {{ lever_ppm('target_activity_ratio') }}
    and peak_memory_kib * {{ of_memory }} * 1000000 <= gpu_memory_kib * {{ memory }} * (1000000 - {{ lever_ppm('memory_headroom_ratio') }}) then {{ instances }}
  {%- endfor %}
  else 0
end
{%- endmacro %}

{#- Per hour, pool and GPU model all candidates together need their GPU time / how many fit, in whole GPU-hours; what they hold above that is saved. One alone in
    its hour has nobody to share with, and saves nothing. -#}
{% macro shared_gpu_levers(kind, fitting, hours, peaks, scopes, span, action) -%}
{%- set found -%}
(select
        hours.scope_type, hours.scope, max(fits.fitting) as fitting, max(fits.peak_activity_ppm) as peak_activity_ppm, max(fits.peak_memory_kib) as peak_memory_kib,
        min(fits.gpu_memory_kib) as gpu_memory_kib, max(fits.gpu_model) as gpu_model, max(demand.candidates) as candidates,
        cast(sum({{ proportion('hours.known_cost_usd', 'greatest(demand.micros - ' ~ rounded_up('demand.micros', '3600000000 * fits.fitting') ~ ' * 3600000000, 0)', 'demand.micros') }}) as decimal(38, 12)) as saving_usd
    from {{ hours }} as hours
    inner join (select *, {{ fitting }} as fitting from {{ peaks }} where not is_notebook and not is_shared) as fits
        on hours.scope_type = fits.scope_type and hours.scope = fits.scope and hours.gpu_model = fits.gpu_model and fits.fitting >= 2
    inner join (
        select candidates.pool, candidates.gpu_model, candidates.hour_from, {{ gpu_micros('sum(candidates.known_seconds)') }} as micros, cast(count(distinct candidates.scope) as bigint) as candidates
        from {{ hours }} as candidates
        inner join (select *, {{ fitting }} as fitting from {{ peaks }} where not is_notebook and not is_shared) as fitting_scopes
            on candidates.scope_type = fitting_scopes.scope_type and candidates.scope = fitting_scopes.scope and candidates.gpu_model = fitting_scopes.gpu_model
            and fitting_scopes.fitting >= 2
        where candidates.hour_from is not null and candidates.workload_key is not null
        group by candidates.pool, candidates.gpu_model, candidates.hour_from
    ) as demand
        on hours.pool is not distinct from demand.pool and hours.gpu_model = demand.gpu_model and hours.hour_from = demand.hour_from
    where hours.workload_key is not null
    group by hours.scope_type, hours.scope)
{%- endset -%}
{{ lever_rows(kind, found, scopes, span, 'medium', 'medium', {
  'peak_hour_activity_ratio': ('ratio', 'found.peak_activity_ppm'), 'peak_memory_kib': ('number', 'found.peak_memory_kib'), 'gpu_memory_kib': ('number', 'found.gpu_memory_kib'),
  'workloads_per_gpu': ('number', 'found.fitting'), 'gpu_model': ('text', 'found.gpu_model'), 'candidates_in_pool': ('number', 'found.candidates')},
  "'peaks within an hour are not seen; the candidates of the pool may stand beside each other; GPUs that become free are given back'", action) }}
{%- endmacro %}
