"""What the tests on real data share: the folder, and running a night to ask what it published.

Belongs here: finding the data, one way to run a night. Does not: any dataset, any expected figure.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from pipelines import nightly
from pipelines.settings import load_settings
from tests.servers import aws_environment
from tests.sources.reading import real_data as find_real_data


class Published:
    """What a night published: questions in SQL, answers as dicts or as one value."""

    def __init__(self, night: nightly.Night) -> None:
        self.night = night
        self.path = night.settings.published / "apportion.duckdb"

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """Every row of the answer, by column."""
        with duckdb.connect(str(self.path), read_only=True) as connection:
            cursor = connection.execute(query, list(parameters))
            names = [column[0] for column in cursor.description or []]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def value(self, query: str, *parameters: Any) -> Any:
        """The one value of the one row."""
        (row,) = self.rows(query, *parameters)
        (value,) = row.values()
        return value


RunNight = Callable[..., Published]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder that APPORTION_REAL_DATA names; skips where it names none."""
    return find_real_data()


@pytest.fixture(scope="session")
def s3_credentials() -> Iterator[None]:
    """Credentials for test servers only."""
    with pytest.MonkeyPatch.context() as patch:
        aws_environment(patch)
        yield


@pytest.fixture(scope="session")
def run_night() -> RunNight:
    """``run_night(folder, sources, first, last)`` writes settings into ``folder`` and runs one night over the days from ``first`` to ``last``."""

    def run(folder: Path, sources: list[dict[str, Any]], first: dt.date, last: dt.date) -> Published:
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "apportion.yml"
        config.write_text(yaml.safe_dump({"sources": sources, "engine": {"memory_limit": "2GB", "threads": 2}}))
        settings = load_settings(config, folder / "home")
        return Published(nightly.run(settings, nightly.window_of(first, last)))

    return run
