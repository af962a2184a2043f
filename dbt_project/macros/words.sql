{#- How an alert and a lever speak: texts, JSON and command words that every topic writes alike. Does not belong here: any rule. -#}

{#- An evidence object: `entries` are (key, expression, kind), sorted here by key; NULL is null. Kinds: text, number, usd (to the cent), ratio (of
    millionths, to four decimals). -#}
{% macro evidence_json(entries) -%}
{%- set written = {'text': json_string, 'number': as_it_is, 'usd': to_the_cent, 'ratio': to_four_decimals} -%}
concat('{'
  {%- for key, expression, kind in entries | sort %}, '{{ ', ' if not loop.first }}"{{ key }}": ', coalesce({{ text_of(written[kind](expression)) }}, 'null')
  {%- endfor %}, '}')
{%- endmacro %}

{% macro as_it_is(number) %}{{ number }}{% endmacro %}

{% macro to_the_cent(amount) %}cast({{ amount }} as decimal(38, 2)){% endmacro %}

{% macro to_four_decimals(ppm) %}cast({{ ratio_of_millionths(ppm) }} as decimal(9, 4)){% endmacro %}

{#- Anything as text. -#}
{% macro text_of(value) -%}
cast({{ value }} as {{ dbt.type_string() }})
{%- endmacro %}

{#- $1234.50: US dollars, to the cent; NULL stays NULL (an engine may leave a NULL out of concat). -#}
{% macro usd_text(amount) -%}
case when {{ amount }} is not null then concat('$', {{ text_of(to_the_cent(amount)) }}) end
{%- endmacro %}

{#- ` USD`: a text that may be missing, behind a blank; nothing where it is. -#}
{% macro after_a_blank(text) -%}
case when {{ text }} is not null then concat(' ', {{ text }}) else '' end
{%- endmacro %}

{#- A text as one word of a command line: names come from tags, and a command is made to be pasted. -#}
{% macro command_word(text) -%}
concat('''', replace({{ text }}, '''', '''"''"'''), '''')
{%- endmacro %}

{#- critical before warning before info. -#}
{% macro severity_rank(severity) -%}
case {{ severity }} when 'critical' then 1 when 'warning' then 2 else 3 end
{%- endmacro %}

{#- The source kinds that feed a fact: the staging models are passed in by `apportion` (`stg_<kind>__<fact>`). -#}
{% macro kinds_of_fact(fact) -%}
{%- set kinds = [] -%}
{%- for name in env_var('APPORTION_STAGED_' ~ fact | upper, '').split(',') if name -%}
  {%- do kinds.append(name[4:].split('__')[0]) -%}
{%- endfor -%}
{{ return(kinds) }}
{%- endmacro %}
