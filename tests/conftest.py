"""What the whole suite shares: one empty warehouse and one played demo, made once however many processes run tests.

Belongs here: session fixtures that more than one folder needs, which tests share a process. Does not: rows, assertions.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from pipelines import dbt
from pipelines.demo.play import play
from pipelines.settings import Settings, SettingsFile
from tests.empty_warehouse import build_empty


class ByFile(LoadFileScheduling):
    """A file's tests go to one process, for their module's fixtures; the clean companies, which share nothing, to whichever is free."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if "test_clean_companies.py" in nodeid else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile | None:
    """`--dist loadfile` as above. (`loadgroup` groups nothing under pytest 9.2 and xdist 3.8: a test's id can no longer be given a suffix.)"""
    return ByFile(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a home in which every model is built from no delivery at all: all relations are there, without rows.

    The first process that asks builds it (the most expensive half minute of the suite); each process has a copy of its own, and knows what
    dbt parsed for it.
    """
    with _once(tmp_path_factory, "empty") as (original, parsed):
        if not parsed.exists():
            build_empty(original)
            _write_whole(parsed, dbt._PARSES[dbt._parse_key()])
    dbt._PARSES.setdefault(dbt._parse_key(), parsed.read_bytes())
    home = tmp_path_factory.mktemp("empty") / "home"
    shutil.copytree(original, home)
    return Settings(SettingsFile(), home, None)


@pytest.fixture(scope="session")
def played_demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The home of the demo company of seed 7 after its two nights, and what the command said. For reading: others read it too."""
    with _once(tmp_path_factory, "demo") as (home, told):
        if not told.exists():
            _write_whole(told, pickle.dumps(play(home, seed=7, progress=lambda _: None)))
    return home, pickle.loads(told.read_bytes())  # noqa: S301 - written above


@contextmanager
def _once(factory: pytest.TempPathFactory, name: str) -> Iterator[tuple[Path, Path]]:
    """(folder, file) that all processes of the suite share, one of them at a time: whoever finds no file makes both."""
    own = factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder, made = shared / name, shared / f"{name}.made"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go of when the file is closed
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a process that failed half way
        yield folder, made


def _write_whole(path: Path, content: bytes) -> None:
    beside = path.with_suffix(".part")
    beside.write_bytes(content)
    beside.rename(path)
