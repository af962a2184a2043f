"""Control totals: exact sums by the money rule, worked by hand and against Python's decimals; sealed into the marker."""

from __future__ import annotations

import json
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import DeliveryRefused
from pipelines.ingestion import control_totals as module
from pipelines.ingestion.control_totals import control_totals, merged
from pipelines.landing import MARKER, Landing
from pipelines.source import ControlTotal, Delivery

ALL = (None, None, None)


def measure(tmp_path: Path, columns: dict[str, Any], money: str = "m", **options: Any) -> tuple[ControlTotal, ...]:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table(columns), path)
    dimensions = {name: sql for name, sql in {"currency": "c", "account_id": "a", "invoice_id": "i"}.items() if sql in columns}
    return control_totals(path, money, dimensions, where="bill.csv", scratch=tmp_path, **options)


def one(tmp_path: Path, texts: list[Any], **options: Any) -> tuple[Decimal, Decimal]:
    (total,) = measure(tmp_path, {"m": texts}, **options)
    assert (total.currency, total.account_id, total.invoice_id, total.rows) == (*ALL, len(texts))
    return total.amount, total.conversion_delta


@pytest.mark.parametrize(
    ("text", "stored", "delta"),
    [
        ("32.77", "32.77", "0"),
        ("-5", "-5", "0"),
        ("+.5", "0.5", "0"),
        ("5.", "5", "0"),
        ("99999999999999.9", "99999999999999.9", "0"),
        ("5E-13", "0", "5e-13"),  # a tie goes to the even neighbour
        ("1.5e-12", "2e-12", "-5e-13"),
        ("2.5e-12", "2e-12", "5e-13"),
        ("-1.5E-12", "-2e-12", "5e-13"),
        ("-0.0000000000025", "-2e-12", "-5e-13"),
        ("0.000000000000500001", "1e-12", "-4.99999e-13"),
        ("0.9999999999995", "1", "-5e-13"),  # 999,999,999,999.5 units: up to the even 1,000,000,000,000
        ("5.000000000000001e-13", "0", "5e-13"),  # 24 places first: a tie
        ("5.000000000006e-13", "1e-12", "-4.99999999999e-13"),  # its 25th place goes up: 5.00000000001e-13, off the tie
        ("1E+3", "1000", "0"),
        ("12.5e1", "125", "0"),
        ("1.25e1", "12.5", "0"),
        ("0e999999999", "0", "0"),
        ("1e-400", "0", "0"),
        ("-0", "0", "0"),
    ],
)
def test_the_money_rule_by_hand(tmp_path: Path, text: str, stored: str, delta: str) -> None:
    assert one(tmp_path, [text]) == (Decimal(stored), Decimal(delta))
    assert one(tmp_path, [text] * 3) == (3 * Decimal(stored), 3 * Decimal(delta))


def test_numbers_are_taken_at_their_shortest_text(tmp_path: Path) -> None:
    assert one(tmp_path, pa.array([0.1, 0.2, 0.1, 5.2e-9, None], pa.float64())) == (Decimal("0.4000000052"), 0)
    assert one(tmp_path, pa.array([Decimal("0.1"), Decimal("-7.25")], pa.decimal128(10, 2))) == (Decimal("-7.15"), 0)
    assert one(tmp_path, pa.array([7, -9], pa.int64())) == (Decimal(-2), 0)


def test_totals_are_told_by_currency_account_and_invoice(tmp_path: Path) -> None:
    columns = {
        "m": ["1", "2", "4", "8", "", None],
        "c": ["USD", "USD", "EUR", "USD", "USD", "EUR"],
        "a": ["1", "1", "1", "2", "2", "3"],
        "i": ["", "77", "77", None, "", "77"],
    }
    assert measure(tmp_path, columns) == (
        ControlTotal("EUR", "1", "77", 1, Decimal(4), Decimal(0)),
        ControlTotal("EUR", "3", "77", 1, Decimal(0), Decimal(0)),
        ControlTotal("USD", "1", None, 1, Decimal(1), Decimal(0)),
        ControlTotal("USD", "1", "77", 1, Decimal(2), Decimal(0)),
        ControlTotal("USD", "2", None, 2, Decimal(8), Decimal(0)),
    )


