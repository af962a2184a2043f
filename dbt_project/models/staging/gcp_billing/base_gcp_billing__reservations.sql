-- Grain: one distinct pair of labels and system labels that name a reservation.
with

labelled as (

    select distinct labels, system_labels
    from {{ ref('base_gcp_billing__rows') }}
    where labels like '%"compute.googleapis.com/reservation_name"%' or system_labels like '%"compute.googleapis.com/reservation_name"%'

),

named as (

    select
        labels,
        system_labels,
        {% for key in ['reservation_name', 'is_unused_reservation'] -%}
        coalesce(
            nullif({{ json_text('labels', 'compute.googleapis.com/' ~ key) }}, ''),
            nullif({{ json_text('system_labels', 'compute.googleapis.com/' ~ key) }}, '')
        ) as {{ key }}{{ ',' if not loop.last }}
        {% endfor %}
    from labelled

)

select labels, system_labels, reservation_name, lower(is_unused_reservation) = 'true' as is_unused from named
where reservation_name is not null
