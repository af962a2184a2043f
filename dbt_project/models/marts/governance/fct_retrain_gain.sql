-- Grain: one version of a model x metric x evaluation set on which it was measured: its quality when it was new, and what it gained on the version before it.
with

versions as (

    select * from {{ ref('fct_model_version_cost') }}
    where workload_key is not null

),

-- a version by its own run, which may have cost nothing itself, and by its nested ones
runs as (

    select model, team, environment, version_workload_key, workload_key, run_id
    from {{ ref('fct_model_version_run') }}
    where cost_role = 'version'
    union
    select model, team, environment, workload_key as version_workload_key, workload_key, run_id
    from versions

),

-- by run id, which is the version's own name where the file has no other; a nested run speaks for its version
measured as (

    select
        runs.model,
        runs.team,
        runs.environment,
        runs.version_workload_key as workload_key,
        runs.workload_key as measured_workload_key,
        quality.metric,
        quality.evaluation_set,
        quality.is_higher_better,
        quality.quality,
        case when quality.is_higher_better then quality.quality else -quality.quality end as goodness,
        quality.measured_at,
        row_number() over (
            partition by runs.version_workload_key, runs.workload_key, quality.metric, quality.evaluation_set
            order by quality.measured_at, quality.model_version
        ) as nth
    from {{ ref('fct_model_quality') }} as quality
    inner join runs on quality.model = runs.model and coalesce(quality.run_id, quality.model_version) = runs.run_id

),

-- the version's own run before its nested ones, of those the best
spokesmen as (

    select
        *,
        row_number() over (
            partition by workload_key, metric, evaluation_set
            order by case when measured_workload_key = workload_key then 0 else 1 end, goodness desc, measured_workload_key
        ) as choice
    from measured
    where nth = 1

),

news as (

    select * from spokesmen where choice = 1

),

told as (

    select measured.*
    from measured
    inner join news
        on measured.workload_key = news.workload_key and measured.measured_workload_key = news.measured_workload_key
        and measured.metric = news.metric and measured.evaluation_set = news.evaluation_set

),

differences as (

    select
        workload_key,
        metric,
        evaluation_set,
        abs(goodness - lag(goodness) over (partition by workload_key, metric, evaluation_set order by nth)) as difference
    from told

),

repeats as (

    select workload_key, metric, evaluation_set, cast(count(*) as bigint) as measurement_count, max(difference) as largest_repeat_difference
    from differences
    group by workload_key, metric, evaluation_set

),

-- the version before, as it was last measured when the new one first was
olds as (

    select
        news.workload_key,
        news.metric,
        news.evaluation_set,
        told.quality,
        told.goodness,
        told.is_higher_better,
        told.measured_at,
        row_number() over (partition by news.workload_key, news.metric, news.evaluation_set order by told.measured_at desc, told.nth desc) as choice
    from news
    inner join versions on news.workload_key = versions.workload_key
    inner join told
        on versions.previous_workload_key = told.workload_key and news.metric = told.metric and news.evaluation_set = told.evaluation_set
        and told.measured_at <= news.measured_at

)

select
    news.model,
    news.team,
    news.environment,
    news.workload_key,
    versions.run_id,
    versions.started_at,
    news.metric,
    news.evaluation_set,
    news.is_higher_better,
    news.measured_at,
    cast(news.quality as decimal(38, 12)) as quality,
    versions.previous_workload_key,
    olds.measured_at as previous_measured_at,
    cast(olds.quality as decimal(38, 12)) as previous_quality,
    case when olds.is_higher_better = news.is_higher_better then cast(news.goodness - olds.goodness as decimal(38, 12)) end as quality_gain,
    case
        when versions.previous_workload_key is null then 'no_earlier_version'
        when olds.workload_key is null then 'earlier_version_not_measured'
        when olds.is_higher_better <> news.is_higher_better then 'direction_changed'
    end as no_gain_reason,
    repeats.measurement_count,
    cast(repeats.largest_repeat_difference as decimal(38, 12)) as largest_repeat_difference
from news
inner join versions on news.workload_key = versions.workload_key and {{ same_lineage('news', 'versions') }}
inner join repeats on news.workload_key = repeats.workload_key and news.metric = repeats.metric and news.evaluation_set = repeats.evaluation_set
left join olds on news.workload_key = olds.workload_key and news.metric = olds.metric and news.evaluation_set = olds.evaluation_set and olds.choice = 1
