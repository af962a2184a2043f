-- Grain: one charge of the night's days. The union of every bill; from here on no model knows a provider's format. A view: nobody
-- needs all of its columns, and writing a million wide rows down costs more than reading the few that are needed again.
{{ config(materialized='view') }}

with

staged as (

    {{ staged('charges', charge_columns()) }}

),

dated as (

    select
        *,
        coalesce(cast(usage_start as date), billing_period) as usage_date,
        case when quarantine_reason is not null then 'quarantined' else cost_class end as fixed_cost_class
    from staged

),

windowed as (

    -- A charge of at most one day lies in its own window; a longer one (a monthly fee) lies on its first day as a whole.
    select
        *,
        {{ epoch_seconds('coalesce(usage_start, cast(billing_period as timestamp))') }} as window_from,
        {{ epoch_seconds('coalesce(usage_end, usage_start, cast(billing_period as timestamp))') }} as window_to
    from dated
    where usage_date in (select usage_date from {{ source('ops', 'dirty_days') }})

)

select * from windowed
