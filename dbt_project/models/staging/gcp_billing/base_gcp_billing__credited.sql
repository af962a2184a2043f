-- Grain: usage line x kind of commitment that took something off it: the rows of one SKU of one resource in one window (corrections
-- included), with what the commitments took off together. The line stands on its first row. Empty for a bill without such credits: the
-- condition is on the text, before anything is parsed.
with

export_rows as (

    select * from {{ ref('base_gcp_billing__rows') }}
    where credits like '%"COMMITTED_USAGE_DISCOUNT%' and not {{ gcp_is_commitment_fee('sku_description') }}

),

credit_sums as (

    {{ gcp_credit_sums('export_rows') }}

),

skus as (

    select * from {{ ref('base_gcp_billing__skus') }}

),

credited as (

    {% for kind in ['resource', 'spend'] -%}
    select
        export_rows.*,
        '{{ kind }}' as commitment_kind,
        skus.{{ kind }}_family as family,
        -credit_sums.{{ kind }}_commitment_cost as credited_cost,
        -- what of the usage the commitment covered: the credit's part of the cost
        case when export_rows.cost <> 0 then {{ int_div(
            wide_int('export_rows.usage_amount') ~ ' * ' ~ gcp_billionths('-credit_sums.' ~ kind ~ '_commitment_cost'), gcp_billionths('export_rows.cost')
        ) }} end as covered_amount
    from export_rows
    inner join credit_sums on export_rows.credits = credit_sums.credits
    inner join skus
        on export_rows.service_id is not distinct from skus.service_id
        and export_rows.service_description is not distinct from skus.service_description
        and export_rows.sku_description is not distinct from skus.sku_description
    where credit_sums.{{ kind }}_commitment_cost <> 0 and abs(export_rows.cost) >= cast('0.000000001' as decimal(38, 12))
    {% if not loop.last %}union all
    {% endif -%}
    {% endfor %}
),

keyed as (

    -- a line is told apart by what the export says of it, not by the file that it came in
    select
        *,
        {{ digest(['source', 'billing_account_id', 'invoice_month', 'currency', 'commitment_kind', 'usage_start', 'usage_end', 'project_id',
            'service_description', 'sku_description', 'region', 'resource_global_name', 'resource_name', 'labels', 'tags', 'project_labels']) }} as line_key
    from credited
    where usage_start is not null

),

lines as (

    select
        source, billing_account_id, invoice_month, currency, cast(usage_start as date) as usage_date, commitment_kind, family, commitment_region,
        line_key, delivery_id, file_name, row_number, usage_unit,
        sum({{ gcp_billionths('credited_cost') }}) over (partition by line_key) as weight,
        sum(covered_amount) over (partition by line_key) as covered_amount,
        row_number() over (partition by line_key order by delivery_id, file_name, row_number) as choice
    from keyed

)

select * from lines
where choice = 1 and weight > 0
