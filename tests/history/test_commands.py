"""The commands about time, as they are typed."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.errors import UsageError
from pipelines.history.archive import archived
from pipelines.settings import Settings
from tests.history.bills import Charge, ask, publish_charges, set_clock, settings_for

DAY = dt.date(2026, 9, 1)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = settings_for(tmp_path_factory.mktemp("commands"), keep_releases=1)
    for cost in ("10", "12.25"):
        publish_charges(made, [Charge(DAY, cost)], finality={("aws", DAY): "final"})
    set_clock(made, [dt.datetime(2026, 9, 2, 5), dt.datetime(2026, 9, 3, 5)])
    return made


def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.chdir(settings.home)
    monkeypatch.delenv("APPORTION_CONFIG", raising=False)
    return CliRunner().invoke(app, [*arguments, "--home", str(settings.home)], catch_exceptions=False, standalone_mode=False).stdout


def test_releases_and_as_of(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = archived(settings)
    assert run(settings, monkeypatch, "releases").splitlines() == [
        f"2026-09-03T05:00:00+00:00  {second.release_id}  #2  1 day(s), 2026-09-01 to 2026-09-01  code c0de, policy b011c7",
        f"2026-09-02T05:00:00+00:00  {first.release_id}  #1  1 day(s), 2026-09-01 to 2026-09-01  code c0de, policy b011c7",
    ]
    for _ in range(2):  # its own folder may be made again
        lines = run(settings, monkeypatch, "as-of", "2026-09-02T12:00").splitlines()
    folder = settings.home / "as-of" / first.release_id
    assert lines == [
        f"release {first.release_id}, published 2026-09-02T05:00:00+00:00: 1 day(s), 2026-09-01 to 2026-09-01",
        "billed $10.00, effective $10.00, list $10.00",
        f"as it was published: {folder}",
    ]
    assert ask(folder / "apportion.duckdb", "select cast(sum(effective_cost) as varchar) from fct_cost_allocation") == [
        ("10.000000000000",)
    ]
    with pytest.raises(UsageError, match="earliest release"):
        run(settings, monkeypatch, "as-of", "2026-09-01")


def test_restatement(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = archived(settings)
    lines = run(settings, monkeypatch, "restatement").splitlines()
    assert (
        lines[0]
        == f"{first.release_id} (2026-09-02 05:00) -> {second.release_id} (2026-09-03 05:00): 1 day(s) differ, 2026-09-01 to 2026-09-01"
    )
    assert lines[1] == "moved in all: billed +$2.25, effective +$2.25, list +$2.25"
    assert lines[3].split() == ["another", "price", "1", "+$2.25", "+$2.25", "+$2.25", "+$2.25"]
    told = json.loads(run(settings, monkeypatch, "restatement", second.release_id, first.release_id, "--json"))
    assert told["total_move_usd"]["effective"] == "-2.250000000000"
    assert [c["cause"] for c in told["causes"]] == ["price_change"]
    assert told["days"] == {"2026-09-01": ["fct_charge_bucket", "fct_cost_allocation"]}
    assert run(settings, monkeypatch, "restatement", first.release_id, first.release_id).splitlines()[1] == "nothing moved"


def test_close_and_correct(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert json.loads(run(settings, monkeypatch, "close", "2026-09", "--json"))["event"] == "close"
    assert run(settings, monkeypatch, "correct", "2026-09", "--reason", "a repaired tag").strip() == (
        "period 2026-09 of aws: the next night may change it (a repaired tag), then it is closed again"
    )
    events = [json.loads(line) for line in (settings.home / "periods.jsonl").read_text().splitlines()]
    assert [(e["event"], e["sources"], e.get("reason")) for e in events] == [
        ("close", ["aws"], None),
        ("correct", ["aws"], "a repaired tag"),
    ]
