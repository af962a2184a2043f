"""The dbt project over an empty warehouse, shared by this folder's tests.

Belongs here: building it once. Does not: running dbt on it (running.py), assertions.
"""

from __future__ import annotations

import pytest

from pipelines import dbt, warehouse
from pipelines.policy import load_policy
from pipelines.settings import DEFAULT_POLICY, Settings, SettingsFile


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a home in which every model is built from no delivery at all: all relations are there, without rows."""
    settings = Settings(SettingsFile(), tmp_path_factory.mktemp("empty"), None)
    with warehouse.connect(settings) as connection:
        warehouse.ensure_bookkeeping(connection)
        load_policy(DEFAULT_POLICY).write(connection)
        warehouse.write_raw_relations(connection, [])
    results = dbt.invoke(settings, ["build", "--exclude-resource-type", "unit_test"])
    assert {result.status for result in results} == {"success", "pass"}
    return settings
