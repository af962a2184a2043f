"""Revenue per 1,000 requests: whole UTC days, no negative, used whole or not at all."""

from __future__ import annotations

import datetime as dt

import pytest

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.file_source import LAST_DAY
from tests.sources.fixtures import revenue as fixture
from tests.sources.reading import fetch, rows

HEAD = "endpoint,model,revenue_per_1k_usd,valid_from,valid_to\n"


def test_the_table_as_it_was_written(tmp_path):
    (delivery,) = fetch("revenue", tmp_path, **fixture.write(tmp_path / "in"))
    found = rows(delivery, "endpoint", "model", "revenue_per_1k_usd", "valid_from", "valid_to")
    assert found[0] == ("chat", None, "2.50", dt.datetime(2026, 1, 1), None)
    assert found[2] == ("chat", "llama-70b", "4.125", dt.datetime(2026, 10, 1), dt.datetime(2026, 11, 1))
    assert found[3][2] == "0"  # somebody says that it earns nothing: that is a figure
    assert delivery.covers == (dt.date(2026, 1, 1), LAST_DAY)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (",,2,2026-10-01,", "no endpoint"),
        ("chat,,,2026-10-01,", "no revenue_per_1k_usd, or not a decimal number"),
        ("chat,,much,2026-10-01,", "no revenue_per_1k_usd, or not a decimal number"),
        ("chat,,-1,2026-10-01,", "revenue_per_1k_usd is negative"),
        ("chat,,0.1234567,2026-10-01,", "more than six decimals"),
        ("chat,,1e-15,2026-10-01,", "more than six decimals"),
        ("chat,,2,,", "no valid_from"),
        ("chat,,2,2026-10-01T12:00:00Z,", "not a day"),
        ("chat,,2,2026-10-02,2026-10-02", "valid_to is not after valid_from"),
    ],
)
def test_a_row_that_cannot_be_used_refuses_the_table(tmp_path, row, said):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "revenue.csv").write_text(HEAD + "ranker,,1,2026-10-01,\n" + row + "\n")
    with pytest.raises(DeliveryRefused, match=said) as refused:
        fetch("revenue", tmp_path, location=str(tmp_path / "in"))
    assert "row 2" in str(refused.value) and "correct the row" in str(refused.value)
