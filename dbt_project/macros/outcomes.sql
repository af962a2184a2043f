{#- How an attempt ended, in one vocabulary for every scheduler, and how much of it was thrown away. An attribute of the attempt, across the
    cost classes: never a class of its own. Does not belong here: which stints an attempt has. -#}

{#- The words of Slurm, Kubernetes, MLflow and Ray, letters only and in lower case (`OUT_OF_MEMORY` is `outofmemory`, `CANCELLED by 1000` is
    `cancelledby`). A word of two meanings is left out and is `unknown`: Kubernetes' and Ray's `Terminated`. -#}
{% macro outcome_words() %}{{ return({
  'succeeded': ['completed', 'complete', 'succeeded', 'success', 'finished', 'completing'],
  'failed': ['failed', 'fail', 'failure', 'error', 'errored', 'crashed', 'nodefail', 'nodelost', 'nodefailure', 'bootfail', 'launchfailed', 'reconfigfail',
    'outofmemory', 'oom', 'oomkilled', 'timeout', 'timedout', 'deadline', 'deadlineexceeded', 'backofflimitexceeded', 'containercannotrun',
    'crashloopbackoff', 'outofcpu', 'outofpods', 'outofnvidiacomgpu', 'starterror', 'validationfailed', 'specialexit', 'unexpectedadmissionerror'],
  'preempted': ['preempted', 'preempting', 'preemption', 'preemptionbyscheduler', 'evicted', 'eviction', 'evictionbyevictionapi', 'deletionbytaintmanager',
    'terminationbykubelet', 'nodeshutdown', 'shutdown', 'spot', 'spotinterruption', 'spotinterrupted', 'interrupted', 'requeued', 'requeuehold',
    'requeuefed'],
  'cancelled': ['cancelled', 'canceled', 'cancelledby', 'canceledby', 'killed', 'revoked', 'deleted', 'aborted'],
  'running': ['running', 'pending', 'scheduled', 'suspended', 'resizing', 'configuring', 'signaling', 'stageout', 'paused', 'retrying', 'waiting',
    'initializing', 'containercreating']
}) }}{% endmacro %}

{#- A state as one word of letters; of a phase with its reason (`Failed: Evicted`, `Failed/OOMKilled`) the reason. -#}
{% macro state_word(state) -%}
{{ replace_every("lower(regexp_replace(trim(" ~ state ~ "), '^[A-Za-z]+ *[:/(] *', ''))", '[^a-z]+', '') }}
{%- endmacro %}

{#- succeeded, failed, preempted, cancelled, running or unknown. Without an end an attempt runs, unless its word says that it is over; a word that
    says it runs beside an end is stale, and says nothing of how it ended. Ray stops a job for good (`STOPPED` with an end: cancelled),
    Slurm stops one that goes on (without an end: running). -#}
{% macro attempt_outcome(state, ended_at) -%}
case
  {%- for outcome in ['succeeded', 'failed', 'preempted', 'cancelled'] %}
  when {{ state_word(state) }} in ('{{ outcome_words()[outcome] | join("', '") }}') then '{{ outcome }}'
  {%- endfor %}
  when {{ ended_at }} is null and ({{ state }} is null or {{ state_word(state) }} in ('', 'stopped', '{{ outcome_words()['running'] | join("', '") }}')) then 'running'
  when {{ state_word(state) }} = 'stopped' then 'cancelled'
  else 'unknown'
end
{%- endmacro %}

{#- Over the stints of an attempt: the outcome of the one that began last; of several that began together the worst word for it. -#}
{% macro latest_outcome(state, ended_at, started_second) -%}
substr(max(concat(
  lpad(cast({{ started_second }} as {{ dbt.type_string() }}), 12, '0'),
  case {{ attempt_outcome(state, ended_at) }}
    when 'failed' then '6' when 'preempted' then '5' when 'cancelled' then '4' when 'running' then '3' when 'unknown' then '2' else '1' end,
  {{ attempt_outcome(state, ended_at) }}
)), 14)
{%- endmacro %}

{#- Over the stints of an attempt: whether their label `rolled_back` says that its work was thrown away; NULL where none has it. -#}
{% macro rolled_back_label(labels) -%}
max(case lower(trim({{ json_text(labels, 'rolled_back') }})) when 'true' then 1 when 'false' then 0 end)
{%- endmacro %}

{#- Over the stints of an attempt: the second of its latest checkpoint by their label `last_checkpoint_at`; NULL where none has a readable one. -#}
{% macro last_checkpoint_second(labels) -%}
max({{ instant_second(json_text(labels, 'last_checkpoint_at')) }})
{%- endmacro %}

{#- The second from which on an attempt's work was thrown away: its last checkpoint, else its beginning (0). NULL: no work was, or nobody says
    (`has_known_rollback`). Work is thrown away when the label `rolled_back` says so, and, without that label, when an attempt failed or
    was pre-empted after the checkpoint that it names. -#}
{% macro rolled_back_from(outcome, label, checkpoint_second) -%}
case
  when {{ label }} = 1 then coalesce({{ checkpoint_second }}, 0)
  when {{ label }} is null and {{ outcome }} in ('failed', 'preempted') then {{ checkpoint_second }}
end
{%- endmacro %}

{#- Whether it is known if work was thrown away: a label says it, or nothing was interrupted, or the last checkpoint is told. -#}
{% macro has_known_rollback(outcome, label, checkpoint_second) -%}
({{ label }} is not null or {{ outcome }} in ('succeeded', 'running') or ({{ outcome }} in ('failed', 'preempted') and {{ checkpoint_second }} is not null))
{%- endmacro %}

{#- The part of an amount (DECIMAL with `places` decimals) that falls behind the checkpoint: rounded towards zero, so that the rest, which is the
    amount minus this, has the same sign. -#}
{% macro rolled_back_part(amount, rolled_back_weight, held_weight, places=12) -%}
cast(
  case when {{ amount }} < 0 then -1 else 1 end
  * cast({{ int_div(wide_int('abs(' ~ amount ~ ') * 1' ~ '0' * places) ~ ' * ' ~ rolled_back_weight, held_weight) }} as decimal(38, 0))
  * cast('0.{{ '0' * (places - 1) }}1' as decimal({{ places + 1 }}, {{ places }}))
as decimal(38, {{ places }}))
{%- endmacro %}

{#- Over the stints of an attempt: `checkpoint` or `batch` where a label says that it can be stopped and goes on; NULL where none does. A label `false` says
    nothing for the others: whoever wants a run left alone labels none of them. -#}
{% macro interruption_label(labels) -%}
max(case
  {%- for label in ['checkpointed', 'checkpointing', 'resumable'] %}
  when lower(trim({{ json_text(labels, label) }})) = 'true' then 'checkpoint'
  {%- endfor %}
  {%- for label in ['interruptible', 'preemptible'] %}
  when lower(trim({{ json_text(labels, label) }})) = 'true' then 'batch'
  {%- endfor %}
  {%- for label in ['workload_class', 'job_class', 'qos', 'priority'] %}
  when lower(trim({{ json_text(labels, label) }})) in ('batch', 'best-effort', 'best_effort', 'preemptible', 'scavenger') then 'batch'
  {%- endfor %}
end)
{%- endmacro %}
