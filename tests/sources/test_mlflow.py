"""MLflow runs."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from pipelines.errors import DeliveryRefused
from tests.sources.fixtures import mlflow as fixture
from tests.sources.reading import DAY, fetch, reasons, rows

COLUMNS = ("run_id", "run_name", "experiment_id", "status", "started_at", "ended_at", "tags", "parent_run_id")


def test_rest_answer_and_flat_export(tmp_path):
    flat, rest = fetch("mlflow", tmp_path, **fixture.write(tmp_path / "in"))
    ten = dt.datetime(2026, 10, 5, 10)
    assert rows(rest, *COLUMNS) == [
        ("r1", "calm-owl", "7", "FINISHED", ten, dt.datetime(2026, 10, 5, 11), '{"mlflow.user":"ann","team":"core"}', None),
        ("r2", "child", "7", "RUNNING", ten, None, '{"mlflow.parentRunId":"r1","mlflow.runName":"child"}', "r1"),
    ]
    assert reasons(rest) == {"no run_id": (1, 3)}
    assert rows(flat, *COLUMNS) == [
        (
            "r3",
            "bold-fox",
            "7",
            "FAILED",
            ten,
            dt.datetime(2026, 10, 5, 10, 30),
            '{"mlflow.user":"bob","mlflow.runName":"bold-fox","team":"search"}',
            None,
        ),
        ("r4", None, "7", "RUNNING", ten, None, '{"mlflow.user":"bob"}', None),
    ]
    assert flat.covers == (DAY, dt.date(9999, 12, 31))  # a crashed run stays RUNNING for ever


@pytest.mark.parametrize("lines", [True, False])
def test_one_run_a_line_or_an_array(tmp_path, lines):
    runs = fixture.ANSWER["runs"][:2]
    (tmp_path / "in").mkdir()
    text = "\n".join(map(json.dumps, runs)) if lines else json.dumps(runs)
    (tmp_path / "in/runs.json").write_text(text)
    (delivery,) = fetch("mlflow", tmp_path, location=str(tmp_path / "in"))
    assert rows(delivery, "run_id", "parent_run_id") == [("r1", None), ("r2", "r1")]


def test_answer_without_runs_is_empty_not_broken(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/none.json").write_text('{"runs": []}')
    (delivery,) = fetch("mlflow", tmp_path, location=str(tmp_path / "in"))
    assert (delivery.files[0].rows, delivery.covers, delivery.rejected) == (0, None, ())
    (tmp_path / "in/none.json").write_text("")
    with pytest.raises(DeliveryRefused, match="empty file"):
        fetch("mlflow", tmp_path, location=str(tmp_path / "in"))
    (tmp_path / "in/never.json").write_text('{"runs": [{"info": {"run_id": "a", "start_time": "never"}, "data": {"tags": "x"}}]}')
    (delivery,) = fetch("mlflow", tmp_path, location=str(tmp_path / "in"), include="never.json")
    assert delivery.files[0].rows == 0
    assert reasons(delivery) == {"no start, or its time cannot be read": (1, 1)}


def test_odd_tags_are_counted(tmp_path):
    (tmp_path / "in").mkdir()
    run = {"info": {"run_id": "a", "start_time": 1791194400000, "end_time": "soon"}, "data": {"tags": "x"}}
    (tmp_path / "in/a.jsonl").write_text(json.dumps(run))
    (delivery,) = fetch("mlflow", tmp_path, location=str(tmp_path / "in"))
    assert rows(delivery, "run_id", "ended_at", "tags") == [("a", None, None)]
    assert reasons(delivery) == {"ended_at is not a TIMESTAMP: kept as NULL": (1, 1), "tags is not a JSON: kept as NULL": (1, 1)}
