"""`apportion adopt-lever`: the entry to paste, with what the lever predicted before it was pulled.

Belongs here: which release's word counts. Does not: how savings are measured (tests/governance/test_realised_saving.py).
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import yaml

from pipelines import adoption as adopting
from pipelines.adoption import adoption, adoption_lines
from pipelines.errors import UsageError
from pipelines.governance import Governance
from pipelines.history.archive import Archived, object_path
from pipelines.release import ReleaseFile
from pipelines.settings import Settings, SettingsFile

OCTOBER = dt.date(2026, 10, 1)


def release(settings: Settings, name: str, published_on: dt.date, levers: list[tuple[str, str, str, str]]) -> Archived:
    """An archived release with these levers (kind, scope_type, scope, dollars a month)."""
    path = object_path(settings, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(
            "create table levers (lever_kind varchar, scope_type varchar, scope varchar, saving_usd_per_month decimal(38,12))"
        )
        if levers:
            connection.executemany("insert into levers values (?, ?, ?, ?)", levers)
        connection.execute(f"copy levers to '{path}' (format parquet)")
    file = ReleaseFile("fct_lever", "all.parquet", len(levers), 1, name, 0)
    at = dt.datetime.combine(published_on, dt.time(5), dt.UTC)
    return Archived(name, published_on.toordinal(), at, {}, (), {}, {("fct_lever", "all.parquet"): file}, frozenset(), "")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home whose archive has two releases: $100 a month on the 1st, $40 on the 20th, when half was done already."""
    home = Settings(SettingsFile(), tmp_path, None)
    releases = [
        release(home, "aaa", OCTOBER, [("scale_to_zero", "endpoint", "chat: eu", "100.5"), ("share_gpu", "pool", "chat: eu", "7")]),
        release(home, "bbb", dt.date(2026, 10, 20), [("scale_to_zero", "endpoint", "chat: eu", "40")]),
    ]
    monkeypatch.setattr(adopting, "archived", lambda _: releases)
    return home


def test_the_word_of_the_release_before_the_adoption_counts(settings: Settings) -> None:
    found = adoption(settings, "scale_to_zero", "chat: eu", dt.date(2026, 10, 15))
    assert found["predicted_by"] == "release aaa, in force on the day before"
    pasted = yaml.safe_load("\n".join(adoption_lines(found)))
    [entry] = Governance.model_validate({"levers": {"adopted": pasted}}).levers.adopted
    assert (entry.scope_type, entry.scope, entry.adopted_on) == ("endpoint", "chat: eu", dt.date(2026, 10, 15))
    assert entry.predicted_saving_usd_per_month == Decimal("100.5")


def test_a_word_from_after_the_adoption_is_told_as_such(settings: Settings) -> None:
    found = adoption(settings, "scale_to_zero", "chat: eu", dt.date(2026, 9, 1))
    assert found["predicted_by"].endswith("the earliest that knows it; it may be from after the adoption")
    assert Decimal(found["entry"]["predicted_saving_usd_per_month"]) == Decimal("100.5")


def test_a_lever_that_nobody_published_is_refused(settings: Settings) -> None:
    with pytest.raises(UsageError, match="no lever scale_to_zero of 'other' was published before 2026-10-15"):
        adoption(settings, "scale_to_zero", "other", dt.date(2026, 10, 15))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"scope_type": "planet"}, "scope_type"), ({"scope": ""}, "scope"), ({"predicted_saving_usd_per_month": "-1"}, "greater than 0"),
        ({"adopted_on": "soon"}, "adopted_on"), ({"why": "x"}, "why"),
    ],
)  # fmt: skip
def test_an_entry_that_cannot_be_is_refused_by_its_field(change: dict[str, str], what: str) -> None:
    entry = {"lever_kind": "share_gpu", "scope_type": "pool", "scope": "a100", "adopted_on": "2026-10-15"}
    with pytest.raises(ValueError, match=what):
        Governance.model_validate({"levers": {"adopted": [entry | change]}})


def test_an_entry_stands_once() -> None:
    entry = {"lever_kind": "share_gpu", "scope_type": "pool", "scope": "a100", "adopted_on": "2026-10-15"}
    with pytest.raises(ValueError, match="share_gpu of a100 on 2026-10-15 stands twice"):
        Governance.model_validate({"levers": {"adopted": [entry, entry]}})
