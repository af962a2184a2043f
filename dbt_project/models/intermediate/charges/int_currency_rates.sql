-- Grain: currency x stretch of days: the dated rate to US dollars. valid_to is exclusive and never NULL.
with

staged as (

    {{ staged('currency_rates', currency_rate_columns()) }}

)

select currency, rate_to_usd, valid_from, coalesce(valid_to, cast('9999-12-31' as date)) as valid_to
from staged
where currency <> 'USD'
