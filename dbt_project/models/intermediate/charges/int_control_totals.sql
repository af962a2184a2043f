-- Grain: delivery x billing period x day x currency: what was delivered, taken from staging for whole deliveries, also for days that no
-- night has asked for. A delivery is read once: it never changes.
{{ config(materialized='incremental', incremental_strategy='append') }}

with

staged as (

    {{ staged('charges', charge_columns()) }}

),

totals as (

    select
        delivery_id,
        source,
        billing_period,
        coalesce(cast(usage_start as date), billing_period) as usage_date,
        currency,
        cast(count(*) as bigint) as row_count,
        cast(sum(source_cost) as decimal(38, 12)) as source_cost
    from staged
    {% if is_incremental() -%}
    where delivery_id not in (select delivery_id from {{ this }})
    {%- endif %}
    group by delivery_id, source, billing_period, coalesce(cast(usage_start as date), billing_period), currency

)

select * from totals
