"""Every dbt unit test, each by its name. The figures and how they were worked stand in the YAML beside the models."""

from __future__ import annotations

from functools import cache

import pytest

from pipelines import dbt
from pipelines.settings import Settings
from tests.dbt.running import run_dbt
from tests.project_files import yaml_file

MODELS = dbt.PROJECT / "models"


@cache
def declared() -> list[str]:
    """``<model>: <name>`` of every unit test that a YAML file declares."""
    documents = (yaml_file(path) for path in sorted(MODELS.rglob("*.yml")))
    return [f"{test['model']}: {test['name']}" for document in documents for test in document.get("unit_tests", [])]


@pytest.fixture(scope="module")
def results(empty_warehouse: Settings) -> dict[str, dbt.NodeResult]:
    """By ``<model>: <name>``."""
    found = run_dbt(empty_warehouse, ["test", "--select", "test_type:unit"])
    return {"{2}: {3}".format(*result.unique_id.split(".")): result for result in found}


def test_each_declared_unit_test_ran_once(results: dict[str, dbt.NodeResult]) -> None:
    assert len(declared()) == len(set(declared())) >= 40
    assert set(results) == set(declared())


@pytest.mark.parametrize("name", declared())
def test_unit(name: str, results: dict[str, dbt.NodeResult]) -> None:
    assert results[name].status == "pass", results[name].message
