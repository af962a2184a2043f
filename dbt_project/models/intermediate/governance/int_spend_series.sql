-- Grain: series x published day, from the first day on which the series has anything: what it cost, what of that is no daily business, and whether the
-- day is settled. Series: all; each source; each service of it without its GPU time; each owner team, its models and environments; each budget of the policy.
with

days as (

    select usage_date, {{ day_number('usage_date') }} as day_number
    from {{ ref('dim_date') }}
    where {{ day_number('usage_date') }} > (select max({{ day_number('usage_date') }}) from {{ ref('dim_date') }}) - {{ series_days() }}

),

frontier as (

    select max(day_number) as last_day from days

),

daily as (

    select
        days.day_number,
        ledger.*,
        coalesce(ledger.charge_category, 'Usage') in ('Purchase', 'Tax', 'Credit', 'Adjustment') as is_other_charge
    from {{ ref('fct_cost_daily') }} as ledger
    inner join days on ledger.usage_date = days.usage_date

),

-- fees, taxes and credits that stand on at least seven of ten of the last 28 days are daily business; the others come as lumps
recurring as (

    select source, service, charge_category, cost_class
    from daily
    cross join frontier
    where is_other_charge and day_number > last_day - 28
    group by source, service, charge_category, cost_class
    having count(distinct day_number) >= 7
        and 10 * count(distinct day_number) >= 7 * (select count(*) from days cross join frontier where day_number > last_day - 28)

),

costs as (

    select
        daily.day_number, daily.stage, daily.source, daily.account_id, daily.team, daily.owner_team, daily.model, daily.environment, daily.project,
        daily.is_other_charge and recurring.cost_class is null as is_lump,
        not daily.is_other_charge and daily.stage = 'allocated' and daily.cost_class <> 'unused_commitment' as is_watched,
        case when not daily.is_other_charge and daily.stage = 'allocated' and daily.cost_class <> 'unused_commitment' and not {{ is_gpu_time() }}
            then daily.service end as other_service,
        daily.cost_class in ('held_idle', 'unallocated_idle', 'stranded') as is_idle,
        daily.is_other_charge,
        daily.cost_usd, daily.billed_cost_usd, daily.list_cost_usd, daily.list_missing_cost_usd
    from daily
    left join recurring
        on daily.source = recurring.source and coalesce(daily.service, '') = coalesce(recurring.service, '')
        and daily.charge_category = recurring.charge_category and daily.cost_class = recurring.cost_class

),

pools as (

    select pool, case when min(source) = max(source) then min(source) end as source, case when min(account_id) = max(account_id) then min(account_id) end as account_id
    from daily
    where pool is not null
    group by pool

),

owners as (

    select node_key, {{ latest_filled_owner() }} as owner_team
    from {{ ref('dim_node') }}
    group by node_key

),

-- GPU-seconds that no charge has priced yet; whose source or account nobody knows, they may be anybody's
unpriced as (

    select
        days.day_number, pools.source, pools.account_id, workloads.team, coalesce(workloads.team, owners.owner_team) as owner_team,
        workloads.model, workloads.environment, workloads.project, cast(null as {{ dbt.type_string() }}) as other_service, estimates.gpu_seconds, estimates.estimated_cost_usd
    from {{ ref('fct_cost_estimate') }} as estimates
    inner join days on estimates.usage_date = days.usage_date
    left join {{ ref('dim_workload') }} as workloads on estimates.workload_key = workloads.workload_key
    left join owners on estimates.node_key = owners.node_key
    left join pools on estimates.pool = pools.pool
    where estimates.pricing_status in ('estimated', 'awaiting_bill')

),

cells as (

    select
        {{ digest(spend_cell_columns()) }} as cell_key,
        *
    from (
        select
            day_number, stage, {{ spend_cell_columns()[1:] | join(', ') }},
            sum(cost_usd) as effective_usd, sum(billed_cost_usd) as billed_usd, sum(coalesce(list_cost_usd, 0)) as list_usd,
            sum(case when is_lump then cost_usd else 0 end) as effective_lump_usd, sum(case when is_lump then billed_cost_usd else 0 end) as billed_lump_usd,
            sum(case when is_lump then coalesce(list_cost_usd, 0) else 0 end) as list_lump_usd,
            -- taxes, fees and credits have no list price to miss
            sum(case when is_other_charge then 0 else abs(list_missing_cost_usd) end) as list_missing_usd,
            sum(case when is_watched then cost_usd else 0 end) as watched_usd, sum(case when is_watched and is_idle then cost_usd else 0 end) as idle_usd,
            sum(case when is_other_charge then 0 else 1 end) as usage_rows,
            cast(0 as decimal(38, 6)) as unpriced_gpu_seconds, cast(null as decimal(38, 12)) as estimated_usd, cast(0 as decimal(38, 6)) as without_price_gpu_seconds
        from costs
        group by day_number, stage, {{ spend_cell_columns()[1:] | join(', ') }}
        union all
        select
            day_number, 'unpriced' as stage, {{ spend_cell_columns()[1:] | join(', ') }},
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            sum(gpu_seconds), sum(estimated_cost_usd), sum(case when estimated_cost_usd is null then gpu_seconds else 0 end)
        from unpriced
        group by day_number, {{ spend_cell_columns()[1:] | join(', ') }}
    ) as stages

),

