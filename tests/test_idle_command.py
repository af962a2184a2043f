"""`apportion idle`: its words and its picture, from rows worked by hand. The figures themselves are checked in tests/test_demo.py.

Belongs here: wording, order, colours, escaping. Does not: what is idle (the models' tests).
"""

from __future__ import annotations

import datetime as dt
import xml.etree.ElementTree as ET
from decimal import Decimal
from typing import Any

import pytest

from pipelines.heatmap import SCALE, colour, svg
from pipelines.idle import idle_lines

MONDAY = dt.date(2026, 10, 5)
NOON = dt.datetime(2026, 10, 5, 12)
SVG = "{http://www.w3.org/2000/svg}"


def gpu(name: str, state: str, **values: Any) -> dict[str, Any]:
    given = {
        "gpu_key": f"h|i-1|{name}", "node": "h", "gpu_state": state, "as_of_hour": NOON, "idle_since_hour": None, "workload_key": None,
        "is_idle_for_the_whole_lookback": False, "idle_cost_usd": None, "pricing_status": None, "cost_per_hour_usd": None, "owner_team": None,
    }  # fmt: skip
    return given | values


def found(**values: Any) -> dict[str, Any]:
    given = {
        "first_day": MONDAY, "last_day": MONDAY, "team": None, "spend_usd": Decimal(200), "by_finding": [], "by_kind": [], "by_pool": [],
        "by_owner": [], "by_outcome": [], "gpus": [],
    }  # fmt: skip
    return given | values


def test_idle_and_unexplained_are_told_apart() -> None:
    # 50 of 200 is a quarter; 3 of 200 is 1.5 %
    kinds = [
        {"idle_kind": "held_idle", "reason": "no_process", "finding": "bought_nothing", "cost_usd": Decimal(50)},
        {"idle_kind": "node_without_telemetry", "reason": "node_without_telemetry", "finding": "unexplained", "cost_usd": Decimal(3)},
    ]
    by_finding = [{"finding": k["finding"], "cost_usd": k["cost_usd"]} for k in kinds]
    owners = [{"owner_team": None, "owner_basis": "account", "cost_usd": Decimal(50)}]
    lines = idle_lines(found(by_kind=kinds, by_finding=by_finding, by_owner=owners))
    assert lines[0] == "2026-10-05 to 2026-10-05: $50.00 (25.0% of the bill) bought nothing, $3.00 (1.5% of the bill) nobody can explain"
    assert "  held_idle: no_process                          $50.00" in lines
    assert "  node_without_telemetry  (unexplained)           $3.00" in lines
    assert "  (nobody), by account          $50.00" in lines


def test_a_silent_gpu_is_not_called_idle() -> None:
    held = gpu(
        "0", "held_idle", workload_key="job/j", idle_since_hour=NOON, idle_cost_usd=Decimal("7.5"), pricing_status="partly_priced",
        cost_per_hour_usd=2.5, owner_team="nlp",
    )  # fmt: skip
    free = gpu("1", "unallocated_idle", idle_since_hour=NOON, is_idle_for_the_whole_lookback=True, pricing_status="awaiting_bill")
    silent = [gpu("2", "stale_telemetry"), gpu("3", "stale_telemetry"), gpu("4", "never_observed")]
    lines = idle_lines(found(gpus=[held, free, *silent]))
    assert lines[-4:] == [
        "Idle GPUs as of 2026-10-05 12:00 UTC: 2",
        "  h 0: held, not active by job/j since 10-05 12:00, $7.50 (partly_priced), $2.50/h, nlp",
        "  h 1: held by nobody since 10-05 12:00 or longer, - (awaiting_bill), (nobody)",
        "GPUs that nobody hears of, not called idle: 2 last sample too old, 1 no sample at all",
    ]
    assert idle_lines(found(gpus=[held, free]), rows=1)[-1] == "  ... and 1 more (--rows 0)"
    assert idle_lines(found())[-1] == "No GPU is idle"


def test_lost_work_that_nobody_tells_of_is_not_nothing() -> None:
    row = {"outcome": "failed", "attempts": 2, "cost_usd": Decimal(9), "rolled_back_usd": None, "rollback_unknown_usd": Decimal(9)}
    assert idle_lines(found(by_outcome=[row]))[3] == "  failed         2 attempts         $9.00   thrown away -, nobody tells for $9.00"


@pytest.mark.parametrize(("idle", "step"), [(0.0, 0), (0.199, 0), (0.2, 1), (0.5, 2), (0.79, 3), (0.8, 4), (1.0, 4)])
def test_five_steps_from_light_to_dark(idle: float, step: int) -> None:
    assert colour(idle) == SCALE[step]


def cell(key: str, day: dt.date, idle: float | None, known: float | None = 1.0, pool: str | None = "p") -> dict[str, Any]:
    return {
        "usage_date": day, "node": key.split("|")[0], "pool": pool, "gpu_key": key, "idle": idle, "known_ratio": known, "idle_usd": Decimal(1),
    }  # fmt: skip


def test_the_picture_hatches_what_is_not_known_and_escapes_names() -> None:
    tuesday = MONDAY + dt.timedelta(days=1)
    hostile = "<b>&\"'|i|gpu-0"
    rows = [cell(hostile, MONDAY, 1.0), cell(hostile, tuesday, None, None), cell("n|i|gpu-1", MONDAY, 0.0, 0.25, pool=None)]
    root = ET.fromstring(svg(rows, [MONDAY, tuesday], 3))  # noqa: S314 - our own text
    cells = [[rect.get("fill") for rect in group.iter(f"{SVG}rect")] for group in root.iter(f"{SVG}g")]
    # full and known; not known at all; idle 0 with three quarters hatched
    assert cells == [[SCALE[4]], ["url(#unknown)"], [SCALE[0], "url(#unknown)"]]
    titles = [title.text for title in root.iter(f"{SVG}title")]
    assert titles[0] == "<b>&\"' gpu-0, 2026-10-05: 100% idle of what is known; idle $1.00"
    assert titles[1] == "<b>&\"' gpu-0, 2026-10-06: unknown; idle $1.00"
    assert titles[2] == "n gpu-1, 2026-10-05: 0% idle of what is known, 75% unknown; idle $1.00"
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "Idle GPUs, 2026-10-05 to 2026-10-06 (UTC), the 2 dearest of 3 GPUs" in texts
    assert {"p", "(no pool)", "n gpu-1", "<b>&\"' gpu-0"} <= set(texts)


def test_same_rows_same_bytes() -> None:
    rows = [cell("n|i|gpu-1", MONDAY, 0.3)]
    assert svg(rows, [MONDAY], 1) == svg(list(rows), [MONDAY], 1)
