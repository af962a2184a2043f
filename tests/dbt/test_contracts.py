"""The published contract: what the marts' YAML declares is what the warehouse has, in types that every engine knows."""

from __future__ import annotations

from functools import cache

import pytest

from expectations.grains import GRAINS
from pipelines import dbt, warehouse
from pipelines.metrics import resolved
from pipelines.settings import Settings
from tests.project_files import parsed

MARTS = dbt.PROJECT / "models" / "marts"
TYPES = {
    "varchar",
    "bigint",
    "double",
    "boolean",
    "date",
    "timestamp",
    "decimal(38,12)",
    "decimal(38,6)",
    "decimal(9,6)",
    "decimal(38,24)",
    "decimal(38,0)",
}
LEAST_WORDS = 3


@cache
def declared() -> dict[str, dict]:
    """The model entry of each mart, by name, its descriptions as dbt renders them."""
    documents = (parsed(resolved(path.read_text(encoding="utf-8"))) for path in sorted(MARTS.rglob("*.yml")))
    return {model["name"]: model for document in documents for model in document.get("models", [])}


def test_every_mart_has_a_contract() -> None:
    assert set(declared()) == {path.stem for path in MARTS.rglob("*.sql")}


@pytest.mark.parametrize("mart", sorted(declared()))
def test_a_mart_states_its_grain_and_means_something(mart: str) -> None:
    model = declared()[mart]
    columns = {column["name"]: column for column in model["columns"]}
    assert "Grain: " in model["description"]
    assert set(model["config"]["meta"]["grain"]) <= set(columns)
    assert {column["data_type"] for column in columns.values()} <= TYPES
    for name, column in columns.items():
        text = " ".join(column["description"].split())
        assert len(text.split()) >= LEAST_WORDS and text.endswith("."), f"{name}: {text!r}"
        is_required = any(constraint["type"] == "not_null" for constraint in column.get("constraints", []))
        assert is_required or "NULL" in text, f"{name} may be NULL and does not say when"
        assert not name.endswith("_usd") or "dollars" in text or "_usd / " in text, f"{name} does not say its unit"


def test_the_exit_goes_by_the_grain_of_the_contract() -> None:
    assert {name: set(grain) for name, grain in GRAINS.items()} == {
        name: set(model["config"]["meta"]["grain"]) for name, model in declared().items()
    }


def test_the_warehouse_has_exactly_what_the_contracts_declare(empty_warehouse: Settings) -> None:
    with warehouse.connect(empty_warehouse, read_only=True) as connection:
        rows = connection.execute(
            "select table_name, column_name, lower(data_type), not is_nullable, comment from duckdb_columns() where schema_name = 'published'"
        ).fetchall()
    found = {(table, column): (kind, required, " ".join((comment or "").split())) for table, column, kind, required, comment in rows}
    expected = {
        (mart, column["name"]): (column["data_type"], bool(column.get("constraints")), " ".join(column["description"].split()))
        for mart, model in declared().items()
        for column in model["columns"]
    }
    assert found == expected
