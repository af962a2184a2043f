"""Governance over hand-made days: the models that span days, run over published rows that a test puts there.

Belongs here: the harness. Does not: a company's rows, assertions. No night is run: what a night publishes by day is the input. Nor is dbt,
which costs seconds a run: its compiled SQL is (compiled_models.py), and test_harness.py holds that dbt makes the same tables of the same rows.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from pipelines import warehouse
from pipelines.policy import Policy
from pipelines.settings import DEFAULT_POLICY, Settings, SettingsFile
from tests.governance.compiled_models import CompiledModels, SpendModels

Fill = Callable[[duckdb.DuckDBPyConnection], None]
Governed = Callable[..., duckdb.DuckDBPyConnection]


@pytest.fixture(scope="session")
def built(empty_warehouse: Settings) -> Settings:
    """Settings of a home whose warehouse has every relation and no row. Copy it: it is every test's."""
    return empty_warehouse


@pytest.fixture(scope="session")
def compiled_models(built: Settings) -> CompiledModels:
    """The governance models as compiled SQL."""
    return CompiledModels(built)


@pytest.fixture
def governed(built: Settings, compiled_models: CompiledModels, tmp_path: Path) -> Iterator[Governed]:
    """``governed(fill, governance, select)`` -> a read-only connection to a warehouse of its own, after the models ran.

    fill(connection) puts rows into published tables (tests.empty_warehouse.put); governance is the policy's section as a dict; select names
    models, with a blank between them, and nothing else is run (default: every governance model). The last published day is the greatest
    usage_date put into dim_date.
    """
    with ExitStack() as stack:
        count = 0

        def run(fill: Fill, governance: dict[str, Any] | None = None, select: str | None = None) -> duckdb.DuckDBPyConnection:
            nonlocal count
            count += 1
            settings = Settings(SettingsFile(), tmp_path / str(count), None)
            settings.warehouse.parent.mkdir(parents=True)
            shutil.copy(built.warehouse, settings.warehouse)
            document = yaml.safe_load(DEFAULT_POLICY.read_text(encoding="utf-8")) | {"governance": governance or {}}
            with warehouse.connect(settings) as connection:
                Policy.model_validate(document).write(connection)
                fill(connection)
                compiled_models.run(connection, None if select is None else select.split())
            return stack.enter_context(warehouse.connect(settings, read_only=True))

        yield run


@pytest.fixture(scope="module")
def spend_models(built: Settings, tmp_path_factory: pytest.TempPathFactory) -> SpendModels:
    """The models of budgets, forecasts and anomalies as compiled SQL, half a second a run."""
    return SpendModels(built, tmp_path_factory.mktemp("spend"))
