"""The contract of every source kind. It finds kinds by itself: a new source needs no edit here, only a fixture.

``tests/sources/fixtures/<kind>.py`` has ``write(folder) -> dict`` (the settings entry without name and kind),
``WINDOW = (first, last)`` and ``EXPECTED_ROWS = {table: rows}``; ``write`` may be given a folder that it fills with files.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import stat
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import duckdb
import pytest

from pipelines import landing as landing_module
from pipelines.landing import MARKER, POINTER, Landing
from pipelines.source import ColumnType, Delivery, Source, Window, source_kinds

KINDS = sorted(source_kinds())
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def fixture_of(kind: str) -> ModuleType:
    name = f"tests.sources.fixtures.{kind}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        pytest.fail(f"source kind {kind!r} has no fixture: write tests/sources/fixtures/{kind}.py (see the top of this file)")


class Case:
    """One kind with its written fixture."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.fixture = fixture_of(kind)
        self.kind: type[Source] = source_kinds()[kind]
        folder.mkdir()
        entry = {"name": f"my-{kind}", "kind": kind, **self.fixture.write(folder)}
        self.source = self.kind(self.kind.config_model.model_validate(entry))
        self.window = Window(*self.fixture.WINDOW)

    def fetch(self, root: Path) -> list[Delivery]:
        return list(self.source.fetch(self.window, Landing(root)))


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    return Case(request.param, tmp_path / "input")


def test_there_are_kinds() -> None:
    assert "aws_cur" in KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_kind_declares_itself_completely(kind: str) -> None:
    source = source_kinds()[kind]
    assert source.__module__ == f"pipelines.sources.{kind}" and SNAKE.fullmatch(kind)
    assert source.description.strip() and source.tables
    assert len({t.name for t in source.tables}) == len(source.tables)
    for table in source.tables:
        assert SNAKE.fullmatch(table.name) and table.description.strip() and table.columns
        assert len({c.name.lower() for c in table.columns}) == len(table.columns)
        for column in table.columns:
            assert column.type in get_args(ColumnType), f"{table.name}.{column.name}"
            assert column.description.strip(), f"{table.name}.{column.name}"
            assert not column.name.startswith("_"), f"{table.name}.{column.name}: such names are the warehouse's own"


def test_all_rows_land_and_every_file_fits_its_raw_table(case: Case, tmp_path: Path) -> None:
    deliveries = case.fetch(tmp_path / "raw")
    assert deliveries
    tables = {t.name: t for t in case.kind.tables}
    rows = dict.fromkeys(case.fixture.EXPECTED_ROWS, 0)
    for delivery in deliveries:
        assert (delivery.source, delivery.kind) == (case.source.name, case.kind.kind)
        for file in delivery.files:
            assert file.rows == count(file.path)
            rows[file.table] = rows.get(file.table, 0) + file.rows
            raw = {c.name for c in tables[file.table].columns}
            own = [name for name, *_ in duckdb.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(file.path)]).fetchall()]
            if file.columns is None:
                assert set(own) == raw
                continue
            assert set(file.columns) <= raw
            for targets in file.columns.values():
                for target in [targets] if isinstance(targets, str) else targets:
                    assert target in own or target.split(".")[0] in own, f"{file.path.name}: no column {target}"
        covered = delivery.covers is not None
        assert covered == any(f.rows for f in delivery.files), "covers says whether there are rows"
    assert rows == case.fixture.EXPECTED_ROWS


def test_sealed_files_are_read_only_and_match_their_marker(case: Case, tmp_path: Path) -> None:
    root = tmp_path / "raw"
    for delivery in case.fetch(root):
        folder = Landing(root).delivery_folder(delivery.source, delivery.period, delivery.delivery_id)
        marker = json.loads((folder / MARKER).read_text())
        assert {p.name for p in folder.iterdir()} == {e["path"] for e in marker["files"]} | {MARKER}
        for entry in marker["files"]:
            path = folder / entry["path"]
            assert stat.S_IMODE(path.stat().st_mode) == 0o444
            assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
            assert path.stat().st_size == entry["bytes"]
    assert not any((root / ".staging").iterdir())


def test_fetching_again_writes_nothing(case: Case, tmp_path: Path) -> None:
    root = tmp_path / "raw"
    first = case.fetch(root)
    before = snapshot(root)
    assert case.fetch(root) == first
    assert snapshot(root) == before


def test_another_landing_gets_the_same_deliveries(case: Case, tmp_path: Path) -> None:
    one, two = case.fetch(tmp_path / "one"), case.fetch(tmp_path / "two")
    assert [(d.period, d.delivery_id, d.covers, d.finality) for d in one] == [(d.period, d.delivery_id, d.covers, d.finality) for d in two]


def test_death_before_the_seal_leaves_no_pointer_and_is_survived(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = case.fetch(tmp_path / "whole")
    root = tmp_path / "raw"
    with monkeypatch.context() as patch:
        patch.setattr(landing_module, "os", DyingOs())
        with pytest.raises(Killed):
            case.fetch(root)
    assert [p for p in root.rglob("*") if p.name in (POINTER, MARKER) and ".staging" not in p.parts] == []
    first = whole[0]  # what a kill between the rename and its end could leave: a folder without a marker
    half = Landing(root).delivery_folder(first.source, first.period, first.delivery_id)
    half.mkdir(parents=True)
    (half / "half.parquet").write_bytes(b"PAR1")
    assert [d.delivery_id for d in case.fetch(root)] == [d.delivery_id for d in whole]
    assert not (half / "half.parquet").exists()


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


class DyingOs:
    """The os module, except that the process dies at the rename that completes a delivery."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def rename(self, *_: Any) -> None:
        raise Killed


def count(path: Path) -> int:
    return duckdb.execute("SELECT count(*) FROM read_parquet(?)", [str(path)]).fetchall()[0][0]


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    files = [p for p in root.rglob("*") if p.is_file()]
    assert files
    return {str(p.relative_to(root)): (p.stat().st_ino, p.stat().st_mtime_ns) for p in files}
