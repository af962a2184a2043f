-- Grain: charge bucket x workload attempt x cost class x component x reason x stage x rule. The ledger: the rows of stage allocated sum
-- to their bucket exactly, in every basis; those of stage distributed sum to zero. Everything else sums from here.
{{ config(materialized='incremental', incremental_strategy='replace_days') }}

with

allocations as (

    select {{ ledger_columns() | join(', ') }} from {{ ref('int_bucket_allocations') }}

),

distributions as (

    select {{ ledger_columns() | join(', ') }} from {{ ref('int_distributions') }}

),

ledger as (

    select * from allocations
    union all
    select * from distributions

)

select * from ledger
