"""Whole nights over a closed period: a restated bill is kept aside, new code and policy leave the frozen days, a correction takes both."""

from __future__ import annotations

import datetime as dt
import hashlib
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from pipelines import nightly, planning
from pipelines.history.archive import archived
from pipelines.history.as_of import materialise
from pipelines.history.closing import close, correct
from pipelines.history.words import night_time_lines, night_told
from pipelines.settings import load_settings
from tests.oracle.night import RELEASE_STAGES, Bench
from tests.test_incremental import DAYS, write

LOOK = (nightly.ingest, nightly.plan)
THREE = DAYS[:3]
# row 50 of the bill (the third day, 02:00) is restated from $3.<hour modulo 997>000000001 to $9.5
HOUR = int(dt.datetime(2026, 10, 7, 2, tzinfo=dt.UTC).timestamp())
MOVE = Decimal("9.5") - Decimal(f"3.{HOUR % 997:03d}000000001")


def ledger_bytes(home: Path, days: list[dt.date]) -> list[str]:
    folder = home / "published" / "current" / "parquet" / "fct_cost_allocation"
    return [hashlib.sha256((folder / f"{day}.parquet").read_bytes()).hexdigest() for day in days]


@pytest.mark.slow
def test_a_closed_period_through_the_nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, folder = Bench(tmp_path / "bench"), write(tmp_path / "in")
    bench.night(folder, "closed", THREE[0], THREE[-1], stages=RELEASE_STAGES)
    home = bench.home("closed")
    settings = load_settings(folder / "apportion.yml", home)
    first_bytes = ledger_bytes(home, THREE)
    entry = close(settings, "2026-10", provisional=True)
    assert sorted(entry["frozen_days"]) == [day.isoformat() for day in THREE]
    assert [(d["period"], d["billing_periods"]) for d in entry["deliveries"]] == [("2026-10", ["2026-10"])]

    # the bill is restated: it is landed and told, and nothing is computed
    write(folder, restated=True)
    night = bench.night(folder, "closed", THREE[-1], stages=LOOK)
    assert night.planned.dirty_days == night.planned.dirty_telemetry_days == set()
    [aside] = night.kept_aside
    assert (aside["source"], aside["periods"], aside["effective_move"], aside["billed_move"], aside["row_move"]) == (
        "bill",
        ["2026-10"],
        MOVE,
        MOVE,
        0,
    )
    assert bench.night(folder, "closed", THREE[-1], stages=LOOK).kept_aside == [aside]  # remembered, not measured again

    # new code and a new day: the frozen days are not computed, and stay byte for byte
    real = planning.code_digest()
    monkeypatch.setattr(planning, "code_digest", lambda: "new code")
    night = bench.night(folder, "closed", DAYS[3], stages=RELEASE_STAGES)
    assert night.planned.dirty_days == {DAYS[3]} and not night.planned.full_refresh and night.planned.held_days == set(THREE)
    assert ledger_bytes(home, THREE) == first_bytes
    # what is remembered of the frozen days was read anew: with the same code nothing is to do the next night
    assert bench.night(folder, "closed", DAYS[3], stages=LOOK).planned.dirty_days == set()

    # the correction takes the restated bill and the code of its night, for the period's days, and closes it again
    monkeypatch.setattr(planning, "code_digest", lambda: real)
    correct(settings, "2026-10", reason="the bill was restated")
    night = bench.night(folder, "closed", DAYS[3], stages=RELEASE_STAGES)
    assert night.planned.dirty_days == set(DAYS) and night.kept_aside == []
    [corrected] = night.corrected
    assert (corrected["event"], Decimal(corrected["moved_usd"]["effective"]), Decimal(corrected["moved_usd"]["billed"])) == (
        "corrected",
        MOVE,
        MOVE,
    )
    assert sorted(corrected["frozen_days"]) == [day.isoformat() for day in DAYS]
    after = ledger_bytes(home, THREE)
    assert after[:2] == first_bytes[:2] and after[2] != first_bytes[2]
    [line, *_] = night_time_lines(night_told(settings, night.release.release_id, is_new=True))
    assert line == f"moved since the last release: another price: effective +${MOVE:,.2f}, billed +${MOVE:,.2f} on 1 day(s)"

    # the first release is still there as it was
    materialise(settings, archived(settings)[0], tmp_path / "then")
    assert [
        hashlib.sha256((tmp_path / "then/parquet/fct_cost_allocation" / f"{day}.parquet").read_bytes()).hexdigest() for day in THREE
    ] == first_bytes
    with duckdb.connect(str(home / "published" / "history.duckdb"), read_only=True) as connection:
        assert connection.execute("select sum(effective_move_usd) from restatements where to_sequence = 3").fetchone() == (MOVE,)

    # a lost warehouse is computed from the deliveries that the period was closed with, whatever the source presents by now
    closed_bytes = ledger_bytes(home, DAYS)
    write(folder, restated=False)
    settings.warehouse.unlink()
    night = bench.night(folder, "closed", DAYS[0], DAYS[-1], stages=RELEASE_STAGES)
    assert [d.delivery_id for d in night.deliveries if d.source == "bill"] == [d["delivery_id"] for d in corrected["deliveries"]]
    assert night.planned.full_refresh and night.planned.dirty_days == set(DAYS)
    assert ledger_bytes(home, DAYS) == closed_bytes and not night.release.is_new
