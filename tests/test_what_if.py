"""`apportion what-if`: its arithmetic by hand, where its inputs come from, and what it refuses.

Belongs here: the module and the command. Does not: what a GPU-second used (the models' tests).
"""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.errors import UsageError
from pipelines.settings import Settings, SettingsFile
from pipelines.what_if import inputs, what_if, what_if_lines
from tests.test_cli import apportion

FLEET = {"gpus": "64", "price_per_gpu_hour_usd": "2.5", "utilization": "0.4", "target": "0.7", "hours": None}
DAY = dt.date(2026, 10, 5)
HERE = {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}


def answer(**changes: str | None) -> dict[str, Any]:
    return what_if(inputs(None, FLEET | changes))


def home_with(tmp_path: Path, rows: list[tuple[Any, ...]]) -> Settings:
    """A home whose release has GPU-days (day, gpu, billed, used, unknown seconds, status, dollars)."""
    settings = Settings(SettingsFile(), tmp_path, None)
    settings.published.mkdir(parents=True)
    with duckdb.connect(str(settings.published / "apportion.duckdb")) as connection:
        connection.execute(
            "create table fct_gpu_utilization_daily (usage_date date, gpu_key varchar, billed_seconds decimal(38,6), used_seconds decimal(38,6),"
            " unknown_seconds decimal(38,6), pricing_status varchar, cost_usd decimal(38,12))"
        )
        if rows:
            connection.executemany("insert into fct_gpu_utilization_daily values (?, ?, ?, ?, ?, ?, ?)", rows)
    return settings


def test_a_fleet_of_64_by_hand() -> None:
    found = answer()
    assert found["cost_usd"] == Decimal(116_800)  # 64 x 2.5 x 730
    assert found["useful_usd"] == Decimal(46_720)  # x 0.4
    assert found["waste_usd"] == Decimal(70_080)  # x 0.6
    assert found["cost_per_used_gpu_hour_usd"] == Decimal("6.25")  # 2.5 / 0.4
    assert found["gpus_needed"] == 37  # 64 x 0.4 / 0.7 = 36.57...
    assert found["utilization_reached"] == Decimal("0.691892")  # 25.6 / 37
    assert found["cost_per_used_gpu_hour_at_target_usd"] == Decimal("3.613281")  # 2.5 x 37 / 25.6 = 3.61328125
    assert found["saving_usd"] == Decimal(49_275)  # 27 x 2.5 x 730
    assert what_if_lines(found)[-1] == "The same work at 0.7 utilization needs 37 of 64 GPUs: $49,275.00 less in 730 hours."


def test_a_whole_number_of_gpus_is_not_rounded_up() -> None:
    """10 x 0.7 / 0.7 in doubles is 10.000000000000002 on some ways: exact fractions need exactly 10, and nothing is saved."""
    found = answer(gpus="10", utilization="0.7")
    assert (found["gpus_needed"], found["saving_usd"]) == (10, 0)
    assert what_if_lines(found)[-1].endswith("needs all 10 GPUs: nothing is saved.")


def test_a_fleet_that_is_fuller_than_the_target_saves_nothing() -> None:
    found = answer(gpus="10", utilization="0.9", target="0.6", hours="1")
    # 9 / 0.6 = 15 GPUs: five more, at $2.50
    assert (found["gpus_needed"], found["saving_usd"]) == (15, Decimal("-12.5"))
    assert "fuller than the target already" in what_if_lines(found)[-1]


