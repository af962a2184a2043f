"""The benchmark at a tiny size: its report is complete and its results are right. No test asserts a time."""

from __future__ import annotations

import json

import pytest

from bench.__main__ import bench


@pytest.mark.slow
def test_a_tiny_company_is_measured_whole(tmp_path):
    text = bench(tmp_path / "bench", gpus=8, charges=400, nights=2)
    result = json.loads((tmp_path / "bench" / "night-1.json").read_text())
    assert [s["stage"] for s in result["stages"]] == ["ingest", "plan", "check_door", "transform", "check_exit", "publish"]
    assert {"staging", "intermediate/gpu", "intermediate/allocation", "intermediate/charges", "marts", "tests", "frame"} <= set(
        result["layers"]
    )
    assert float(result["facts"]["residual_usd"]) == 0
    assert result["facts"]["charges"] == 400
    assert result["facts"]["gpu_hours"] == 8 * 24
    assert any(line.startswith("night 2:") for line in text) and any("x scan" in line for line in text)
