-- How the figures of a day revise with its age, and what that makes likely for the days that are provisional.
--
-- Reads release_order (sequence, published_at), day_versions (usage_date, sha256, from_sequence, to_sequence: the last release that
-- has it), totals (facts.py), finality (sequence, source, billing_period, finality), limits (settled_age_days, minimum_observations).
--
-- A day of a provider is settled at the first release in which all its bills are final, or in which it is settled_age_days old.
-- An observation is one published, not yet settled, figure of a day that has settled since: revision = latest figure / that figure - 1.
-- Where several releases were published at the same age, the last counts. A figure of 0 has no relative revision and is counted apart.
create table published_figures as
select
    releases.sequence,
    releases.published_at,
    totals.source,
    totals.provider,
    totals.usage_date,
    cast(cast(releases.published_at as date) - totals.usage_date as bigint) as age_days,
    cast(sum(totals.effective_cost_usd) as decimal(38, 12)) as effective_cost_usd,
    bool_and(coalesce(finality.finality, 'provisional') = 'final') as is_final
from release_order as releases
inner join day_versions on releases.sequence between day_versions.from_sequence and day_versions.to_sequence
inner join totals on day_versions.sha256 = totals.sha256
left join finality
    on releases.sequence = finality.sequence and totals.source = finality.source
    and coalesce(totals.billing_period, date_trunc('month', totals.usage_date)) = finality.billing_period
-- a day that is older than a bill may be is looked at only where it changed: the work grows with the days, not with their square
where cast(releases.published_at as date) - totals.usage_date <= (select settled_age_days + 31 from limits)
    or releases.sequence = day_versions.to_sequence
group by all;

create table provider_figures as
select
    sequence,
    published_at,
    provider,
    usage_date,
    age_days,
    cast(sum(effective_cost_usd) as decimal(38, 12)) as effective_cost_usd,
    bool_and(is_final) or age_days >= (select settled_age_days from limits) as is_settled
from published_figures
group by sequence, published_at, provider, usage_date, age_days;

create table settled_days as
select
    provider,
    usage_date,
    min(sequence) as settled_sequence,
    arg_min(effective_cost_usd, sequence) as settled_cost_usd
from provider_figures
where is_settled
group by provider, usage_date;

create table latest_figures as
select provider, usage_date, arg_max(effective_cost_usd, sequence) as latest_cost_usd
from provider_figures
group by provider, usage_date;

create table observations as
select
    figures.provider,
    figures.usage_date,
    figures.age_days,
    figures.sequence,
    settled_days.settled_sequence,
    figures.effective_cost_usd,
    latest_figures.latest_cost_usd,
    case when figures.effective_cost_usd <> 0
        then cast(latest_figures.latest_cost_usd as double) / cast(figures.effective_cost_usd as double) - 1 end as revision_ratio,
    -- what was known when the day settled: the back-test learns from nothing later
    case when figures.effective_cost_usd <> 0
        then cast(settled_days.settled_cost_usd as double) / cast(figures.effective_cost_usd as double) - 1 end as settled_revision_ratio
from provider_figures as figures
inner join settled_days
    on figures.provider = settled_days.provider and figures.usage_date = settled_days.usage_date and figures.sequence < settled_days.settled_sequence
inner join latest_figures on figures.provider = latest_figures.provider and figures.usage_date = latest_figures.usage_date
where figures.age_days >= 0
qualify row_number() over (partition by figures.provider, figures.usage_date, figures.age_days order by figures.sequence desc) = 1;

-- each observation is foretold from the days that had settled by its own release
create table timeline as
select provider, age_days, sequence, revision_ratio as outcome_ratio, cast(null as double) as known_ratio from observations where revision_ratio is not null
union all
select provider, age_days, settled_sequence as sequence, null as outcome_ratio, settled_revision_ratio as known_ratio from observations
where settled_revision_ratio is not null;

create table back_test as
select provider, age_days, sequence, outcome_ratio, foretold_p90_ratio, known_count
from (
    select
        *,
        quantile_disc(known_ratio, 0.9) over earlier as foretold_p90_ratio,
        count(known_ratio) over earlier as known_count
    from timeline
    window earlier as (partition by provider, age_days order by sequence range between unbounded preceding and current row)
)
where outcome_ratio is not null and known_count >= (select minimum_observations from limits);

create table revision_expectations as
with

told as (

    select
        provider,
        age_days,
        count(revision_ratio) as observation_count,
        count(*) - count(revision_ratio) as undefined_count,
        quantile_disc(revision_ratio, 0.5) as p50,
        quantile_disc(revision_ratio, 0.9) as p90
    from observations
    group by provider, age_days

),

tested as (

    select
        provider,
        age_days,
        count(*) as back_test_count,
        cast(count(*) filter (where outcome_ratio <= foretold_p90_ratio) as double) / count(*) as back_test_coverage_ratio
    from back_test
    group by provider, age_days

)

select
    told.provider,
    told.age_days,
    told.observation_count,
    told.undefined_count,
    case when told.observation_count >= limits.minimum_observations then told.p50 end as revision_p50_ratio,
    case when told.observation_count >= limits.minimum_observations then told.p90 end as revision_p90_ratio,
    case when told.observation_count < limits.minimum_observations
        then 'fewer than ' || limits.minimum_observations || ' settled days were published at this age' end as reason,
    coalesce(tested.back_test_count, 0) as back_test_count,
    tested.back_test_coverage_ratio
from told
cross join limits
left join tested on told.provider = tested.provider and told.age_days = tested.age_days
order by told.provider, told.age_days;

create table provisional_figures as
with

current_figures as (

    select * from published_figures where sequence = (select max(sequence) from release_order)

)

select
    figures.usage_date,
    figures.source,
    figures.provider,
    figures.age_days,
    figures.effective_cost_usd,
    cast(cast(figures.effective_cost_usd as double) * expected.revision_p50_ratio as decimal(38, 12)) as expected_revision_p50_usd,
    cast(cast(figures.effective_cost_usd as double) * expected.revision_p90_ratio as decimal(38, 12)) as expected_revision_p90_usd,
    coalesce(expected.observation_count, 0) as observation_count,
    case when expected.revision_p90_ratio is null
        then coalesce(expected.reason, 'no settled day of this provider was published at this age') end as reason,
    expected.back_test_count,
    expected.back_test_coverage_ratio
from current_figures as figures
left join revision_expectations as expected on figures.provider = expected.provider and figures.age_days = expected.age_days
where not figures.is_final
order by figures.usage_date, figures.source, figures.provider;
