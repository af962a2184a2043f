"""The models can be carried to another engine: every compiled model and law transpiles to BigQuery and to Spark, and parses there.

sqlglot passes what it does not know through in silence, so each function of the outcome must be on the engine's list below: one that is
new here is looked up in that engine's reference before it is listed. What only the embedded engine has is made by a dispatched macro in
macros/engine.sql and nowhere else.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import sqlglot
from jinja2 import Template
from sqlglot import ErrorLevel, exp

from pipelines import dbt
from pipelines.settings import Settings

ENGINES = ("bigquery", "spark")
ENGINE_MACROS = dbt.PROJECT / "macros" / "engine.sql"

# Functions that both engines have under this name and with this meaning.
COMMON = set(
    "ABS AVG BIT_COUNT BIT_OR CAST COALESCE CONCAT COUNT DENSE_RANK EXTRACT FLOOR GREATEST LAG LEAD LEAST LENGTH LOWER LPAD MAX MAX_BY MD5 MIN"
    " NULLIF REGEXP_EXTRACT REGEXP_REPLACE REPLACE ROUND ROW_NUMBER SIGN SPLIT SQRT SUBSTRING SUM TRIM UPPER".split()
)
OWN = {
    "bigquery": {"DATE_DIFF", "DIV", "JSON_EXTRACT_SCALAR", "LOGICAL_OR", "MOD", "TIMESTAMP_MICROS", "TIMESTAMP_TRUNC", "TO_HEX"},
    "spark": {"BOOL_OR", "DATEDIFF", "DATE_TRUNC", "DECIMAL", "GET_JSON_OBJECT", "SHIFTLEFT", "SHIFTRIGHT", "TIMESTAMP_MICROS"},
}
# What the embedded engine's side of a dispatched macro leaves in the compiled SQL -> the macro. On another engine its own side stands there.
DISPATCHED = {
    "EPOCH_US": "epoch_micros",  # and epoch_seconds
    "JSON_EACH": "json_entries",  # and json_elements
    "NFC_NORMALIZE": "normalised_tag_value",
    "NORMALIZE": "normalised_tag_value",  # sqlglot's own translation of the line above
    "LISTAGG": "ordered_text",  # sqlglot's name for it in Spark
    "PERCENTILE_DISC": "discrete_percentile",
    "REGEXP_CONTAINS": "short_decimal",  # in money and quantity
    "SAFE_CAST": "instant_second",
    "STRING_AGG": "ordered_text",
    "TO_JSON": "json_string",
    "TRY_CAST": "instant_second",
}
# Column types of the outcome; INT128 comes from wide_int only, whose default side is decimal(38, 0), TIMESTAMP from instant_second only.
TYPES = {
    "bigquery": {"BIGNUMERIC", "BOOL", "DATE", "DATETIME", "FLOAT64", "INT64", "NUMERIC", "STRING", "INT128", "TIMESTAMP"},
    "spark": {"BIGINT", "BOOLEAN", "DATE", "DECIMAL", "DOUBLE", "INT", "STRING", "TIMESTAMP_NTZ", "INT128", "TIMESTAMP"},
}
# BigQuery cannot say where NULLs go in the order of an aggregate (window). Those are ordered by columns that are never NULL.
NEVER_NULL = {
    "cut_second",
    "day",
    "day_number",
    "threshold_percent",
    "entry_key",
    "from_second",
    "edge_second",
    "usage_date",
    "to_second",
    "started_second",
    "stint_key",
    "requester_key",
    "unit_key",
    "unit_rank",
    "unit_text",
    "run_text",
}
# Spellings that only the embedded engine reads: allowed in a duckdb__ macro alone.
ONE_ENGINE = re.compile(
    r"\b(epoch_us|epoch_ms|make_timestamp|json_each|json_extract_string|nfc_normalize|quantile_disc|quantile_cont|to_json|try_cast|strptime|strftime"
    r"|list_\w+|unnest|struct_pack|arg_max|arg_min|regexp_matches|split_part|date_diff|date_part)\s*\("
    r"|\b(hugeint|ilike|asof|qualify|pivot|unpivot)\b|\bexclude\s*\(|//|->>|::|, 'g'\)",
    re.IGNORECASE,
)
# Macros without a default side: every engine writes the rows of a JSON object or array in its own way.
WITHOUT_DEFAULT = {"json_entries", "json_elements"}


@cache
def compiled(settings: Settings) -> dict[str, str]:
    """The compiled SQL of every model and of every law of its own, by name."""
    folder = settings.home / "dbt" / "target" / "compiled" / "apportion"
    names = [*(dbt.PROJECT / "models").rglob("*.sql"), *(dbt.PROJECT / "tests").glob("*.sql")]
    return {path.stem: (folder / path.relative_to(dbt.PROJECT)).read_text(encoding="utf-8") for path in sorted(names)}


def transpile(sql: str, engine: str) -> str:
    """The same query for ``engine``; sqlglot's UnsupportedError where there is no counterpart."""
    tree = sqlglot.parse_one(sql, read="duckdb", error_level=ErrorLevel.RAISE)
    for window in tree.find_all(exp.Window):
        order = window.args.get("order")
        if order is not None and isinstance(window.this, exp.AggFunc) and {o.this.name for o in order.expressions} <= NEVER_NULL:
            for ordered in order.expressions:
                ordered.set("nulls_first", not ordered.args.get("desc"))
    for joined in tree.find_all(exp.GroupConcat):  # ordered_text
        for ordered in joined.find_all(exp.Ordered):
            if ordered.this.name in NEVER_NULL:
                ordered.set("nulls_first", not ordered.args.get("desc"))
    for call in tree.find_all(exp.RegexpReplace):
        if call.args.get("modifiers") is not None:  # replace_every: the other engines replace every match without being told
            assert call.args["modifiers"].name == "g"
            call.set("modifiers", None)
    return tree.sql(dialect=engine, unsupported_level=ErrorLevel.RAISE)


