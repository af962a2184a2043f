{#- The engine-specific macros: everything that one engine writes differently from another. Nothing else in this project may
    depend on the engine. default__ is BigQuery's SQL, which Spark reads after transpilation; duckdb__ is the embedded
    engine. tests/dbt/test_portability.py lists and checks them. -#}

{% macro generate_schema_name(custom_schema_name, node) -%}
  {{ custom_schema_name or target.schema }}
{%- endmacro %}

{#- Whole seconds since 1970-01-01 UTC, rounded down. -#}
{% macro epoch_seconds(timestamp) %}{{ return(adapter.dispatch('epoch_seconds', 'apportion')(timestamp)) }}{% endmacro %}
{% macro default__epoch_seconds(timestamp) %}unix_seconds({{ timestamp }}){% endmacro %}
{% macro duckdb__epoch_seconds(timestamp) %}cast(floor(epoch_us({{ timestamp }}) / 1000000.0) as bigint){% endmacro %}

{#- Microseconds since 1970-01-01 UTC. -#}
{% macro epoch_micros(timestamp) %}{{ return(adapter.dispatch('epoch_micros', 'apportion')(timestamp)) }}{% endmacro %}
{% macro default__epoch_micros(timestamp) %}unix_micros({{ timestamp }}){% endmacro %}
{% macro duckdb__epoch_micros(timestamp) %}epoch_us({{ timestamp }}){% endmacro %}

{#- The UTC timestamp of whole epoch seconds. -#}
{% macro timestamp_of(seconds) %}{{ return(adapter.dispatch('timestamp_of', 'apportion')(seconds)) }}{% endmacro %}
{% macro default__timestamp_of(seconds) %}timestamp_seconds({{ seconds }}){% endmacro %}
{% macro duckdb__timestamp_of(seconds) %}make_timestamp(({{ seconds }}) * 1000000){% endmacro %}

{#- Integer quotient, rounded towards zero; both sides are whole numbers. -#}
{% macro int_div(a, b) %}{{ return(adapter.dispatch('int_div', 'apportion')(a, b)) }}{% endmacro %}
{% macro default__int_div(a, b) %}div({{ a }}, {{ b }}){% endmacro %}
{% macro duckdb__int_div(a, b) %}(({{ a }}) // ({{ b }})){% endmacro %}

{#- A whole number wide enough for (cost in 1e-12 units) x (weight): 38 digits. -#}
{% macro wide_int(x) %}{{ return(adapter.dispatch('wide_int', 'apportion')(x)) }}{% endmacro %}
{% macro default__wide_int(x) %}cast({{ x }} as decimal(38, 0)){% endmacro %}
{% macro duckdb__wide_int(x) %}cast({{ x }} as hugeint){% endmacro %}

{#- The text under a top-level key of a JSON object, or NULL. -#}
{% macro json_text(json, key) %}{{ return(adapter.dispatch('json_text', 'apportion')(json, key)) }}{% endmacro %}
{% macro default__json_text(json, key) %}json_value({{ json }}, '$."{{ key }}"'){% endmacro %}
{% macro duckdb__json_text(json, key) %}json_extract_string({{ json }}, '$."{{ key }}"'){% endmacro %}

{#- FROM-clause item: one row (entry_key, entry_value) for each key of the JSON object `relation.column`. -#}
{% macro json_entries(relation, column) %}{{ return(adapter.dispatch('json_entries', 'apportion')(relation, column)) }}{% endmacro %}
{% macro default__json_entries(relation, column) %}{{ exceptions.raise_compiler_error('json_entries has no default') }}{% endmacro %}
{% macro duckdb__json_entries(relation, column) -%}
(select {{ column }} as entry_source, entry.key as entry_key, entry.value ->> '$' as entry_value
   from {{ relation }}, lateral json_each({{ column }}) as entry)
{%- endmacro %}

{#- FROM-clause item: one row (element_source, element) for each element of the JSON array of texts `relation.column`. -#}
{% macro json_elements(relation, column) %}{{ return(adapter.dispatch('json_elements', 'apportion')(relation, column)) }}{% endmacro %}
{% macro default__json_elements(relation, column) %}{{ exceptions.raise_compiler_error('json_elements has no default') }}{% endmacro %}
{% macro duckdb__json_elements(relation, column) -%}
(select {{ column }} as element_source, entry.value ->> '$' as element
   from {{ relation }}, lateral json_each({{ column }}) as entry)
{%- endmacro %}

{#- A tag's value as written, without outer blanks, in one Unicode form. -#}
{% macro normalised_tag_value(value) %}{{ return(adapter.dispatch('normalised_tag_value', 'apportion')(value)) }}{% endmacro %}
{% macro default__normalised_tag_value(value) %}trim(normalize({{ value }}, nfc)){% endmacro %}
{% macro duckdb__normalised_tag_value(value) %}trim(nfc_normalize({{ value }})){% endmacro %}

{#- A text as a JSON string, quoted and escaped. -#}
{% macro json_string(text) %}{{ return(adapter.dispatch('json_string', 'apportion')(text)) }}{% endmacro %}
{% macro default__json_string(text) %}concat('"', replace(replace({{ text }}, chr(92), concat(chr(92), chr(92))), '"', concat(chr(92), '"')), '"'){% endmacro %}
{% macro duckdb__json_string(text) %}to_json({{ text }}){% endmacro %}

{#- The texts of a group, joined in an order; an aggregate. -#}
{% macro ordered_text(text, separator, order) %}{{ return(adapter.dispatch('ordered_text', 'apportion')(text, separator, order)) }}{% endmacro %}
{% macro default__ordered_text(text, separator, order) %}string_agg({{ text }}, '{{ separator }}' order by {{ order }}){% endmacro %}
{% macro duckdb__ordered_text(text, separator, order) %}string_agg({{ text }}, '{{ separator }}' order by {{ order }}){% endmacro %}

{#- Every match of a regular expression replaced. -#}
{% macro replace_every(text, pattern, replacement) %}{{ return(adapter.dispatch('replace_every', 'apportion')(text, pattern, replacement)) }}{% endmacro %}
{% macro default__replace_every(text, pattern, replacement) %}regexp_replace({{ text }}, '{{ pattern }}', '{{ replacement }}'){% endmacro %}
{% macro duckdb__replace_every(text, pattern, replacement) %}regexp_replace({{ text }}, '{{ pattern }}', '{{ replacement }}', 'g'){% endmacro %}

{#- The smallest value that at least `fraction` of the non-NULL values do not exceed; an aggregate. -#}
{% macro discrete_percentile(value, fraction) %}{{ return(adapter.dispatch('discrete_percentile', 'apportion')(value, fraction)) }}{% endmacro %}
{% macro default__discrete_percentile(value, fraction) -%}
array_agg({{ value }} ignore nulls order by {{ value }})[safe_offset(cast(greatest(ceil({{ fraction }} * count({{ value }})), 1) as int64) - 1)]
{%- endmacro %}
{% macro duckdb__discrete_percentile(value, fraction) %}quantile_disc({{ value }}, {{ fraction }}){% endmacro %}

{#- A stable hexadecimal digest of a list of expressions: md5 of `<characters>=<text>`, or `~` for NULL, with `|` between. NULL and '' differ, and no text can
    look like two. (`||`, because DuckDB's concat() skips NULL.) -#}
{% macro digest(expressions) -%}
md5(concat({% for e in expressions %}{% set text = 'cast(' ~ e ~ ' as ' ~ dbt.type_string() ~ ')' -%}
coalesce(cast(length({{ text }}) as {{ dbt.type_string() }}) || '=' || {{ text }}, '~'){% if not loop.last %}, '|', {% endif %}{% endfor %}))
{%- endmacro %}

{#- Text to DECIMAL(38,12). NULL or '' stays NULL; unreadable text is an error. -#}
{% macro quantity(text) %}{{ return(adapter.dispatch('quantity', 'apportion')(text)) }}{% endmacro %}
{% macro default__quantity(text) %}cast(nullif({{ text }}, '') as decimal(38, 12)){% endmacro %}
{% macro duckdb__quantity(text) %}{{ short_decimal(text, apportion.default__quantity(text)) }}{% endmacro %}

{#- DuckDB reads text into a 128-bit decimal 30 times slower than into a 64-bit one: text of at most six digits before the point and
    twelve behind it, which needs no rounding, goes by the narrow one. -#}
{% macro short_decimal(text, otherwise) %}{{ return(adapter.dispatch('short_decimal', 'apportion')(text, otherwise)) }}{% endmacro %}
{% macro default__short_decimal(text, otherwise) %}{{ otherwise }}{% endmacro %}
{% macro duckdb__short_decimal(text, otherwise) -%}
case
  when regexp_matches({{ text }}, '^-?[0-9]{1,6}([.][0-9]{1,12})?$') then cast(cast({{ text }} as decimal(18, 12)) as decimal(38, 12))
  else {{ otherwise }}
end
{%- endmacro %}

{#- The epoch second of a text that is ISO 8601 (UTC where it names no zone, rounded down) or whole epoch seconds of ten or eleven digits; NULL where
    it is neither. -#}
{% macro instant_second(text) %}{{ return(adapter.dispatch('instant_second', 'apportion')(text)) }}{% endmacro %}
{% macro default__instant_second(text) -%}
coalesce(
  case when safe_cast({{ text }} as int64) between 1000000000 and 99999999999 then safe_cast({{ text }} as int64) end,
  unix_seconds(safe_cast({{ text }} as timestamp)))
{%- endmacro %}
{% macro duckdb__instant_second(text) -%}
coalesce(
  case when try_cast({{ text }} as bigint) between 1000000000 and 99999999999 then try_cast({{ text }} as bigint) end,
  case when try_cast({{ text }} as bigint) is null then cast(floor(epoch_us(try_cast({{ text }} as timestamptz)) / 1000000.0) as bigint) end)
{%- endmacro %}