def test_lists_of_further_amounts_are_converted_one_by_one(tmp_path: Path) -> None:
    columns = {"m": ["1.5e-12", "10"], "credits": [["-0.6e-12", "-0.6e-12"], []], "c": ["USD", "USD"]}
    (total,) = measure(tmp_path, columns, money_lists=["credits"])
    # 2e-12 - 1e-12 - 1e-12 + 10; taken away: -0.5e-12 + 0.4e-12 + 0.4e-12
    assert (total.rows, total.amount, total.conversion_delta) == (2, Decimal(10), Decimal("0.3e-12"))


AMOUNTS = st.one_of(
    st.floats(-9e13, 9e13).map(repr),
    st.floats(-1e-6, 1e-6).map(repr),
    st.integers(-(10**9), 10**9).map(lambda n: f"{n * 5}e-13"),
    st.decimals(-(10**13), 10**13, places=26).map(str),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(AMOUNTS, min_size=1, max_size=60))
def test_any_amounts_sum_as_python_sums_them(tmp_path: Path, texts: list[str]) -> None:
    with localcontext() as context:
        context.prec = 90
        exact = [Decimal(text).quantize(Decimal("1e-24"), ROUND_HALF_UP) for text in texts]
        stored = [x.quantize(Decimal("1e-12"), ROUND_HALF_EVEN) for x in exact]
        expected = (sum(stored), sum(exact) - sum(stored))
        assert one(tmp_path, texts) == expected
        halves = merged([*measure(tmp_path, {"m": texts[::2]}), *(measure(tmp_path, {"m": texts[1::2]}) if texts[1:] else ())])
        assert halves == (ControlTotal(*ALL, len(texts), *expected),)


def test_a_conversion_that_loses_more_than_rounding_may_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HALF", 900_000_000_000)  # an engine that rounds down what should go up
    with pytest.raises(DeliveryRefused, match="converting 2 amounts changed their sum by 1.60*E-12; rounding may change it by 1.0E-12"):
        one(tmp_path, ["0.8e-12", "0.8e-12"])
    assert one(tmp_path, ["0.4e-12"]) == (0, Decimal("0.4e-12"))


def test_only_known_dimensions_are_taken(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="region"):
        control_totals(tmp_path / "x", "m", {"region": "r"}, where="x", scratch=tmp_path)


def seal(landing: Landing, controls: tuple[ControlTotal, ...]) -> Delivery:
    with landing.stage("bill", "aws_cur", "2026-10") as staging:
        path = staging.path("line_items")
        pq.write_table(pa.table({"m": ["1"]}), path)
        staging.add("line_items", path, rows=1)
        return staging.seal(order="1", covers=None, controls=controls)


def test_controls_are_sealed_with_the_delivery_and_are_part_of_what_it_is(tmp_path: Path) -> None:
    landing = Landing(tmp_path / "raw")
    controls = (ControlTotal("USD", "1", None, 3, Decimal("98.317800000000"), Decimal("-5E-13")),)
    sealed = seal(landing, controls)
    assert sealed.controls == controls and landing.current("bill", "2026-10") == sealed
    marker = json.loads((landing.delivery_folder("bill", "2026-10", sealed.delivery_id) / MARKER).read_text())
    assert marker["controls"] == [
        {"currency": "USD", "account_id": "1", "invoice_id": None, "rows": 3, "amount": "98.317800000000", "conversion_delta": "-0.0000000000005"}
    ]  # fmt: skip
    without = seal(landing, ())
    assert without.controls == () and without.delivery_id != sealed.delivery_id


def test_markers_from_before_there_were_controls_still_load(tmp_path: Path) -> None:
    landing = Landing(tmp_path / "raw")
    sealed = seal(landing, ())
    path = landing.delivery_folder("bill", "2026-10", sealed.delivery_id) / MARKER
    marker = json.loads(path.read_text())
    del marker["controls"]
    path.write_text(json.dumps(marker))
    assert landing.current("bill", "2026-10") == sealed
