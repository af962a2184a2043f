"""Whole nights around a tag repair: it reaches the days that it names and no other, and no closed period without a correction.

The bill: one node, i-inc, that nobody tagged, $3.<hour modulo 997>000000001 an hour; and a tagged volume. The repair gives the node to team infra.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from pipelines.history.closing import close, correct
from pipelines.settings import DEFAULT_POLICY, load_settings
from tests.oracle.night import RELEASE_STAGES, Bench
from tests.test_incremental import DAYS, parquet_bytes, write

THREE = DAYS[:3]
REPAIR = {"id": "inc_node", "match": {"resource_id": "i-inc"}, "set": {"team": "Infra"}, "reason": "inventory of 2026-09", "author": "ada"}


def use_policy(folder: Path, **changes: Any) -> None:
    """The shipped policy with ``changes``, named by the settings of ``folder``."""
    document = yaml.safe_load(DEFAULT_POLICY.read_text(encoding="utf-8")) | changes
    (folder / "policy.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    settings = yaml.safe_load((folder / "apportion.yml").read_text(encoding="utf-8")) | {"policy": str(folder / "policy.yml")}
    (folder / "apportion.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")


def node_cost(day: dt.date) -> Decimal:
    """What the node costs on a day: 24 hours of the bill."""
    first = int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp())
    return sum((Decimal(f"3.{hour % 997:03d}000000001") for hour in range(first, first + 86400, 3600)), Decimal(0))


def repaired(bench: Bench, name: str) -> dict[dt.date, Decimal]:
    """The dollars of team infra by day, the ledger's and the coverage's in agreement."""
    with duckdb.connect(str(bench.home(name) / "published" / "apportion.duckdb"), read_only=True) as connection:
        ledger = connection.execute(
            "select usage_date, sum(effective_cost) from fct_cost_allocation where team = 'infra' and stage = 'allocated' group by 1"
        ).fetchall()
        coverage = connection.execute(
            "select usage_date, sum(cost_usd) from fct_tag_coverage where tag_key = 'team' and repair_id = 'inc_node' group by 1"
        ).fetchall()
        assert dict(ledger) == dict(coverage)
        return dict(ledger)


def of_days(files: dict[str, str], days: list[dt.date]) -> dict[str, str]:
    return {name: digest for name, digest in files.items() if any(name.endswith(f"/{day}.parquet") for day in days)}


@pytest.mark.slow
def test_a_repair_reaches_its_days_and_no_closed_period(tmp_path: Path) -> None:
    bench, folder = Bench(tmp_path / "bench"), write(tmp_path / "in")
    bench.night(folder, "repairs", THREE[0], THREE[-1], stages=RELEASE_STAGES)
    before = parquet_bytes(bench, "repairs")
    assert repaired(bench, "repairs") == {}

    # from the third day on: the first two come out byte for byte, in every table
    use_policy(folder, tags_repairs=[REPAIR | {"valid_from": THREE[2]}])
    night = bench.night(folder, "repairs", THREE[-1], stages=RELEASE_STAGES)
    assert night.planned.dirty_days == set(THREE)
    after = parquet_bytes(bench, "repairs")
    assert of_days(after, THREE[:2]) == of_days(before, THREE[:2]) != {}
    assert repaired(bench, "repairs") == {THREE[2]: node_cost(THREE[2])}
    with duckdb.connect(str(bench.home("repairs") / "published" / "apportion.duckdb"), read_only=True) as connection:
        assert connection.execute(
            "select repaired_cost_usd, canonical_value, valid_from from dim_tag_policy where rule_kind = 'repair'"
        ).fetchall() == [(node_cost(THREE[2]), "infra", THREE[2])]

    # the period is closed; now the repair says that it reaches back: what is closed stays, a new day has it
    settings = load_settings(folder / "apportion.yml", bench.home("repairs"))
    close(settings, "2026-10", provisional=True)
    use_policy(folder, tags_repairs=[REPAIR | {"valid_from": "beginning"}])
    night = bench.night(folder, "repairs", DAYS[3], stages=RELEASE_STAGES)
    assert night.planned.dirty_days == {DAYS[3]}
    assert of_days(parquet_bytes(bench, "repairs"), THREE) == of_days(after, THREE)
    assert repaired(bench, "repairs") == {day: node_cost(day) for day in DAYS[2:]}

    # a correction is the explicit, logged way
    correct(settings, "2026-10", reason="the node was infra's all along")
    night = bench.night(folder, "repairs", DAYS[3], stages=RELEASE_STAGES)
    assert [entry["event"] for entry in night.corrected] == ["corrected"]
    assert repaired(bench, "repairs") == {day: node_cost(day) for day in DAYS}