def test_a_fleet_that_does_nothing_has_no_price_for_a_used_hour() -> None:
    found = answer(utilization="0")
    assert (found["cost_per_used_gpu_hour_usd"], found["gpus_needed"], found["saving_usd"]) == (None, 0, Decimal(116_800))
    assert any(line.split() == ["cost_per_used_gpu_hour_usd", "-", "=", "price", "/", "utilization"] for line in what_if_lines(found))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gpus", "0"), ("gpus", "2.5"), ("gpus", "-1"), ("gpus", "many"), ("price_per_gpu_hour_usd", "-0.01"), ("price_per_gpu_hour_usd", "NaN"),
        ("price_per_gpu_hour_usd", "1e99"), ("utilization", "40"), ("utilization", "-0.1"), ("target", "0"), ("target", "1.01"), ("target", "Infinity"),
        ("hours", "0"), ("hours", "0.0000000000001"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(name: str, text: str) -> None:
    option = {"price_per_gpu_hour_usd": "--price-per-gpu-hour"}.get(name, f"--{name}")
    with pytest.raises(UsageError, match=option):
        answer(**{name: text})


def test_what_is_not_stated_is_measured_and_says_so(tmp_path: Path) -> None:
    """Two priced days of two GPUs, a third that awaits its bill: 4 x 10 h for $100, 14 h used, 5 h unknown."""
    rows = [(DAY + dt.timedelta(days=n), f"g{g}", 36_000, 12_600, 4_500, "priced", 25) for n in range(2) for g in range(2)]
    rows += [(DAY + dt.timedelta(days=2), f"g{g}", 36_000, 36_000, 0, "awaiting_bill", None) for g in range(9)]
    given = inputs(home_with(tmp_path, rows), dict.fromkeys(FLEET) | {"target": "0.8"})
    assert given["gpus"].value == 2 and "2026-10-06" in given["gpus"].origin
    assert given["price_per_gpu_hour_usd"].value == Decimal("2.5")  # 100 / 40
    assert given["utilization"].value == Decimal("0.4")  # 14 / (40 - 5)
    assert "12.5 % of billed GPU time is unknown and not counted" in given["utilization"].origin
    assert given["target"].origin == "stated"


def test_what_is_stated_wins_over_what_is_measured(tmp_path: Path) -> None:
    settings = home_with(tmp_path, [(DAY, "g", 3600, 1800, 0, "priced", 3)])
    given = inputs(settings, FLEET | {"utilization": None})
    assert (given["gpus"].value, given["price_per_gpu_hour_usd"].value, given["utilization"].value) == (64, Decimal("2.5"), Decimal("0.5"))


def test_an_unmeasured_fleet_is_asked_for_and_not_made_up(tmp_path: Path) -> None:
    settings = home_with(tmp_path, [(DAY, "g", 3600, 0, 3600, "priced", 3)])
    with pytest.raises(UsageError, match="utilization is neither stated nor measured"):
        inputs(settings, FLEET | {"utilization": None})
    with pytest.raises(UsageError, match="gpus is neither stated nor measured"):
        inputs(home_with(tmp_path / "none", []), FLEET | {"gpus": None})


def test_the_command_answers_without_a_release_when_all_is_stated(tmp_path: Path) -> None:
    told = ["--gpus", "64", "--price-per-gpu-hour", "2.5", "--utilization", "0.4", "--target", "0.7"]
    words = apportion("what-if", *told, cwd=tmp_path, **HERE)
    figures = apportion("what-if", *told, "--json", cwd=tmp_path, **HERE)
    assert (words.returncode, figures.returncode) == (0, 0)
    assert "$49,275.00 less in 730 hours" in words.stdout and "ceil(gpus x utilization / target)" in words.stdout
    found = json.loads(figures.stdout)
    assert Decimal(found["saving_usd"]) == 49_275 and found["inputs"]["gpus"] == {"value": "64", "origin": "stated"}


def test_the_command_refuses_in_words(tmp_path: Path) -> None:
    result = apportion(
        "what-if", "--gpus", "64", "--price-per-gpu-hour", "2.5", "--utilization", "40", "--target", "0.7", cwd=tmp_path, **HERE
    )
    assert result.returncode == 2 and "--utilization 40 cannot be" in result.stderr and "0.4 is 40 %" in result.stderr
