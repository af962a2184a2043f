{#- Levers of commitments and of disks (docs/commitments.md): buy_commitment, resize_commitment, delete_orphaned_disk, each as `lever_columns()`. -#}

{#- Under which name a commitment is judged: Google applies commitments to all that they fit, so that only the kind as a whole has a utilization. -#}
{% macro commitment_key() -%}
case when commitment_kind like 'committed_use_%' or commitment_id is null then concat(commitment_kind, '/', source) else commitment_id end
{%- endmacro %}

{#- What a commitment that is still to be bought is for. -#}
{% macro eligible_scope() -%}
concat(source, '/', coalesce(service, '-'), '/', coalesce(region, '-'), '/', instance_family)
{%- endmacro %}

{#- A query: each commitment over its last `days` days, or, where its fee is for a period, over its latest period. Relations: fct_commitment_daily, dim_date. -#}
{% macro commitment_windows(daily, dim_date, days) -%}
select
    source, provider, commitment_kind, commitment_key,
    min(usage_date) as observed_from,
    max(usage_date) as observed_to,
    coalesce(max(period_days), count(distinct usage_date)) as observed_days,
    max(period_days) as period_days,
    max(case when period_days is null or {{ days_between('period_from', 'last_day') }} + 1 >= period_days then 1 else 0 end) = 1 as is_whole,
    case when min(team) = max(team) then min(team) end as team,
    sum(used_cost_usd) as used_cost_usd,
    sum(unused_cost_usd) as unused_cost_usd,
    sum(used_cost_usd) + sum(unused_cost_usd) as committed_cost_usd,
    sum(covered_cost_usd) as covered_cost_usd,
    sum(covered_list_cost_usd) as covered_list_cost_usd,
    sum(list_missing_cost_usd) as list_missing_cost_usd,
    min(case when committed_cost_usd is null then 0 else 1 end) = 1 as is_use_told,
    max(ends_at) as ends_at
from (
    select
        *,
        max(case when fee_days > 1 then usage_date end) over (partition by source, commitment_kind, commitment_key) as period_from,
        cast(max(case when fee_days > 1 then fee_days end) over (partition by source, commitment_kind, commitment_key) as bigint) as period_days
    from (
        select *, {{ commitment_key() }} as commitment_key, {{ last_day(dim_date) }} as last_day
        from {{ daily }}
    ) as keyed
    -- a period's fee may stand further back than the window: reach back for it, by a month at most
    where {{ days_between('usage_date', 'last_day') }} between 0 and {{ days }} + 31
) as reached
where case
    when period_from is null then {{ days_between('usage_date', 'last_day') }} < {{ days }}
    else usage_date >= period_from and {{ days_between('period_from', 'usage_date') }} < period_days
end
group by source, provider, commitment_kind, commitment_key
{%- endmacro %}

{#- Relations: fct_commitment_daily, fct_commitment_coverage, fct_storage_resource_daily, dim_date. -#}
{% macro commitment_levers(daily, coverage, storage, dim_date) -%}
select {{ lever_columns() | join(', ') }} from ({{ buy_commitment(daily, coverage, dim_date) }}) as bought
union all
select {{ lever_columns() | join(', ') }} from ({{ resize_commitment(daily, dim_date) }}) as resized
union all
select {{ lever_columns() | join(', ') }} from ({{ delete_orphaned_disk(storage) }}) as deleted
{%- endmacro %}

{#- The hourly on-demand cost that was there in at least a stated part of the hours, of one instance family in one region. An hour without any counts as
    0, so that a gap in the bill only lowers the baseline. The price is that of the own bill's commitments on the same family, else the stated one. -#}
{% macro buy_commitment(daily, coverage, dim_date) -%}
{%- set scope = 'source, provider, service, region, instance_family' -%}
with

window_rows as (

    select *
    from {{ coverage }}
    where {{ days_between('usage_date', last_day(dim_date)) }} between 0 and {{ governance('levers.commitments.observed_days') }} - 1

),

spans as (

    select source, min(usage_date) as observed_from, max(usage_date) as observed_to, count(distinct usage_date) as observed_days
    from window_rows
    group by source

),

hours as (

    select {{ scope }}, usage_hour, sum(on_demand_cost_usd) as cost_usd
    from window_rows
    where usage_hour is not null
    group by {{ scope }}, usage_hour

),

ranked as (

    select
        hours.*,
        spans.observed_from,
        spans.observed_to,
        spans.observed_days,
        24 * spans.observed_days as observed_hours,
        {{ int_div('24 * spans.observed_days * ' ~ governance_ppm('levers.commitments.baseline_hours_ratio') ~ ' + 999999', '1000000') }} as baseline_rank,
        row_number() over (partition by {% for c in scope.split(', ') %}hours.{{ c }}{{ ', ' if not loop.last }}{% endfor %} order by hours.cost_usd desc, hours.usage_hour) as cost_rank
    from hours
    inner join spans on hours.source = spans.source
    where hours.cost_usd > 0

),

based as (

    select *, max(case when cost_rank = baseline_rank then cost_usd end) over (partition by {{ scope }}) as baseline_usd
    from ranked

),

bases as (

    select
        {{ scope }},
        min(observed_from) as observed_from,
        max(observed_to) as observed_to,
        max(observed_days) as observed_days,
        max(observed_hours) as observed_hours,
        max(baseline_usd) as baseline_usd,
        sum(cost_usd) as on_demand_cost_usd,
        sum(least(cost_usd, baseline_usd)) as replaced_cost_usd
    from based
    where baseline_usd is not null
    group by {{ scope }}

),

-- in whole micro-dollars, so that products of two stay within 38 digits
lists as (

    select
        {{ scope }},
        case when sum(list_missing_cost_usd) = 0 then {{ wide_int('sum(on_demand_list_cost_usd) * 1000000') }} end as list_micros,
        {{ wide_int('sum(on_demand_cost_usd) * 1000000') }} as cost_micros
    from window_rows
    group by {{ scope }}

),

own_rates as (

    select
        source,
        service,
        instance_family,
        {{ wide_int('sum(covered_cost_usd) * 1000000') }} as cost_micros,
        {{ wide_int('sum(covered_list_cost_usd) * 1000000') }} as list_micros
    from window_rows
    where list_missing_cost_usd = 0
    group by source, service, instance_family

),

priced as (

    select
        bases.*,
        own_rates.list_micros > 0 and own_rates.cost_micros > 0 and lists.list_micros > 0 and lists.cost_micros > 0 as is_own_rate,
        case
            when own_rates.list_micros > 0 and own_rates.cost_micros > 0 and lists.list_micros > 0 and lists.cost_micros > 0
                then {{ int_div('own_rates.cost_micros * lists.list_micros * 1000000 + own_rates.list_micros * lists.cost_micros - 1', 'own_rates.list_micros * lists.cost_micros') }}
            else {{ wide_int('1000000') }} - {{ governance_ppm('levers.commitments.discount_ratio') }}
        end as price_ppm
    from bases
    inner join lists on {% for c in scope.split(', ') %}bases.{{ c }} is not distinct from lists.{{ c }}{{ ' and ' if not loop.last }}{% endfor %}
    left join own_rates
        on bases.source = own_rates.source and bases.service is not distinct from own_rates.service and bases.instance_family = own_rates.instance_family

),

committed as (

    select
        priced.*,
        coalesce(is_own_rate, false) as has_own_rate,
        {{ amount_of_units(int_div(allocation_units('baseline_usd') ~ ' * observed_hours * price_ppm + 999999', '1000000')) }} as committed_usd,
        {{ amount_of_units(int_div(allocation_units('baseline_usd') ~ ' * price_ppm + 999999', '1000000')) }} as commitment_per_hour_usd,
        coalesce(unused.unused_cost_usd, 0) as unused_cost_usd
    from priced
    left join (
        select source, sum(unused_cost_usd) as unused_cost_usd
        from {{ daily }}
        where {{ days_between('usage_date', last_day(dim_date)) }} between 0 and {{ governance('levers.commitments.observed_days') }} - 1
        group by source
    ) as unused on priced.source = unused.source

),

saved as (

    select
        *,
        {{ eligible_scope() }} as scope_text,
        cast(replaced_cost_usd - committed_usd as decimal(38, 12)) as saved_usd
    from committed
    where price_ppm < 1000000 and observed_days >= {{ governance('levers.commitments.minimum_days') }}

)

select
    'buy_commitment' as lever_kind,
    'commitment' as scope_type,
    scope_text as scope,
    cast(null as {{ dbt.type_string() }}) as team,
    cast(null as {{ dbt.type_string() }}) as environment,
    observed_from,
    observed_to,
    cast(observed_days as bigint) as observed_days,
    cast(on_demand_cost_usd as decimal(38, 12)) as observed_cost_usd,
    saved_usd as saving_usd,
    {{ usd_per_month('saved_usd', 'observed_days') }} as saving_usd_per_month,
    case when not has_own_rate then 'low' when observed_days >= 28 then 'high' else 'medium' end as confidence,
    'medium' as effort,
    {{ evidence_json([
        ('baseline_usd_per_hour', 'cast(baseline_usd as decimal(38, 12))', 'number'),
        ('baseline_hours_ratio', governance('levers.commitments.baseline_hours_ratio', 'decimal(9, 6)'), 'number'),
        ('break_even_utilization_ratio', 'cast(cast(price_ppm as decimal(18, 0)) * cast(0.000001 as decimal(7, 6)) as decimal(18, 6))', 'number'),
        ('committed_usd', 'committed_usd', 'number'),
        ('commitment_usd_per_hour', 'commitment_per_hour_usd', 'number'),
        ('expected_utilization_ratio', 'round(cast(replaced_cost_usd as double) / cast(baseline_usd * observed_hours as double), 6)', 'number'),
        ('observed_hours', 'observed_hours', 'number'),
        ('on_demand_usd', 'cast(on_demand_cost_usd as decimal(38, 12))', 'number'),
        ('price_source', "case when has_own_rate then 'own bill, same family' else 'policy, discount_ratio' end", 'text'),
        ('replaced_on_demand_usd', 'cast(replaced_cost_usd as decimal(38, 12))', 'number'),
        ('unused_commitment_usd', 'cast(unused_cost_usd as decimal(38, 12))', 'number')]) }} as evidence,
    'The on-demand usage of this family stays for the term. Levers that shrink it come first: a commitment cannot be given back. Spot is not counted. An hour without a charge counts as no usage.'
        as assumptions,
    concat('Commit ', {{ usd_text('commitment_per_hour_usd') }}, ' an hour for ', instance_family, case when region is not null then concat(' in ', region) else '' end, ', not more: it pays from ',
        cast(cast(price_ppm as decimal(18, 0)) * cast(0.0001 as decimal(5, 4)) as {{ dbt.type_string() }}), ' % use on.') as action,
    concat('commitment/', scope_text) as overlap_group,
    'apportion explain --cost-class unused_commitment' as explain
from saved
where saved_usd > 0
    and {{ usd_per_month('saved_usd', 'observed_days') }} >= {{ governance('levers.commitments.minimum_saving_usd_per_month', 'decimal(38, 12)') }}
{%- endmacro %}

{% macro resize_commitment(daily, dim_date) -%}
select
    'resize_commitment' as lever_kind,
    'commitment' as scope_type,
    commitment_key as scope,
    team,
    cast(null as {{ dbt.type_string() }}) as environment,
    observed_from,
    observed_to,
    cast(observed_days as bigint) as observed_days,
    cast(committed_cost_usd as decimal(38, 12)) as observed_cost_usd,
    cast(unused_cost_usd as decimal(38, 12)) as saving_usd,
    {{ usd_per_month('unused_cost_usd', 'observed_days') }} as saving_usd_per_month,
    case when not is_whole then 'low' when observed_days >= 28 then 'high' else 'medium' end as confidence,
    'medium' as effort,
    {{ evidence_json([
        ('commitment_kind', 'commitment_kind', 'text'),
        ('committed_usd', 'cast(committed_cost_usd as decimal(38, 12))', 'number'),
        ('ends_at', 'cast(ends_at as ' ~ dbt.type_string() ~ ')', 'text'),
        ('fee_period_days', 'period_days', 'number'),
        ('unused_usd', 'cast(unused_cost_usd as decimal(38, 12))', 'number'),
        ('used_usd', 'cast(used_cost_usd as decimal(38, 12))', 'number'),
        ('utilization_ratio', 'round(cast(used_cost_usd as double) / cast(committed_cost_usd as double), 6)', 'number')]) }} as evidence,
    case when commitment_kind = 'capacity_reservation' then 'Nobody needs the room that was kept: a capacity reservation has no term and can be made smaller at once.'
    else concat('What is unused stays unused. The dollars come back when the commitment ends',
        case when ends_at is not null then concat(' (', cast(cast(ends_at as date) as {{ dbt.type_string() }}), ')') else ' (the bill does not say when)' end, ', or where the provider lets it be exchanged or sold.') end as assumptions,
    concat(case when commitment_kind = 'capacity_reservation' then 'Keep ' else 'Renew at ' end, {{ usd_text(usd_per_month('used_cost_usd', 'observed_days')) }}, ' a month instead of ', {{ usd_text(usd_per_month('committed_cost_usd', 'observed_days')) }},
        ', or move usage under it.') as action,
    concat('commitment/', commitment_key) as overlap_group,
    'apportion explain --cost-class unused_commitment' as explain
from ({{ commitment_windows(daily, dim_date, governance('levers.commitments.observed_days')) }}) as windows
where is_use_told
    and committed_cost_usd > 0
    and unused_cost_usd >= {{ governance('levers.commitments.minimum_unused_usd', 'decimal(38, 12)') }}
    and (period_days is not null or observed_days >= {{ governance('levers.commitments.alert_days') }})
    and used_cost_usd * 1000000 < committed_cost_usd * {{ governance_ppm('levers.commitments.minimum_utilization_ratio') }}
{%- endmacro %}

{#- A disk that is on the bill of every one of the last n days of its source, attached to nothing and claimed by no run or endpoint on any of them. -#}
{% macro delete_orphaned_disk(storage) -%}
with

dated as (

    select
        *,
        max(usage_date) over (partition by source) as billed_to,
        case storage_kind when 'snapshot' then {{ governance('levers.orphaned_disks.snapshot_days') }} else {{ governance('levers.orphaned_disks.volume_days') }} end as wanted_days
    from {{ storage }}

),

disks as (

    select
        source, account_id, resource_id, storage_kind, wanted_days,
        min(usage_date) as observed_from,
        max(usage_date) as observed_to,
        count(distinct usage_date) as observed_days,
        max(case when attached_node is not null or claimed_by is not null then 1 else 0 end) as is_used,
        case when min(team) = max(team) then min(team) end as team,
        case when min(environment) = max(environment) then min(environment) end as environment,
        max(machine_count) as machine_count,
        min(inventoried_machine_count) as inventoried_machine_count,
        max(inventoried_machine_count) as most_inventoried,
        max(machine_count - inventoried_machine_count) as machines_without_inventory,
        sum(cost_usd) as cost_usd
    from dated
    where {{ days_between('usage_date', 'billed_to') }} < wanted_days
    group by source, account_id, resource_id, storage_kind, wanted_days

)

select
    'delete_orphaned_disk' as lever_kind,
    'resource' as scope_type,
    resource_id as scope,
    team,
    environment,
    observed_from,
    observed_to,
    cast(observed_days as bigint) as observed_days,
    cast(cost_usd as decimal(38, 12)) as observed_cost_usd,
    cast(cost_usd as decimal(38, 12)) as saving_usd,
    {{ usd_per_month('cost_usd', 'observed_days') }} as saving_usd_per_month,
    case
        when storage_kind = 'snapshot' then 'low'
        when machine_count = 0 then 'medium'
        when inventoried_machine_count = 0 then 'low'
        when machines_without_inventory = 0 then 'high'
        else 'medium'
    end as confidence,
    'low' as effort,
    {{ evidence_json([
        ('account_id', 'account_id', 'text'),
        ('cost_usd', 'cast(cost_usd as decimal(38, 12))', 'number'),
        ('days_unattached', 'observed_days', 'number'),
        ('machines_of_the_account', 'machine_count', 'number'),
        ('machines_whose_disks_the_inventory_names', 'most_inventoried', 'number'),
        ('storage_kind', 'storage_kind', 'text')]) }} as evidence,
    case
        when storage_kind = 'snapshot' then 'A snapshot is attached to nothing by nature and may be a backup: the bill does not say what it is of.'
        when machine_count = 0 then 'Its account has no machine on the bill.'
        when most_inventoried = 0 then 'The inventory names no disk of any machine of this account, so that a disk in use looks like one that is not.'
        when machines_without_inventory = 0 then 'The inventory names the disks of every machine of its account, and not this one.'
        else 'Machines whose disks the inventory does not name may use it.'
    end as assumptions,
    concat('Ask ', coalesce(team, 'its account''s owner'), ', take a last snapshot where in doubt, then delete the ', storage_kind, '.') as action,
    concat('resource/', resource_id) as overlap_group,
    concat('apportion explain --account ', {{ command_word("coalesce(account_id, '')") }}) as explain
from disks
where observed_days >= wanted_days
    and is_used = 0
    and {{ usd_per_month('cost_usd', 'observed_days') }} >= {{ governance('levers.orphaned_disks.minimum_usd_per_month', 'decimal(38, 12)') }}
{%- endmacro %}
