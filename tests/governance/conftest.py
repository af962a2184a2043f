"""Governance over hand-made days: the models that span days, run by dbt over published rows that a test puts there.

Belongs here: the harness. Does not: a company's rows, assertions. No night is run: what a night publishes by day is the input.
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

from pipelines import dbt, warehouse
from pipelines.policy import Policy
from pipelines.settings import DEFAULT_POLICY, Settings, SettingsFile
from tests.empty_warehouse import build_empty

Fill = Callable[[duckdb.DuckDBPyConnection], None]
Governed = Callable[..., duckdb.DuckDBPyConnection]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a home whose warehouse has every relation and no row."""
    return build_empty(tmp_path_factory.mktemp("governance"))


@pytest.fixture
def governed(built: Settings, tmp_path: Path) -> Iterator[Governed]:
    """``governed(fill, governance, select)`` -> a read-only connection to a warehouse of its own, after dbt ran.

    fill(connection) puts rows into published tables (tests.empty_warehouse.put); governance is the policy's section as a dict; select is
    dbt's selection (default: every governance model). The last published day is the greatest usage_date put into dim_date.
    """
    with ExitStack() as stack:
        count = 0

        def run(fill: Fill, governance: dict[str, Any] | None = None, select: str = "tag:governance") -> duckdb.DuckDBPyConnection:
            nonlocal count
            count += 1
            settings = Settings(SettingsFile(), tmp_path / str(count), None)
            settings.warehouse.parent.mkdir(parents=True)
            shutil.copy(built.warehouse, settings.warehouse)
            document = yaml.safe_load(DEFAULT_POLICY.read_text(encoding="utf-8")) | {"governance": governance or {}}
            with warehouse.connect(settings) as connection:
                Policy.model_validate(document).write(connection)
                fill(connection)
            dbt.invoke(settings, ["run", "--select", select])
            return stack.enter_context(warehouse.connect(settings, read_only=True))

        yield run
