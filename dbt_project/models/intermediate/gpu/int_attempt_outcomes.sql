-- Grain: day x workload attempt: how it ended, from which second on its work was thrown away, and whether it bears interruption, as its stints that touch the day (or the
-- day before) tell it: a day sees nothing that cannot make it dirty.
with

stints as (

    -- a stint on a host name that passed between machines is there once for each of them
    select distinct stints.usage_date, stints.workload_key, stints.attempt_key, stints.started_second, stints.labels, attempts.state, attempts.ended_at
    from {{ ref('int_stints') }} as stints
    inner join {{ ref('int_workload_attempts') }} as attempts on stints.stint_key = attempts.stint_key

),

attempts as (

    select
        usage_date,
        attempt_key,
        min(workload_key) as workload_key,
        {{ latest_outcome('state', 'ended_at', 'started_second') }} as outcome,
        {{ rolled_back_label('labels') }} as rolled_back_label,
        {{ last_checkpoint_second('labels') }} as checkpoint_second,
        max(state) as state,
        max({{ json_text('labels', 'last_checkpoint_at') }}) as checkpoint_text,
        {{ interruption_label('labels') }} as interruption_label
    from stints
    group by usage_date, attempt_key

)

select
    usage_date,
    attempt_key,
    workload_key,
    outcome,
    {{ has_known_rollback('outcome', 'rolled_back_label', 'checkpoint_second') }} as has_known_rollback,
    cast({{ rolled_back_from('outcome', 'rolled_back_label', 'checkpoint_second') }} as bigint) as rolled_back_from_second,
    outcome = 'unknown' and state is not null as has_unknown_state,
    checkpoint_text is not null and checkpoint_second is null as has_unreadable_checkpoint,
    case when checkpoint_second is not null then 'checkpoint' else interruption_label end as tolerance_basis
from attempts
