"""SQL macros of the GCP billing export: canonical money, instants, labels and credits as JSON text.

Belongs here: functions of one value. Does not: which column goes through which (gcp_rows.py).

Every number of type MONEY lands in one canonical text: its exact decimal value without exponent, plus sign, needless zeros or
``-0``: the double 5.28e-4, the text "5.28E-4" and the NUMERIC 0.000528000 all become ``0.000528``. A double contributes its shortest
round-trip decimal; text and NUMERIC keep every digit.
"""

from __future__ import annotations

_NUMBER = r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\s*"

# Scalar macros. `plain_number` moves the decimal point of digits by an exponent in text, so no digit passes through a float.
MACROS = (
    r"""create or replace macro plain_number(negative, digits, point) as (case
        when rtrim(digits, '0') = '' then '0'
        else case when negative then '-' else '' end
          || coalesce(nullif(ltrim(rpad(left(digits, greatest(point, 0)::int), greatest(point, 0)::int, '0'), '0'), ''), '0')
          || coalesce('.' || nullif(rtrim(repeat('0', greatest(-point, 0)) || substr(digits, greatest(point, 0) + 1), '0'), ''), '')
        end)""",
    rf"""create or replace macro money_text(t) as (case
        when regexp_full_match(t, '-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?') and t <> '-0' then t
        when regexp_full_match(t, '(0|-?[1-9][0-9]*)\.[0-9]*') then rtrim(rtrim(t, '0'), '.') -- NUMERIC, whole doubles
        when regexp_full_match(t, '{_NUMBER}') then plain_number(
          starts_with(trim(t), '-'),
          regexp_extract(t, '^\s*[+-]?([0-9]*)', 1) || regexp_extract(t, '^\s*[+-]?[0-9]*\.?([0-9]*)', 1),
          length(regexp_extract(t, '^\s*[+-]?([0-9]*)', 1)) + coalesce(try_cast(regexp_extract(t, '[eE]([+-]?[0-9]+)', 1) as int), 0))
        end)""",
    # numbers are epoch seconds, above 1e11 milliseconds, above 1e14 microseconds
    rf"""create or replace macro instant(t) as (case
        when regexp_full_match(t, '{_NUMBER}') then make_timestamp(try_cast(try_cast(money_text(t) as decimal(28, 6)) * (case
          when abs(try_cast(t as double)) > 1e14 then 1 when abs(try_cast(t as double)) > 1e11 then 1000 else 1000000 end) as bigint))
        when isfinite(try_cast(t as timestamptz)) then try_cast(t as timestamptz) at time zone 'UTC' end)""",
    # [{'key': None, 'inherited': True}] as Python prints it; what is neither it nor JSON (an apostrophe in a text, say) fails loudly
    r"""create or replace macro json_spelling(t) as (case when not starts_with(ltrim(t), '[{''') then t
        else regexp_replace(regexp_replace(regexp_replace(replace(t, '''', '"'), ': None([,}])', ': null\1', 'g'),
          ': True([,}])', ': true\1', 'g'), ': False([,}])', ': false\1', 'g') end)""",
    """create or replace macro label_values(l, k) as (list_sort(list_distinct(list_transform(
        list_filter(l, lambda e: coalesce(e.key, '') = k), lambda e: coalesce(to_json(e.value)::varchar, 'null')))))""",
    """create or replace macro label_keys(l) as (list_sort(list_distinct(list_transform(l, lambda e: coalesce(e.key, '')))))""",
    """create or replace macro one_or_array(v) as (case when len(v) = 1 then v[1] else '[' || array_to_string(v, ',') || ']' end)""",
    """create or replace macro labels_json(l) as (case
        when coalesce(len(l), 0) = 0 then '{}'
        when len(list_distinct(list_transform(l, lambda e: coalesce(e.key, '')))) = len(l) then
          '{' || array_to_string(list_transform(list_sort(list_transform(l, lambda e: struct_pack(k := coalesce(e.key, ''), v := e.value))),
            lambda e: to_json(e.k)::varchar || ':' || coalesce(to_json(e.v)::varchar, 'null')), ',') || '}'
        else '{' || array_to_string(
          list_transform(label_keys(l), lambda k: to_json(k)::varchar || ':' || one_or_array(label_values(l, k))), ',') || '}' end)""",
    """create or replace macro repeats_a_key(l) as (coalesce(len(l), 0) > 1
        and len(list_distinct(list_transform(l, lambda e: coalesce(e.key, '')))) < len(l)
        and len(list_filter(label_keys(l), lambda k: len(label_values(l, k)) > 1)) > 0)""",
    """create or replace macro credits_json(l) as (case when coalesce(len(l), 0) = 0 then '[]' else '[' || array_to_string(list_transform(l,
        lambda c: to_json(struct_pack(id := c.id, full_name := c.full_name, type := c.type, name := c.name,
          amount := money_text(c.amount)))::varchar), ',') || ']' end)""",
    """create or replace macro unreadable_credit(l) as (case when coalesce(len(l), 0) > 0 then list_transform(
        list_filter(l, lambda c: money_text(c.amount) is null), lambda c: coalesce(c.amount, 'NULL'))[1] end)""",
)
