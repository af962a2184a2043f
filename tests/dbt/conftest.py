"""The dbt project over an empty warehouse, shared by this folder's tests.

Belongs here: building it once. Does not: running dbt on it (running.py), assertions.
"""

from __future__ import annotations

import pytest

from pipelines.settings import Settings
from tests.empty_warehouse import build_empty


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a home in which every model is built from no delivery at all: all relations are there, without rows."""
    return build_empty(tmp_path_factory.mktemp("empty"))
