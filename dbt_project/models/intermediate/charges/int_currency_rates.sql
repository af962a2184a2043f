-- Grain: currency x stretch of days: the dated rate to US dollars. valid_to is exclusive.
select
    cast(null as {{ dbt.type_string() }}) as currency,
    cast(null as decimal(38, 12)) as rate_to_usd,
    cast(null as date) as valid_from,
    cast(null as date) as valid_to
where 1 = 0
