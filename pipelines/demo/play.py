"""Play the demo: generate the company, attribute 13 days, then one night more.

Belongs here: the order of the play. Does not: the company (company.py) or its true answers (truth.py).
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines.demo import extend, generate
from pipelines.demo.overview import overview
from pipelines.errors import UsageError
from pipelines.nightly import run
from pipelines.settings import load_settings
from pipelines.source import Window

FIRST_DAY = dt.date(2026, 10, 5)
DAYS_BEFORE = 13


def play(home: Path, *, seed: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Generate under ``<home>/demo``, run two nights into ``home``, and return what the release says.

    A home that holds somebody's own data is refused; one that holds an earlier demo is begun anew.
    """
    folder = home / "demo"
    if home.exists() and any(home.iterdir()):
        if not folder.exists():
            raise UsageError(
                "this APPORTION_HOME holds data that is not the demo's", where=str(home), remedy="name another one with --home"
            )
        _remove(home)
    progress("generating a small company: bills, telemetry, runs, inference counts")
    last = FIRST_DAY + dt.timedelta(days=DAYS_BEFORE - 1)
    generate(folder, seed=seed, first_day=FIRST_DAY, through=last)
    settings = load_settings(folder / "apportion.yml", home)
    run(settings, Window(FIRST_DAY, last), progress)
    progress("one more night: the bill is restated, a day of telemetry has come")
    extend(folder)
    next_day = last + dt.timedelta(days=1)
    run(load_settings(folder / "apportion.yml", home), Window(next_day, next_day), progress)
    return {
        **overview(settings),
        "published": str(settings.published / "apportion.duckdb"),
        "parquet": str(settings.published / "parquet"),
    }


def _remove(home: Path) -> None:
    """Remove an earlier demo; finished releases are write-protected."""
    for folder in [home, *(p for p in home.rglob("*") if p.is_dir() and not p.is_symlink())]:
        folder.chmod(0o755)
    for child in home.iterdir():
        shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
