{#- What untagged spend and the guardrails share. -#}

{#- How many days back they look, the last published one included: a night's work does not grow with history. -#}
{% macro governed_days() %}{{ return(35) }}{% endmacro %}

{#- The least share of tagged dollars that makes a likely owner, and what makes it a better guess. -#}
{% macro likely_owner_shares() %}{{ return({'low': '0.6', 'medium': '0.75', 'high': '0.9'}) }}{% endmacro %}

{#- The machine type in a SKU that names one after a colon (`BoxUsage:p4d.24xlarge`, `Train:ml.g5.xlarge`); NULL where it names none. -#}
{% macro instance_type_of(sku) -%}
case
            when {% for size in ['%large', 'medium', 'small', 'micro', 'nano', 'metal%'] %}{{ sku }} like '%:%.{{ size }}'{{ ' or ' if not loop.last }}{% endfor %}
                then lower({{ dbt.split_part(sku, "':'", 2) }})
        end
{%- endmacro %}

{#- What a row's dollars hang on, so that one repair reaches them: its workload, else its node pool (nodes come and go), else its resource, else its
    account and service. -#}
{% macro spend_subject_type() -%}
case when workload_key is not null then 'workload' when pool is not null then 'pool' when resource_id is not null then 'resource' else 'service' end
{%- endmacro %}
{% macro spend_subject() -%}
coalesce(workload_key, pool, resource_id, service, '(no service)')
{%- endmacro %}

{#- A name up to its last part (`nlp-train-7` -> `nlp-train-`); '' where little is left, or where it says what a thing is and not whose. -#}
{% macro name_prefix(name) -%}
{%- set prefix = "regexp_extract(regexp_extract(lower(" ~ name ~ "), '[^/:]+$'), '^[a-z].*[-_.]')" -%}
case
            when length({{ prefix }}) >= 4 and {{ prefix }} not in (
                'vol-', 'eni-', 'snap-', 'ami-', 'subnet-', 'vpc-', 'rtb-', 'nat-', 'eipalloc-', 'igw-', 'eks-', 'gke-', 'pod-', 'job-', 'run-', 'run_', 'job_', 'node-')
                then {{ prefix }}
        end
{%- endmacro %}

{#- That a value is one of a list written `|a|b|`. -#}
{% macro is_listed(value, listed) -%}
replace({{ listed }}, concat('|', {{ value }}, '|'), '') <> {{ listed }}
{%- endmacro %}

{#- What a guardrail may ask of a row, beside the days on which it holds. -#}
{% macro guardrail_columns() %}{{ return(['source', 'account_id', 'service', 'charge_category', 'environment', 'team', 'model', 'project', 'pool']) }}{% endmacro %}

{#- That a rule (relation `rules`) holds for a row of a relation that has `columns`. -#}
{% macro guarded(row, columns, day='usage_date') -%}
{%- for column in guardrail_columns() %}
        and (rules.match_{{ column }} is null{% if column in columns %} or {{ is_listed("coalesce(" ~ row ~ "." ~ column ~ ", '(none)')", 'rules.match_' ~ column) }}{% endif %})
        {%- endfor %}
        and (rules.valid_from is null or {{ row }}.{{ day }} >= rules.valid_from)
        and (rules.valid_to is null or {{ row }}.{{ day }} < rules.valid_to)
{%- endmacro %}

{#- The entry of `tags_repairs` that gives a row of untagged spend its likely owner; what nobody can know stands in angle brackets, which the policy refuses. -#}
{% macro repair_entry() -%}
concat(
            '- {id: ', tag_key, '-', substr({{ digest(['source', 'account_id', 'subject_type', 'cluster', 'subject', 'service', 'charge_category']) }}, 1, 8), ', match: {',
            case subject_type
                when 'workload' then concat('workload_key: ', {{ json_string('subject') }})
                when 'pool' then concat('pool: ', {{ json_string('subject') }}, case when cluster is not null then concat(', cluster: ', {{ json_string('cluster') }}) else '' end)
                when 'resource' then concat('resource_id: ', {{ json_string('subject') }})
                else concat('source: ', {{ json_string('source') }}, case when service is not null then concat(', service: ', {{ json_string('service') }}) else '' end)
            end,
            case when subject_type <> 'workload' and account_id is not null then concat(', account_id: ', {{ json_string('account_id') }}) else '' end,
            '}, set: {', tag_key, ': ', {{ json_string("coalesce(likely_owner, concat('<', tag_key, '>'))") }}, '}, valid_from: ', cast(first_missing_date as {{ dbt.type_string() }}),
            ', reason: ', {{ json_string("case when likely_owner_basis is not null then concat(share_words, 'by ', likely_owner_basis) else '<reason>' end") }}, ', author: ', {{ json_string("'<your name>'") }}, '}')
{%- endmacro %}

{#- What a rule (relation `rules`) allows, in words. -#}
{% macro guardrail_threshold() -%}
case rules.guardrail_kind
        when 'required_tags' then concat(violations.tag_key, ' is required')
        when 'max_run_cost' then concat('at most $', cast(cast(rules.limit_value as decimal(38, 2)) as {{ dbt.type_string() }}))
        when 'max_gpus_per_run' then concat('at most ', cast(cast(rules.limit_value as decimal(38, 2)) as {{ dbt.type_string() }}), ' GPUs at once')
        when 'untagged_share' then concat('at most ', cast(cast(100 * rules.threshold_ratio as decimal(9, 1)) as {{ dbt.type_string() }}), ' % of the dollars without ', violations.tag_key)
        else concat('allowed: ', replace(substr(rules.allowed, 2, length(rules.allowed) - 2), '|', ', '))
    end
{%- endmacro %}

{#- How to mend what broke a rule, where the rule does not say it itself. -#}
{% macro guardrail_remedy() -%}
case
        when rules.guardrail_kind in ('required_tags', 'untagged_share') then concat('tag it, or paste its repair: apportion tags --missing ', violations.tag_key)
        when rules.guardrail_kind = 'allowed_instance_types' then 'use an allowed machine type, or exempt it in governance.guardrails'
        when rules.guardrail_kind = 'allowed_regions' then 'use an allowed region, or exempt it in governance.guardrails'
        else 'stop or shrink the run, raise the limit, or exempt it in governance.guardrails'
    end
{%- endmacro %}