kinds as (

    select distinct {{ spend_cell_columns() | join(', ') }}, cell_key from cells

),

scopes as (

    {{ spend_scopes('kinds', source('policy', 'budgets'), source('policy', 'budget_conditions')) }}

),

series_cells as (

    select
        scopes.series_key, cells.*,
        {%- for figure in ['', '_lump'] %}
        case scopes.basis when 'billed' then billed{{ figure }}_usd when 'list' then list{{ figure }}_usd else effective{{ figure }}_usd end as spent{{ figure }}_usd,
        {%- endfor %}
        case when scopes.basis = 'list' then list_missing_usd else 0 end as missing_usd
    from scopes
    inner join cells on scopes.cell_key = cells.cell_key

),

series as (

    select series_key, min(series_kind) as series_kind, min(series) as series, min(source) as source, min(service) as service, min(team) as team, min(model) as model, min(environment) as environment
    from scopes
    group by series_key

),

-- a source that bills at least every second day and has billed lately: days behind its last one are not told yet
sources as (

    select source, max(day_number) as frontier_day
    from cells
    where usage_rows > 0
    group by source
    having max(day_number) > (select last_day from frontier) - {{ governance('forecast.silent_source_days') }}
        and 2 * count(distinct day_number) > max(day_number) - min(day_number)

),

series_sources as (

    select series_cells.series_key, min(sources.frontier_day) as frontier_day
    from series_cells
    inner join sources on series_cells.source = sources.source
    where series_cells.usage_rows > 0 and series_cells.day_number > sources.frontier_day - {{ governance('forecast.silent_source_days') }}
    group by series_cells.series_key

),

firsts as (

    select series_key, min(day_number) as first_day, min(case when watched_usd > 0 then day_number end) as first_watched_day
    from series_cells
    group by series_key

),

sums as (

    select
        series_key,
        day_number,
        {%- for figure in ['spent', 'spent_lump', 'missing', 'watched', 'idle', 'estimated'] %}
        cast(sum({{ figure }}_usd) as decimal(38, 12)) as {{ figure }}_usd,
        {%- endfor %}
        cast(sum(unpriced_gpu_seconds) as decimal(38, 6)) as unpriced_gpu_seconds,
        cast(sum(without_price_gpu_seconds) as decimal(38, 6)) as without_price_gpu_seconds
    from series_cells
    group by series_key, day_number

),

filled as (

    select
        series.*,
        days.usage_date,
        days.day_number,
        firsts.first_watched_day,
        coalesce(days.day_number = series_sources.frontier_day, false) as is_frontier,
        days.day_number > series_sources.frontier_day as is_behind,
        {%- for figure in ['spent', 'spent_lump', 'missing', 'watched', 'idle'] %}
        coalesce(sums.{{ figure }}_usd, 0) as {{ figure }}_usd,
        {%- endfor %}
        sums.estimated_usd,
        coalesce(sums.unpriced_gpu_seconds, 0) as unpriced_gpu_seconds,
        coalesce(sums.without_price_gpu_seconds, 0) as without_price_gpu_seconds
    from series
    inner join firsts on series.series_key = firsts.series_key
    inner join days on firsts.first_day <= days.day_number
    left join series_sources on series.series_key = series_sources.series_key
    left join sums on series.series_key = sums.series_key and days.day_number = sums.day_number

)

select
    series_key, series_kind, series, source, service, team, model, environment, usage_date, day_number, first_watched_day, is_frontier,
    spent_usd, spent_lump_usd, missing_usd, estimated_usd, unpriced_gpu_seconds, without_price_gpu_seconds,
    {{ micros('(spent_usd - spent_lump_usd)') }} as run_rate_micros,
    {{ micros('watched_usd') }} as watched_micros,
    {{ micros('idle_usd') }} as idle_micros,
    case
        when unpriced_gpu_seconds > 0 then 'awaiting_bill'
        when is_behind then 'source_silent'
    end as unsettled_reason
from filled
