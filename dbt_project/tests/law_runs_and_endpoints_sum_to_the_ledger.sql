-- Law of money: what the runs and endpoints of the night's days cost is what the ledger charges to them, and a run's published cost is
-- the sum of its days, class by class.
with

ledger as (

    select usage_date, workload_key, sum(effective_cost) as cost
    from {{ ref('fct_cost_allocation') }}
    where stage = 'allocated' and workload_key is not null and usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    group by usage_date, workload_key

),

run_days as (

    select usage_date, workload_key, sum(effective_cost) as cost
    from {{ ref('int_attempt_days') }}
    where effective_cost is not null and usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    group by usage_date, workload_key

),

endpoint_days as (

    select usage_date, concat('endpoint/', endpoint) as workload_key, sum(allocated_cost_usd) as cost
    from {{ ref('fct_inference_unit_cost') }}
    where allocated_cost_usd is not null and usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    group by usage_date, endpoint

),

endpoint_totals as (

    select *, concat('endpoint/', endpoint) as workload_key
    from {{ ref('fct_inference_unit_cost') }}
    where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})

),

handed_out as (

    select usage_date, workload_key, sum(effective_cost) as cost
    from {{ ref('fct_cost_allocation') }}
    where stage = 'distributed' and workload_key like 'endpoint/%' and usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})
    group by usage_date, workload_key

),

runs as (

    select
        workload_key,
        sum(effective_cost) as cost,
        sum(used_cost) as used_cost,
        sum(held_idle_cost) as held_idle_cost,
        sum(unknown_cost) as unknown_cost,
        sum(other_cost) as other_cost,
        sum(billed_cost) as billed_cost,
        sum(list_cost) as list_cost,
        sum(distributed_cost) as distributed_cost,
        sum(gpu_component_cost) as gpu_cost,
        sum(host_component_cost) as host_cost,
        sum(coalesce(list_missing_cost, 0)) as list_missing_cost,
        count(effective_cost) = count(gpu_component_cost) as has_components
    from {{ ref('int_attempt_days') }}
    where workload_key not like 'endpoint/%'
    group by workload_key

)

select coalesce(handed_out.workload_key, endpoint_totals.workload_key) as workload_key, 'endpoint day, distributed' as broken
from handed_out
full outer join endpoint_totals on handed_out.usage_date = endpoint_totals.usage_date and handed_out.workload_key = endpoint_totals.workload_key
where coalesce(handed_out.cost, 0) <> coalesce(endpoint_totals.distributed_cost_usd, 0)
union all
select workload_key, 'token kinds'
from endpoint_totals
where token_split_method is not null
    and (input_tokens_cost_usd + coalesce(cached_tokens_cost_usd, 0) + output_tokens_cost_usd is distinct from allocated_cost_usd
        or used_input_tokens_cost_usd + coalesce(used_cached_tokens_cost_usd, 0) + used_output_tokens_cost_usd is distinct from used_cost_usd)
union all
select coalesce(ledger.workload_key, run_days.workload_key) as workload_key, 'day' as broken
from ledger
full outer join run_days on ledger.usage_date = run_days.usage_date and ledger.workload_key = run_days.workload_key
where ledger.cost is distinct from run_days.cost
union all
select coalesce(ledger.workload_key, endpoint_days.workload_key), 'endpoint day'
from (select * from ledger where workload_key like 'endpoint/%') as ledger
full outer join endpoint_days on ledger.usage_date = endpoint_days.usage_date and ledger.workload_key = endpoint_days.workload_key
where ledger.cost is distinct from endpoint_days.cost
union all
select coalesce(runs.workload_key, run_cost.workload_key), 'run'
from runs
full outer join {{ ref('fct_run_cost') }} as run_cost on runs.workload_key = run_cost.workload_key
where runs.cost is distinct from run_cost.run_cost_usd
    or runs.used_cost is distinct from run_cost.used_cost_usd
    or runs.held_idle_cost is distinct from run_cost.held_idle_cost_usd
    or runs.unknown_cost is distinct from run_cost.unknown_cost_usd
    or runs.other_cost is distinct from run_cost.other_cost_usd
    or runs.billed_cost is distinct from run_cost.billed_cost_usd
    or runs.list_cost is distinct from run_cost.list_cost_usd
    or runs.distributed_cost is distinct from run_cost.distributed_cost_usd
    or run_cost.run_cost_usd <> run_cost.succeeded_cost_usd + run_cost.failed_cost_usd + run_cost.preempted_cost_usd + run_cost.other_outcome_cost_usd
    or run_cost.run_cost_usd <> run_cost.used_cost_usd + run_cost.held_idle_cost_usd + run_cost.unknown_cost_usd + run_cost.other_cost_usd
    or (runs.has_components and (
        runs.gpu_cost is distinct from run_cost.gpu_cost_usd
        or runs.host_cost is distinct from run_cost.host_cost_usd
        or (runs.cost is not null and runs.list_missing_cost is distinct from run_cost.list_missing_cost_usd)))
    or run_cost.run_cost_usd <> run_cost.gpu_cost_usd + run_cost.host_cost_usd + run_cost.other_component_cost_usd
    or run_cost.run_cost_usd <> run_cost.spot_price_cost_usd + run_cost.commitment_price_cost_usd + run_cost.other_price_cost_usd
    or run_cost.list_cost_usd <> run_cost.run_cost_usd - run_cost.list_missing_cost_usd
        + coalesce(run_cost.spot_saving_usd, 0) + coalesce(run_cost.commitment_saving_usd, 0) + coalesce(run_cost.other_saving_usd, 0)