def functions(sql: str) -> set[str]:
    """The names before an opening parenthesis, outside literals."""
    return {name.upper() for name in re.findall(r"\b([A-Za-z]\w*)\(", re.sub(r"'(?:[^'\\]|\\.|'')*'", "''", sql))}


def macro_files() -> list[Path]:
    return sorted((dbt.PROJECT / "macros").rglob("*.sql"))


def macros(path: Path) -> dict[str, tuple[str, str]]:
    """name -> (parameters, body) of each macro of a file."""
    pattern = r"\{%-?\s*macro (\w+)\(([^)]*)\)\s*-?%\}(.*?)\{%-?\s*endmacro\s*-?%\}"
    return {name: (parameters, body.strip()) for name, parameters, body in re.findall(pattern, path.read_text(encoding="utf-8"), re.DOTALL)}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_every_model_and_law_has_a_counterpart(engine: str, empty_warehouse: Settings) -> None:
    queries = compiled(empty_warehouse)
    assert len(queries) > 70
    problems: list[str] = []
    for name, sql in queries.items():
        try:
            out = transpile(sql, engine)
            tree = sqlglot.parse_one(out, read=engine, error_level=ErrorLevel.RAISE)
        except sqlglot.errors.SqlglotError as error:
            problems.append(f"{name}: {error}")
            continue
        unknown = functions(out) - COMMON - OWN[engine] - set(DISPATCHED)
        types = {kind.sql(dialect=engine).split("(")[0] for kind in tree.find_all(exp.DataType)} - TYPES[engine]
        problems += [f"{name}: {what}" for what in sorted(unknown | types)]
    assert problems == []


def test_what_one_engine_alone_understands_stands_behind_its_macros() -> None:
    found: list[str] = []
    for path in [*(dbt.PROJECT / "models").rglob("*.sql"), *(dbt.PROJECT / "tests").glob("*.sql"), *macro_files()]:
        text = re.sub(r"\{#.*?#\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        text = re.sub(r"\{%-?\s*macro duckdb__\w+\(.*?\{%-?\s*endmacro\s*-?%\}", "", text, flags=re.DOTALL)
        text = re.sub(r"\bdbt\.split_part\(", "", re.sub(r"--.*", "", text))
        found += [f"{path.name}: {match.group(0)}" for match in ONE_ENGINE.finditer(text)]
    assert found == []


def test_engine_macros_live_in_one_file_and_have_both_sides() -> None:
    assert {path.name for path in macro_files() if "duckdb__" in path.read_text(encoding="utf-8")} == {ENGINE_MACROS.name}
    names = set(macros(ENGINE_MACROS))
    sides = {name.removeprefix("duckdb__") for name in names if name.startswith("duckdb__")}
    assert len(sides) >= 10
    assert {name.removeprefix("default__") for name in names if name.startswith("default__")} == sides
    assert sides <= names
    assert set(DISPATCHED.values()) <= sides
    raising = {name.removeprefix("default__") for name, (_, body) in macros(ENGINE_MACROS).items() if "raise_compiler_error" in body}
    assert raising == WITHOUT_DEFAULT


def test_the_default_sides_are_bigquery_sql_that_spark_can_have() -> None:
    checked = 0
    for name, (parameters, body) in macros(ENGINE_MACROS).items():
        if name.startswith("default__") and name.removeprefix("default__") not in WITHOUT_DEFAULT:
            arguments = [p.strip() for p in parameters.split(",")]
            sql = "select " + Template(body).render({argument: f"column_{n}" for n, argument in enumerate(arguments)})
            tree = sqlglot.parse_one(sql, read="bigquery", error_level=ErrorLevel.RAISE)
            if name != "default__discrete_percentile":  # ordinals of arrays: Spark has percentile_disc() within group instead
                sqlglot.parse_one(tree.sql(dialect="spark", unsupported_level=ErrorLevel.RAISE), read="spark", error_level=ErrorLevel.RAISE)
            checked += 1
    assert checked >= 8


@pytest.mark.parametrize("sql", ["select nfc_frobnicate(a) from t", "select epoch(a) from t", "select cast(a as struct(b int)) from t"])
def test_the_check_can_fail(sql: str) -> None:
    out = transpile(sql, "bigquery")
    types = {
        kind.sql(dialect="bigquery").split("(")[0].split("<")[0] for kind in sqlglot.parse_one(out, read="bigquery").find_all(exp.DataType)
    }
    assert functions(out) - COMMON - OWN["bigquery"] - set(DISPATCHED) or types - TYPES["bigquery"]
