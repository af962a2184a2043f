-- Grain: delivery x billing period x day x currency x account x invoice: what was staged, for whole deliveries, also for days that no night
-- has asked for. A delivery is read once: it never changes.
{{ config(materialized='incremental', incremental_strategy='append') }}

with

staged as (

    {{ staged('charges', charge_columns()) }}

),

dated as (

    select *, coalesce(cast(usage_start as date), billing_period) as usage_date
    from staged
    {% if is_incremental() -%}
    where concat(source, '/', delivery_id) not in (select distinct concat(source, '/', delivery_id) from {{ this }})
    {%- endif %}

),

totals as (

    select
        delivery_id,
        source,
        provider,
        billing_account_id,
        billing_period,
        usage_date,
        currency,
        account_id,
        invoice_id,
        cast(count(*) as bigint) as row_count,
        cast(sum(source_cost) as decimal(38, 12)) as source_cost
    from dated
    group by delivery_id, source, provider, billing_account_id, billing_period, usage_date, currency, account_id, invoice_id

)

select * from totals
