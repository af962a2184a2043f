"""What the whole suite shares: one empty warehouse, built once however many processes run tests.

Belongs here: session fixtures that more than one folder needs. Does not: rows, assertions.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from pipelines import dbt
from pipelines.settings import Settings, SettingsFile
from tests.empty_warehouse import build_empty


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a home in which every model is built from no delivery at all: all relations are there, without rows.

    The first process that asks builds it (the most expensive half minute of the suite); each process has a copy of its own, and knows what
    dbt parsed for it.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    original, parsed = shared / "empty", shared / "empty.parsed"
    with (shared / "empty.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go of when the file is closed
        if not parsed.exists():
            shutil.rmtree(original, ignore_errors=True)  # of a process that failed half way
            build_empty(original)
            _write_whole(parsed, dbt._PARSES[dbt._parse_key()])
    dbt._PARSES.setdefault(dbt._parse_key(), parsed.read_bytes())
    home = tmp_path_factory.mktemp("empty") / "home"
    shutil.copytree(original, home)
    return Settings(SettingsFile(), home, None)


def _write_whole(path: Path, content: bytes) -> None:
    beside = path.with_suffix(".part")
    beside.write_bytes(content)
    beside.rename(path)
