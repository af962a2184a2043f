"""Runs whole nights over a folder of generated inputs, and reads what they published.

Belongs here: the stages in their order, a kept dbt parse, reading published tables as rows. Does not: inputs (generate.py), what
the figures should be (oracle.py), assertions.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import duckdb

from pipelines import nightly
from pipelines.settings import load_settings
from pipelines.source import Window

PARSE_FILES = ("partial_parse.msgpack", "manifest.json", "semantic_manifest.json", "graph.gpickle")
COMPUTE_STAGES: tuple[Callable[..., None], ...] = (nightly.ingest, nightly.plan, nightly.transform)
RELEASE_STAGES: tuple[Callable[..., None], ...] = (*COMPUTE_STAGES, nightly.publish)


def _silent(_: str) -> None:
    return None


class Bench:
    """A place where nights run.

    dbt parses the project anew whenever a path that it reads from the environment changes, so every home of one bench is run at
    the same path, ``<root>/home``: ``home(name)`` brings the one called ``name`` there, and the parse of the last night with it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "home"
        self._name: str | None = None

    def home(self, name: str) -> Path:
        """Bring the home called ``name`` (new and empty at first) to the bench's path; return that path."""
        if self._name != name:
            if self._name is not None:
                os.rename(self.path, self.root / f"away-{self._name}")
            away = self.root / f"away-{name}"
            if away.exists():
                os.rename(away, self.path)
            else:
                (self.path / "dbt" / "target").mkdir(parents=True)
            self._bring_parse()
            self._name = name
        return self.path

    def _bring_parse(self) -> None:
        if self._name is None:
            return
        last = self.root / f"away-{self._name}" / "dbt" / "target"
        for name in PARSE_FILES:
            if (last / name).exists():
                shutil.copyfile(last / name, self.path / "dbt" / "target" / name)

    def night(
        self,
        folder: Path,
        name: str,
        first: dt.date,
        last: dt.date | None = None,
        *,
        stages: Iterable[Callable[..., None]] = COMPUTE_STAGES,
    ) -> nightly.Night:
        """One night over ``folder`` (it holds apportion.yml) in the home ``name``."""
        home = self.home(name)
        return run_night(folder, home, first, last or first, stages=stages)

    def read(self, name: str, query: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Rows of the warehouse of home ``name``."""
        with duckdb.connect(str(self.home(name) / "warehouse" / "warehouse.duckdb"), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return connection.execute(query, parameters or []).fetchall()

    def published(self, name: str) -> dict[str, list[tuple[Any, ...]]]:
        """Every published table as ordered rows, with its columns first."""
        with duckdb.connect(str(self.home(name) / "warehouse" / "warehouse.duckdb"), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            tables = connection.execute(
                "select table_name from information_schema.tables where table_schema = 'published' order by 1"
            ).fetchall()
            found = {}
            for (table,) in tables:
                cursor = connection.execute(f'select * from published."{table}" order by all')  # noqa: S608
                found[table] = [tuple(c[0] for c in cursor.description), *cursor.fetchall()]
            return found


def run_night(
    folder: Path, home: Path, first: dt.date, last: dt.date, *, stages: Iterable[Callable[..., None]] = COMPUTE_STAGES
) -> nightly.Night:
    """Run ``stages`` over ``first``..``last`` as the one writer of ``home``."""
    settings = load_settings(folder / "apportion.yml", home)
    night = nightly.Night(settings, Window(first, last))
    with nightly.writer(settings):
        for stage in stages:
            stage(night, _silent)
    return night


def content_hash(tables: dict[str, list[tuple[Any, ...]]]) -> dict[str, str]:
    """A digest of each table's ordered rows: what two warehouses must agree in."""
    return {name: hashlib.sha256(repr(rows).encode()).hexdigest() for name, rows in tables.items()}
