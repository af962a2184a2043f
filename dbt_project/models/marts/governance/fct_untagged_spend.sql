-- Grain: canonical key x source x account x subject (workload, node pool of a cluster, resource, or service and charge category): dollars of the last days that lack
-- the key, whose they probably are and why. A guess is evidence for a repair; nothing is ever applied by it.
{%- set bases = ['same_subject', 'namespace', 'pool', 'name_prefix', 'creator', 'account'] %}
{%- set subject = ['source', 'account_id', 'subject_type', 'subject', 'cluster', 'service', 'charge_category'] %}
{%- set shares = likely_owner_shares() %}

with

days as (

    select
        *,
        {{ spend_subject_type() }} as subject_type,
        {{ spend_subject() }} as subject
    from {{ ref('int_resource_days') }}
    where usage_date > {{ dbt.dateadd('day', -1 * governed_days(), last_day(ref('dim_date'))) }}

),

facts as (

    -- service and category tell subjects apart only where nothing better does; a group is NULL where a row is in none
    select
        usage_date, source, account_id, subject_type, subject, resource_id,
        case when subject_type = 'pool' then cluster end as cluster,
        case when subject_type = 'service' then service end as service,
        case when subject_type = 'service' then charge_category end as charge_category,
        concat(source, '/', coalesce(account_id, ''), '/', subject_type, '/', coalesce(case when subject_type = 'pool' then cluster end, ''), '/', subject)
            as same_subject_group,
        case when namespace not like '%kube%' and namespace not like 'goog-k8s-%' then concat(coalesce(cluster, ''), '/', namespace) end as namespace_group,
        case when pool is not null then concat(coalesce(cluster, ''), '/', pool) end as pool_group,
        case when subject_type in ('workload', 'resource') then {{ name_prefix('subject') }} end as name_prefix_group,
        creator as creator_group,
        case when account_id is not null then concat(source, '/', account_id) end as account_group,
        team, model, environment, project, cost_usd, positive_cost_usd, negative_cost_usd
    from days

),

keyed as (

    {% for key in repaired_keys() -%}
    select '{{ key }}' as tag_key, {{ key }} as tag_value, facts.* from facts
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

-- per group: what its tagged dollars say
said as (

    {% for basis in bases -%}
    select tag_key, '{{ basis }}' as basis, {{ basis }}_group as group_key, tag_value, cast(sum(positive_cost_usd) as decimal(38, 12)) as said_usd
    from keyed
    where tag_value is not null and {{ basis }}_group is not null and positive_cost_usd > 0{% if basis == 'same_subject' %} and subject_type <> 'service'{% endif %}
    group by tag_key, {{ basis }}_group, tag_value
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

majorities as (

    select *, cast(said_usd as double) / cast(tagged_usd as double) as share_ratio
    from (
        select
            *,
            cast(sum(said_usd) over (partition by tag_key, basis, group_key) as decimal(38, 12)) as tagged_usd,
            row_number() over (partition by tag_key, basis, group_key order by said_usd desc, tag_value) as choice
        from said
    ) as ranked
    where choice = 1 and said_usd >= {{ shares.low }} * tagged_usd

),

missing as (

    select
        tag_key, {{ subject | join(', ') }},
        min(usage_date) as first_missing_date,
        max(usage_date) as last_missing_date,
        cast(count(distinct usage_date) as bigint) as missing_days,
        cast(count(distinct resource_id) as bigint) as resource_count,
        {%- for basis in bases %}
        min({{ basis }}_group) as {{ basis }}_group,
        {%- endfor %}
        cast(sum(cost_usd) as decimal(38, 12)) as cost_usd,
        cast(sum(positive_cost_usd) as decimal(38, 12)) as positive_cost_usd,
        cast(sum(negative_cost_usd) as decimal(38, 12)) as negative_cost_usd
    from keyed
    where tag_value is null
    group by tag_key, {{ subject | join(', ') }}

),

ranked as (

    -- the first basis that has a majority: the closer thing speaks before the wider one
    select
        missing.*,
        majorities.tag_value as likely_owner,
        majorities.basis as likely_owner_basis,
        majorities.group_key as likely_owner_group,
        majorities.said_usd as likely_owner_cost_usd,
        majorities.tagged_usd as tagged_cost_usd,
        majorities.share_ratio as likely_owner_share_ratio,
        row_number() over (
            partition by missing.tag_key, {% for column in subject %}missing.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
            order by case majorities.basis {% for basis in bases %}when '{{ basis }}' then {{ loop.index }} {% endfor %}else 9 end
        ) as choice
    from missing
    left join majorities
        on missing.tag_key = majorities.tag_key
        and case majorities.basis {% for basis in bases %}when '{{ basis }}' then missing.{{ basis }}_group {% endfor %}end = majorities.group_key

),

guessed as (

    select
        *,
        case
            when likely_owner is null then null
            when likely_owner_share_ratio >= {{ shares.high }} and likely_owner_basis <> 'account' then 'high'
            when likely_owner_share_ratio >= {{ shares.medium }} then 'medium'
            else 'low'
        end as confidence,
        concat(cast(cast(floor(100 * likely_owner_share_ratio) as bigint) as {{ dbt.type_string() }}), ' % of the $',
            cast(cast(tagged_cost_usd as decimal(38, 2)) as {{ dbt.type_string() }}), ' that is tagged ') as share_words
    from ranked
    where choice = 1

),

final as (

    select
        tag_key,
        source,
        account_id,
        subject_type,
        subject,
        cluster,
        service,
        charge_category,
        cost_usd,
        positive_cost_usd,
        negative_cost_usd,
        first_missing_date,
        last_missing_date,
        missing_days,
        resource_count,
        likely_owner,
        likely_owner_basis,
        likely_owner_group,
        likely_owner_share_ratio,
        likely_owner_cost_usd,
        tagged_cost_usd,
        case
            when likely_owner is null then 'no group that it belongs to has {{ (shares.low | float * 100) | int }} % of its tagged dollars under one value'
            else concat(share_words, case likely_owner_basis
                when 'same_subject' then concat('on the same ', subject_type)
                when 'namespace' then 'in the same namespace'
                when 'pool' then 'in the same node pool'
                when 'name_prefix' then 'under names that begin alike'
                when 'creator' then 'on what the same creator made'
                else 'in the same account' end, ' (', likely_owner_group, ') says ', likely_owner)
        end as likely_owner_reason,
        confidence,
        {{ repair_entry() }} as repair_entry
    from guessed

)

select * from final
