{#- Showback's words: which part of a team's cost a row of the ledger by day is, and which member stands where no team answers. -#}

{#- part of the cost -> what it is; every row of the ledger has exactly one. -#}
{% macro showback_parts() %}{{ return({
    'own': 'held by workloads of the team or tagged as its own; with team (unallocated): of a workload that names no team',
    'idle': 'nobody held it and it stood still: whoever owns the pool pays',
    'unexplained': 'nobody is known to have held it, and it may have worked: not measured, or busy without a label',
    'company': 'tax, fees, credits, rounding, unused commitments and true-ups that name no team',
    'shared': 'what distribution rules brought (positive) and took (negative); over all teams and members it is 0'}) }}{% endmacro %}

{#- The members that stand in a dimension where nothing names a value. -#}
{% macro showback_members() %}{{ return({
    'team': ['(idle)', '(shared)', '(unallocated)'], 'model': ['(no model)'], 'environment': ['(no environment)']}) }}{% endmacro %}

{% macro showback_idle_classes() %}{{ return(['unallocated_idle', 'stranded']) }}{% endmacro %}
{% macro showback_company_classes() %}{{ return(['tax_and_fees', 'credit', 'rounding', 'commitment_true_up', 'unused_commitment']) }}{% endmacro %}

{#- A value that can be filtered by: never NULL, never blank. -#}
{% macro named_or(column, member) %}coalesce(nullif(trim({{ column }}), ''), '{{ member }}'){% endmacro %}
