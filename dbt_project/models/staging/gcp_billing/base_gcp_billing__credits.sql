-- Grain: one distinct credits array of the export, with its sums. Never joined row by row to labels (B08): the array is the key, so a
-- charge meets exactly one row here.
with

export_rows as (

    select credits from {{ ref('base_gcp_billing__rows') }}

),

summed as (

    {{ gcp_credit_sums('export_rows') }}

)

select * from summed
