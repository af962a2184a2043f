"""Rate cards at landing: spellings, exact money, and no row left out in silence."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import DeliveryRefused
from tests.sources.fixtures import rate_card as fixture
from tests.sources.reading import fetch, rows

COLUMNS = ("provider", "gpu_model", "pool", "rate_unit", "hourly_rate", "currency", "valid_from", "valid_to", "is_bill")
HEADER = ",".join(COLUMNS)


def put(folder: Path, name: str, text: str) -> dict[str, Any]:
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in" / name).write_text(text)
    return {"location": str(folder / "in")}


def test_a_card_is_read_in_its_spellings(tmp_path: Path) -> None:
    (delivery,) = fetch("rate_card", tmp_path, **fixture.write(tmp_path / "in"))
    october, november = dt.datetime(2026, 10, 1), dt.datetime(2026, 11, 1)
    assert rows(delivery, *COLUMNS) == [
        ("aws", "A100", None, "gpu_hour", "4.10", "USD", october, None, False),
        ("aws", "A100", "spot", "gpu_hour", "1.25", "USD", october, november, False),
        (None, None, "lab", "node_hour", "12.5", "NOK", dt.datetime(2026, 1, 1), dt.datetime(2026, 10, 15), True),
        (None, "H100 80GB", None, "gpu_hour", "2.000000000001", "USD", None, None, True),
    ]
    assert delivery.rejected == ()
    assert delivery.covers == (dt.date(1, 1, 1), dt.date(9999, 12, 31))


def test_other_names_and_other_formats_say_the_same(tmp_path: Path) -> None:
    row = {"gpu_model": "L4", "unit": "node hour", "price": 0.1, "is_bill": True, "valid_from": "2026-10-05T02:00:00+02:00"}
    entry = put(tmp_path, "a.jsonl", json.dumps(row) + "\n")
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "in" / "b.parquet")
    found = [rows(delivery, *COLUMNS) for delivery in fetch("rate_card", tmp_path, **entry)]
    assert found[0] == [(None, "L4", None, "node_hour", "0.1", "USD", dt.datetime(2026, 10, 5), None, True)]
    assert found[1] == found[0]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("aws,A100,,week,4,,,,", "rate_unit is neither gpu_hour nor node_hour"),
        ("aws,A100,,,4,,,,", "rate_unit is neither"),
        ("aws,A100,,gpu_hour,,,,,", "no hourly_rate"),
        ("aws,A100,,gpu_hour,$4,,,,", "not a decimal number"),
        ("aws,A100,,gpu_hour,NaN,,,,", "not a decimal number"),
        ("aws,A100,,gpu_hour,inf,,,,", "not a decimal number"),
        ('aws,A100,,gpu_hour,"1,234.5",,,,', "not a decimal number"),
        ("aws,A100,,gpu_hour,1e15,,,,", "not a decimal number"),
        ("aws,A100,,gpu_hour,-0.5,,,,", "hourly_rate is negative"),
        ("aws,A100,,gpu_hour,4,kroner,,,", "currency is not three letters"),
        ("aws,--,,gpu_hour,4,,,,", "gpu_model has no letter and no digit"),
        ("aws,A100,,gpu_hour,4,,2026-10-05,2026-10-05,", "valid_to is not after valid_from"),
        ("aws,A100,,gpu_hour,4,,soon,,", "valid_from is not a TIMESTAMP"),
        ("aws,A100,,gpu_hour,4,,,,perhaps", "is_bill is not a BOOLEAN"),
    ],
)
def test_one_bad_row_refuses_the_card_by_row(tmp_path: Path, line: str, words: str) -> None:
    """Without it the next best rule would price those hours, and nobody would know."""
    with pytest.raises(DeliveryRefused, match=words) as caught:
        fetch("rate_card", tmp_path, **put(tmp_path, "r.csv", f"{HEADER}\naws,,,gpu_hour,1,,,,\n{line}\n"))
    assert str(caught.value.where).endswith("r.csv, row 2")
    assert "used whole or not at all" in str(caught.value.remedy)


def test_a_card_without_a_price_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeliveryRefused, match="hourly_rate or rate or price or amount"):
        fetch("rate_card", tmp_path, **put(tmp_path, "r.csv", "gpu_model,rate_unit\nA100,gpu_hour\n"))
