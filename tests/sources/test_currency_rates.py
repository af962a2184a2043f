"""Tables of exchange rates at landing."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import DeliveryRefused
from tests.sources.fixtures import currency_rates as fixture
from tests.sources.reading import fetch, rows

COLUMNS = ("currency", "rate_to_usd", "valid_from", "valid_to")


def put(folder: Path, name: str, text: str) -> dict[str, Any]:
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in" / name).write_text(text)
    return {"location": str(folder / "in")}


def test_rates_are_read_with_their_days(tmp_path: Path) -> None:
    (delivery,) = fetch("currency_rates", tmp_path, **fixture.write(tmp_path / "in"))
    first, middle = dt.datetime(2026, 10, 1), dt.datetime(2026, 10, 15)
    assert rows(delivery, *COLUMNS) == [
        ("NOK", "0.095", first, None),
        ("NOK", "0.1", middle, dt.datetime(2026, 11, 1)),
        ("EUR", "1.0825", first, dt.datetime(2026, 10, 31)),
    ]
    assert delivery.covers == (dt.date(2026, 10, 1), dt.date(9999, 12, 31))


def test_short_names_and_json(tmp_path: Path) -> None:
    entry = put(tmp_path, "r.jsonl", json.dumps({"currency_code": "eur", "rate": 1.0825, "date": "2026-10-01"}) + "\n")
    (delivery,) = fetch("currency_rates", tmp_path, **entry)
    assert rows(delivery, *COLUMNS) == [("EUR", "1.0825", dt.datetime(2026, 10, 1), None)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (",0.1,2026-10-01,", "currency is not three letters"),
        ("kr,0.1,2026-10-01,", "currency is not three letters"),
        ("NOK,,2026-10-01,", "no rate_to_usd"),
        ("NOK,nan,2026-10-01,", "not a decimal number"),
        ("NOK,0,2026-10-01,", "rate_to_usd is not above 0"),
        ("NOK,-0.1,2026-10-01,", "rate_to_usd is not above 0"),
        ("NOK,1e-13,2026-10-01,", "rate_to_usd is not above 0"),  # it would be stored as 0
        ("USD,1.01,2026-10-01,", "a US dollar is 1 US dollar"),
        ("NOK,0.1,,", "no valid_from"),
        ("NOK,0.1,yesterday,", "no valid_from, or not a date"),
        ("NOK,0.1,2026-10-01T12:00:00Z,", "a rate holds for whole UTC days"),
        ("NOK,0.1,2026-10-01T00:00:00+02:00,", "a rate holds for whole UTC days"),
        ("NOK,0.1,2026-10-02,2026-10-02", "valid_to is not after valid_from"),
    ],
)
def test_one_bad_row_refuses_the_table_by_row(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(DeliveryRefused, match=words) as caught:
        fetch(
            "currency_rates", tmp_path, **put(tmp_path, "r.csv", f"currency,rate_to_usd,valid_from,valid_to\nEUR,1.1,2026-10-01,\n{line}\n")
        )
    assert str(caught.value.where).endswith("r.csv, row 2")
