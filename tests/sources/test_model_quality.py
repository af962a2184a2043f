"""Quality of model versions: a table is used whole or not at all; nothing of what makes two figures comparable is guessed."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import pytest

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.file_source import LAST_DAY
from tests.sources.fixtures import model_quality as fixture
from tests.sources.reading import fetch, rows

HEAD = "model,model_version,run_id,metric,evaluation_set,quality,is_higher_better,measured_at\n"
GOOD = "m,1,,auc,s,0.5,true,2026-10-01\n"


def test_the_table_as_it_was_written(tmp_path):
    (delivery,) = fetch("model_quality", tmp_path, **fixture.write(tmp_path / "in"))
    found = rows(delivery, "model", "model_version", "run_id", "metric", "evaluation_set", "quality", "is_higher_better", "measured_at")
    assert found[0] == ("churn", "3", "r-11", "auc", "holdout-2026q3", "0.871", True, dt.datetime(2026, 10, 1, 6, 30))
    assert found[1][7] == dt.datetime(2026, 10, 5, 6, 30)  # 08:30 at +02:00 is 06:30 UTC
    assert (found[3][2], found[3][6]) == (None, False)


def test_a_measurement_holds_until_the_next_so_it_touches_every_later_day(tmp_path):
    (delivery,) = fetch("model_quality", tmp_path, **fixture.write(tmp_path / "in"))
    assert delivery.covers == (dt.date(2026, 10, 1), LAST_DAY)


def test_json_numbers_and_booleans(tmp_path):
    (tmp_path / "in").mkdir()
    row = {"model": "m", "model_version": 7, "metric": "wer", "evaluation_set": "s", "quality": 0.125, "is_higher_better": False}
    (tmp_path / "in" / "q.jsonl").write_text(json.dumps(row | {"measured_at": 1791158400}) + "\n")
    (delivery,) = fetch("model_quality", tmp_path, location=str(tmp_path / "in"))
    # 1,791,158,400 s after the epoch is 2026-10-05 00:00 UTC
    found = rows(delivery, "model_version", "quality", "is_higher_better", "measured_at")
    assert [(v, Decimal(q), b, at) for v, q, b, at in found] == [("7", Decimal("0.125"), False, dt.datetime(2026, 10, 5))]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (",1,,auc,s,0.5,true,2026-10-01", "no model"),
        ("m,,,auc,s,0.5,true,2026-10-01", "no model_version"),
        ("m,1,,,s,0.5,true,2026-10-01", "no metric"),
        ("m,1,,auc,,0.5,true,2026-10-01", "no evaluation_set"),
        ("m,1,,auc,s,,true,2026-10-01", "no quality, or not a decimal number"),
        ("m,1,,auc,s,NaN,true,2026-10-01", "no quality, or not a decimal number"),
        ("m,1,,auc,s,0.5,,2026-10-01", "is_higher_better is neither true nor false"),
        ("m,1,,auc,s,0.5,maybe,2026-10-01", "is_higher_better is neither true nor false"),
        ("m,1,,auc,s,0.5,true,", "no measured_at"),
        ("m,1,,auc,s,0.5,true,20261001", "no measured_at"),
    ],
)
def test_a_row_that_cannot_be_used_refuses_the_table(tmp_path, row, said):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "quality.csv").write_text(HEAD + GOOD + row + "\n")
    with pytest.raises(DeliveryRefused, match=said) as refused:
        fetch("model_quality", tmp_path, location=str(tmp_path / "in"))
    assert "row 2" in str(refused.value) and "correct the row" in str(refused.value)
