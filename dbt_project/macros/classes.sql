{#- The classes of GPU-seconds (attribution rules, section 5), for billed seconds and for estimated ones alike. -#}

{#- What a stretch of a unit's seconds is: `held` is still to be split by its activity. A reason of the segment itself (what a MIG layout or the holders
    of a shared GPU leave) decides before all else. -#}
{% macro gpu_judgement() -%}
case
  when segment_reason = 'outside_any_instance' then 'stranded'
  when segment_reason in ('profile_fits', 'unrequested_share') then 'unallocated_idle'
  when segment_reason = 'shared_unlabelled' then 'unattributed'
  when not is_covered or activity_ppm is null or evidence = 'count_only' then 'unknown'
  when attempt_key is not null then 'held'
  when activity_ppm <= {{ parameter('idle_threshold_ppm') }} then 'unallocated_idle'
  else 'unattributed'
end
{%- endmacro %}

{#- Whose activity a segment's is: its holder's; that of the time in which nobody holds the unit (''); or of what sharers leave ('-'), which would
    otherwise make free time look busy. -#}
{% macro activity_holder(segments) -%}
coalesce({{ segments }}.attempt_key, case when {{ segments }}.is_rest then '-' else '' end)
{%- endmacro %}

{#- Judged seconds as (columns, cost_class, weight in parts of a GPU x seconds x millionths). -#}
{% macro gpu_class_weights(relation, columns) -%}
    select {{ columns | join(', ') }}, 'used' as cost_class, unit_share * seconds * activity_ppm as weight
    from {{ relation }}
    where judgement = 'held'
    union all
    select {{ held_idle_columns(columns, "'no_process'") }}, 'held_idle', unit_share * seconds * {{ no_process_ppm() }}
    from {{ relation }}
    where judgement = 'held'
    union all
    select {{ held_idle_columns(columns, "case when small_memory_ppm is null then 'process_unknown' else 'low_activity' end") }}, 'held_idle',
        unit_share * seconds * (1000000 - activity_ppm - {{ no_process_ppm() }})
    from {{ relation }}
    where judgement = 'held'
    union all
    select {{ columns | join(', ') }}, judgement, unit_share * seconds * 1000000
    from {{ relation }}
    where judgement <> 'held'
{%- endmacro %}

{#- The part of held time that idled because no process was there: what the memory in use says of the slots that tell it, at most
    all that was not active. The rest idled at low activity, or nobody knows why. The parts sum to 1 - activity. -#}
{% macro no_process_ppm() %}least(coalesce(small_memory_ppm, 0), 1000000 - activity_ppm){% endmacro %}

{#- The columns of held idle seconds: as they are, but for the reason. -#}
{% macro held_idle_columns(columns, reason) -%}
{%- for column in columns -%}
{{ reason ~ ' as reason' if column == 'reason' else column }}{% if not loop.last %}, {% endif %}
{%- endfor -%}
{%- endmacro %}
