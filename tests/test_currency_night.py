"""A bill in kroner and euros, by a dated table of rates that changes within the month.

14 October 2026: 1 krone = $0.095, from the 15th $0.1; a euro is $1.0825 all month. Each day bills 100.5 NOK of storage; the 14th 20 EUR
too. So the 14th is 100.5 x 0.095 = $9.5475 and 20 x 1.0825 = $21.65, the 15th $10.05: $41.2475; control totals are 201 NOK and 20 EUR.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines import nightly
from pipelines.errors import GateError
from tests.oracle.night import Bench
from tests.sources.fixtures import gcp_billing as gcp

FIRST, LAST = dt.date(2026, 10, 14), dt.date(2026, 10, 15)
RATES = "currency,rate_to_usd,valid_from,valid_to\nNOK,0.095,2026-10-01,\nNOK,0.1,2026-10-15,\nEUR,1.0825,2026-10-01,\n"
DOOR = (nightly.ingest, nightly.plan, nightly.check_door)
ALL_STAGES = tuple(stage for _, stage in nightly.STAGES)


def charge(day: dt.date, cost: float, currency: str) -> dict[str, Any]:
    start = dt.datetime.combine(day, dt.time(10), dt.UTC)
    return gcp.row(
        usage_start_time=start,
        usage_end_time=start + dt.timedelta(hours=1),
        export_time=dt.datetime(2026, 10, 16, tzinfo=dt.UTC),
        service={"id": "95FF-2EF5-5EA1", "description": "Cloud Storage"},
        sku={"id": "E5F0-6A5D-7BAD", "description": "Standard Storage"},
        cost=cost,
        cost_at_list=cost,
        currency=currency,
        cost_type="regular",
        invoice={"month": "202610", "publisher_type": "GOOGLE"},
    )


def write(folder: Path, rates: str = RATES, extra: tuple[dict[str, Any], ...] = ()) -> Path:
    for name in ("bill", "rates"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rows = [charge(FIRST, 100.5, "NOK"), charge(FIRST, 20.0, "EUR"), charge(LAST, 100.5, "NOK"), *extra]
    gcp.write_json(folder / "bill" / "rows.jsonl", rows)
    (folder / "rates" / "rates.csv").write_text(rates)
    (folder / "apportion.yml").write_text(
        "sources:\n- {name: gcp, kind: gcp_billing, location: ./bill}\n- {name: fx, kind: currency_rates, location: ./rates}\n"
    )
    return folder


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


@pytest.mark.slow
def test_each_day_is_converted_at_its_own_rate(bench: Bench, tmp_path: Path) -> None:
    bench.night(write(tmp_path), "both", FIRST, LAST, stages=ALL_STAGES)
    buckets = bench.read(
        "both",
        "select usage_date, currency, exchange_rate, source_cost, effective_cost, billed_cost, list_cost from published.fct_charge_bucket order by all",
    )
    dollars = {text: Decimal(text) for text in ("9.5475", "21.65", "10.05")}
    assert buckets == [
        (FIRST, "EUR", Decimal("1.0825"), Decimal(20), *[dollars["21.65"]] * 3),
        (FIRST, "NOK", Decimal("0.095"), Decimal("100.5"), *[dollars["9.5475"]] * 3),
        (LAST, "NOK", Decimal("0.1"), Decimal("100.5"), *[dollars["10.05"]] * 3),
    ]
    ledger = bench.read(
        "both", "select currency, exchange_rate, sum(effective_cost) from published.fct_cost_allocation group by all order by all"
    )
    assert ledger == [
        ("EUR", Decimal("1.0825"), dollars["21.65"]),
        ("NOK", Decimal("0.095"), dollars["9.5475"]),
        ("NOK", Decimal("0.1"), dollars["10.05"]),
    ]
    residuals = bench.read(
        "both",
        "select currency, delivered_rows, delivery_residual, allocation_residual_usd from published.fct_reconciliation order by 1",
    )
    assert residuals == [("EUR", 1, 0, 0), ("NOK", 2, 0, 0)]
    totals = bench.read("both", "select currency, sum(source_cost) from intermediate.int_control_totals group by 1 order by 1")
    assert totals == [("EUR", 20), ("NOK", 201)]  # as delivered, never converted


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        # no rate at all
        (
            RATES.replace("EUR,1.0825,2026-10-01,\n", ""),
            ["the currency has a rate to US dollars", "kind currency_rates", '"currency": "EUR"'],
        ),
        # a rate, but none yet on the first day
        (
            RATES.replace("NOK,0.095,2026-10-01,\n", ""),
            ["rate to US dollars on its own day", '"currency": "NOK"', '"day_without_rate": "2026-10-14"'],
        ),
        # a rate that ended
        (
            RATES.replace("NOK,0.1,2026-10-15,\n", "").replace("0.095,2026-10-01,", "0.095,2026-10-01,2026-10-15"),
            ['"day_without_rate": "2026-10-15"'],
        ),
        (RATES + "NOK,0.11,2026-10-15,\n", ["a currency has one rate on a day", '"currency": "NOK"']),
        (RATES.replace("2026-10-01,\nNOK", "2026-10-01,2026-10-20\nNOK"), ["a currency has one rate on a day"]),
    ],
)
def test_a_charge_without_one_rate_is_refused_at_the_door(bench: Bench, tmp_path: Path, rates: str, words: list[str]) -> None:
    with pytest.raises(GateError) as caught:
        bench.night(write(tmp_path, rates), f"door-{abs(hash(rates))}", FIRST, LAST, stages=DOOR)
    assert [word for word in words if word not in str(caught.value)] == []


def test_two_prices_for_one_node_are_refused_at_the_door(bench: Bench, tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "card").mkdir()
    header = "provider,gpu_model,pool,rate_unit,hourly_rate,currency,valid_from\n"
    # the same words in another spelling; another beginning, another unit of another pool and a currency without a rate do no harm to it
    (folder / "card" / "a.csv").write_text(header + "aws,A100 80GB,,gpu_hour,4,,2026-10-01\naws,A100 80GB,,gpu_hour,5,,2026-10-10\n")
    (folder / "card" / "b.csv").write_text(header + "AWS,a100-80gb,,node_hour,30,,2026-10-01\n,,lab,gpu_hour,1,SEK,2026-10-15\n")
    with (folder / "apportion.yml").open("a") as handle:
        handle.write("- {name: card, kind: rate_card, location: ./card}\n")
    with pytest.raises(GateError) as caught:
        bench.night(folder, "ambiguous", FIRST, LAST, stages=DOOR)
    text = str(caught.value)
    assert "no two prices begin at once for the same provider, pool and GPU model; column hourly_rate; 1 unexpected" in text
    assert '"prices": "4 USD per gpu_hour, 30 USD per node_hour"' in text
    assert '"currency": "SEK", "day_without_rate": "2026-10-15"' in text
