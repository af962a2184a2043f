{#- Levers on what the same work costs: spot for what bears interruption (use_spot), a smaller GPU (right_size), measured speed-ups (compress). -#}

{#- CTE rows: machine x provider x region: what a billed GPU-second of it cost on spot, from the bill's own spot rows (at least one GPU-hour), and how the attempts
    of the workloads that ran on it ended. -#}
{% macro spot_records(hours, attempts) -%}
select
        spot.*,
        coalesce(records.attempts, 0) as attempts,
        coalesce(records.interrupted_attempts, 0) as interrupted_attempts,
        coalesce(records.rework_ppm, 0) as rework_ppm
    from (
        select provider, region, machine, cast(sum(gpu_seconds) as decimal(38, 6)) as gpu_seconds, cast(sum(cost_usd) as decimal(38, 12)) as cost_usd
        from {{ hours }}
        where pricing_category = 'spot'
        group by provider, region, machine
        having sum(gpu_seconds) >= 3600 and sum(cost_usd) > 0
    ) as spot
    left join (
        select
            users.provider, users.region, users.machine, cast(count(*) as bigint) as attempts,
            cast(sum(case when attempts.outcome = 'preempted' then 1 else 0 end) as bigint) as interrupted_attempts,
            cast({{ int_div(wide_int('sum(coalesce(attempts.rolled_back_cost_usd, 0)) * 1000000') ~ ' * 1000000', 'nullif(' ~ wide_int('sum(attempts.run_cost_usd) * 1000000') ~ ', 0)') }} as bigint) as rework_ppm
        from (select distinct provider, region, machine, workload_key from {{ hours }} where pricing_category = 'spot' and workload_key is not null) as users
        inner join {{ attempts }} as attempts on users.workload_key = attempts.workload_key and attempts.attempt_key <> ''
        group by users.provider, users.region, users.machine
    ) as records
        on spot.provider = records.provider and spot.region is not distinct from records.region and spot.machine = records.machine
{%- endmacro %}

{#- Runs on demand that show that they bear interruption: their known time at the spot price of the same machine, plus the work that is done again. -#}
{% macro use_spot_levers(hours, spot_records, scopes, span) -%}
{%- set found -%}
(select
        scope_type, scope, sum(on_demand_cost_usd) as on_demand_cost_usd, sum(known_seconds) as known_seconds, max(tolerance_basis) as tolerance_basis,
        min(price_basis) as price_basis, max(price_evidence) as price_evidence, max(machine) as machine, sum(attempts) as attempts, sum(interrupted_attempts) as interrupted_attempts,
        max(rework_ppm) as rework_ppm, cast(sum(greatest(on_demand_cost_usd - {{ proportion('spot_cost_usd', '1000000 + rework_ppm', '1000000') }}, 0)) as decimal(38, 12)) as saving_usd
    from (
        select
            runs.*,
            case when records.machine is not null then 'bill' else 'stated' end as price_basis,
            case when records.machine is not null then 'spot rows of the bill' else stated.evidence end as price_evidence,
            coalesce(records.attempts, 0) as attempts,
            coalesce(records.interrupted_attempts, 0) as interrupted_attempts,
            greatest({{ lever_ppm('spot_rework_ratio') }}, coalesce(records.rework_ppm, 0)) as rework_ppm,
            case when records.machine is not null then {{ proportion('records.cost_usd', gpu_micros('runs.known_seconds'), gpu_micros('records.gpu_seconds')) }}
                else {{ proportion('stated.usd_per_gpu_hour', gpu_micros('runs.known_seconds'), '3600000000') }} end as spot_cost_usd
        from (
            select
                hours.scope_type, hours.scope, hours.provider, hours.region, hours.machine, hours.gpu_model,
                max(case when hours.tolerance_basis is not null then hours.tolerance_basis else 'stated' end) as tolerance_basis,
                cast(sum(hours.known_seconds) as decimal(38, 6)) as known_seconds, cast(sum(hours.known_cost_usd) as decimal(38, 12)) as on_demand_cost_usd
            from {{ hours }} as hours
            left join {{ source('policy', 'lever_tolerant_models') }} as tolerant on hours.model = tolerant.model
            where hours.pricing_category = 'on_demand' and hours.scope_type in ('model', 'team', 'workload') and not hours.is_notebook
                and (hours.tolerance_basis is not null or tolerant.model is not null)
            group by hours.scope_type, hours.scope, hours.provider, hours.region, hours.machine, hours.gpu_model
        ) as runs
        left join {{ spot_records }} as records
            on runs.provider = records.provider and runs.region is not distinct from records.region and runs.machine = records.machine
        left join (
            select models.gpu_model, prices.usd_per_gpu_hour, prices.evidence,
                row_number() over (partition by models.gpu_model order by length(prices.gpu_model) desc, prices.usd_per_gpu_hour desc, prices.evidence) as choice
            from (select distinct gpu_model from {{ hours }} where gpu_model is not null) as models
            inner join {{ source('policy', 'lever_spot_prices') }} as prices
                on concat(' ', {{ model_words('models.gpu_model') }}, ' ') like concat('% ', {{ model_words('prices.gpu_model') }}, ' %')
        ) as stated on runs.gpu_model = stated.gpu_model and stated.choice = 1
        where records.machine is not null or stated.gpu_model is not null
    ) as priced
    group by scope_type, scope)
{%- endset -%}
{{ lever_rows('use_spot', found, scopes, span, 'medium', "case when found.price_basis = 'stated' then 'low' else "
    ~ lever_confidence('span.observed_days', 'scopes.known_ppm', 'medium') ~ ' end', {
  'on_demand_usd': ('usd', 'found.on_demand_cost_usd'), 'on_demand_gpu_hours': ('number', gpu_hours('found.known_seconds')), 'machine': ('text', 'found.machine'),
  'interruption_tolerance': ('text', 'found.tolerance_basis'), 'spot_price_from': ('text', 'found.price_evidence'), 'rework_ratio': ('ratio', 'found.rework_ppm'),
  'spot_attempts': ('number', 'found.attempts'), 'spot_attempts_interrupted': ('number', 'found.interrupted_attempts')},
  "'spot capacity can be had when it is wanted; the stated share of the work is done again after interruptions (or what was observed, if more)'",
  "'run it on spot capacity, with checkpoints, and on demand only where spot cannot be had'") }}
{%- endmacro %}

{#- Another GPU model of the price list on which the scope's peaks still fit: memory with head-room, and activity scaled by throughput up to the target, on a machine with
    at least as many GPUs as it held of one node. The cheapest of them. Several GPU models of one scope: each by itself. -#}
{% macro right_size_levers(peaks, scopes, span) -%}
{%- set found -%}
(select
        scope_type, scope, max(gpu_model) as gpu_model, max(machine) as machine, max(target_model) as target_model, max(usd_per_gpu_hour) as usd_per_gpu_hour,
        max(peak_activity_ppm) as peak_activity_ppm, max(peak_memory_kib) as peak_memory_kib, max(scaled_peak_ppm) as scaled_peak_ppm,
        cast(sum(known_seconds) as decimal(38, 6)) as known_seconds, cast(sum(saving_usd) as decimal(38, 12)) as saving_usd
    from (
        select *, row_number() over (partition by scope_type, scope, gpu_model order by saving_usd desc, machine) as choice
        from (
            select
                peaks.*, targets.machine, targets.target_model, targets.usd_per_gpu_hour,
                {{ rounded_up('peaks.peak_activity_ppm * peaks.fp16_gflops', 'targets.fp16_gflops') }} as scaled_peak_ppm,
                peaks.known_cost_usd - {{ proportion('targets.usd_per_gpu_hour', gpu_micros('peaks.known_seconds'), '3600000000') }} as saving_usd
            from {{ peaks }} as peaks
            inner join (
                select machines.machine, machines.gpu_model as target_model, machines.gpus, known.fp16_gflops, known.memory_kib,
                    {{ proportion('machines.hourly_price', '1', 'machines.gpus') }} as usd_per_gpu_hour
                from {{ source('policy', 'price_list_machines') }} as machines
                inner join ({{ known_accelerators(source('policy', 'price_list_machines')) }}) as known on machines.gpu_model = known.gpu_model
            ) as targets
                on targets.gpus >= peaks.gpus_per_node
                and peaks.peak_memory_kib * 1000000 <= targets.memory_kib * (1000000 - {{ lever_ppm('memory_headroom_ratio') }})
                and peaks.peak_activity_ppm * peaks.fp16_gflops <= targets.fp16_gflops * {{ lever_ppm('target_activity_ratio') }}
                and concat(' ', {{ model_words('peaks.gpu_model') }}, ' ') not like concat('% ', targets.target_model, ' %')
            where not peaks.is_notebook and not peaks.is_shared
        ) as candidates
        where saving_usd > 0
    ) as ranked
    where choice = 1
    group by scope_type, scope)
{%- endset -%}
{{ lever_rows('right_size', found, scopes, span, 'medium', 'medium', {
  'gpu_model': ('text', 'found.gpu_model'), 'target_gpu_model': ('text', 'found.target_model'), 'target_machine': ('text', 'found.machine'),
  'target_usd_per_gpu_hour': ('usd', 'found.usd_per_gpu_hour'), 'peak_hour_activity_ratio': ('ratio', 'found.peak_activity_ppm'),
  'peak_hour_activity_on_target_ratio': ('ratio', 'found.scaled_peak_ppm'), 'peak_memory_kib': ('number', 'found.peak_memory_kib'), 'known_gpu_hours': ('number', gpu_hours('found.known_seconds'))},
  "'the work scales with dense FP16 throughput of the data sheets; peaks within an hour fit into the head-room; the target costs its price in the price list'",
  "concat('move it to ', found.machine, ' (', found.target_model, '), after a trial run')") }}
{%- endmacro %}

{#- A measured speed-up: the used dollars, less what the same work takes at that speed. Without an entry of the policy there is no row. -#}
{% macro compress_levers(scopes, span) -%}
{%- set found -%}
(select found.*, entries.speedup_ppm, entries.evidence as speedup_evidence,
        found.used_cost_usd - {{ proportion('found.used_cost_usd', '1000000', 'entries.speedup_ppm') }} as saving_usd
    from {{ scopes }} as found
    inner join {{ source('policy', 'lever_compressions') }} as entries on found.scope_type = entries.scope_type and found.scope = entries.scope)
{%- endset -%}
{{ lever_rows('compress', found, scopes, span, 'high', 'medium', {
  'speedup_ratio': ('number', "cast(cast(found.speedup_ppm as decimal(18, 0)) * cast('0.000001' as decimal(7, 6)) as decimal(18, 2))"), 'used_usd': ('usd', 'found.used_cost_usd'),
  'measured_by': ('text', 'found.speedup_evidence')},
  "'the speed-up holds for all of its work, and quality stays what its owner accepts; GPU time that becomes free is given back'",
  "'deploy the compressed model (quantized, distilled or compiled)'") }}
{%- endmacro %}
