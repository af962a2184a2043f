"""Carbon factors: a table is used whole or not at all, and each row says whose figure it is."""

from __future__ import annotations

import datetime as dt

import pytest

from pipelines.errors import DeliveryRefused
from tests.sources.fixtures import carbon_factors as fixture
from tests.sources.reading import fetch, rows

HEAD = "provider,region,zone,cluster,valid_from,valid_to,grams_co2e_per_kwh,pue,source\n"


def test_the_table_as_it_was_written(tmp_path):
    (delivery,) = fetch("carbon_factors", tmp_path, **fixture.write(tmp_path / "in"))
    found = rows(delivery, "provider", "region", "zone", "grams_co2e_per_kwh", "pue", "stated_source", "valid_from", "valid_to")
    assert found[0] == (
        "aws",
        "us-east-1",
        None,
        "380.5",
        "1.15",
        "supplier's statement 2025, location based",
        dt.datetime(2026, 1, 1),
        None,
    )
    assert found[1][4] is None and found[1][7] == dt.datetime(2026, 7, 1)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("aws,r,,,,,,,s", "no grams_co2e_per_kwh"),
        ("aws,r,,,,,much,,s", "not a decimal number"),
        ("aws,r,,,,,-1,,s", "not from 0 to 10,000"),
        ("aws,r,,,,,380.5,0.9,s", "pue is not from 1 to 10"),
        ("aws,r,,,,,380.5,fine,s", "pue is not a decimal number"),
        ("aws,r,,,,,380.1234567,,s", "more than six decimals"),
        ("aws,r,,,,,380.5,,", "no stated_source"),
        (",,,,,,380.5,,s", "no place"),
        ("aws,r,,,2026-01-01T12:00:00Z,,380.5,,s", "not a day"),
        ("aws,r,,,2026-02-01,2026-02-01,380.5,,s", "valid_to is not after valid_from"),
    ],
)
def test_a_row_that_cannot_be_used_refuses_the_table(tmp_path, row, said):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "factors.csv").write_text(HEAD + "gcp,x,,,,,1,,good\n" + row + "\n")
    with pytest.raises(DeliveryRefused, match=said):
        fetch("carbon_factors", tmp_path, location=str(tmp_path / "in"))
