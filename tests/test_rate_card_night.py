"""Nights without a bill, or before it: estimates beside the ledger, their replacement, and a rate card that is the bill.

5 October 2026, 10:00 to 11:30: cloud-n (2 x A100, billed by AWS later) runs R on GPU 0 for the first hour at 75 %, nothing else. By the card
a GPU-hour is $4: 2 GPUs x 1.5 h x $4 = $12, of it R's hour $4 (used $3, idle $1), the other 2 GPU-hours $8. rack-n (own, 4 GPUs,
in the inventory from 06:30) costs 12.5 kroner an hour, the krone $0.095: 17.5 h are 218.75 NOK = $20.78125. other-n has no price.
"""

from __future__ import annotations

import datetime as dt
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines import nightly
from pipelines.errors import GateError
from tests.oracle import files
from tests.oracle.night import RELEASE_STAGES, Bench
from tests.oracle.plan import Charge, Cluster, Sample

pytestmark = pytest.mark.slow
DAY = dt.date(2026, 10, 5)
MIDNIGHT = int(dt.datetime(2026, 10, 5, tzinfo=dt.UTC).timestamp())
TEN = MIDNIGHT + 36_000
RUN, OWN = "training_run/R", "training_run/Q"
PLAN = (nightly.ingest, nightly.plan)
ALL_STAGES = tuple(stage for _, stage in nightly.STAGES)

CARD = """provider,gpu_model,pool,rate_unit,hourly_rate,currency,valid_from,valid_to,is_bill
aws,A100,,gpu_hour,4.00,,2026-10-01,,
,,lab,node_hour,12.5,NOK,2026-01-01,,yes
"""
CURRENCIES = "currency,rate_to_usd,valid_from,valid_to\nNOK,0.095,2026-10-01,\nNOK,0.095,2026-10-06,\n"
NODES = """hostname,provider,resource_id,gpu_count,gpu_model,pool,valid_from,valid_to,labels
cloud-n,aws,i-cloud,2,NVIDIA A100-SXM4-40GB,train,2026-10-05T10:00:00Z,2026-10-05T11:30:00Z,{}
rack-n,aws,rack-7,4,NVIDIA H100 80GB HBM3,lab,2026-10-05T06:30:00Z,,"{""team"": ""lab""}"
other-n,gcp,vm-9,1,NVIDIA L4,,2026-10-05T10:00:00Z,2026-10-05T11:00:00Z,{}
"""
INTERVALS = f"""workload_type,workload_id,attempt_id,started_at,ended_at,hostname,gpu_ids,gpu_count
training_run,R,1,{files.utc(TEN)},{files.utc(TEN + 3600)},cloud-n,GPU-0,
training_run,Q,1,{files.utc(MIDNIGHT + 8 * 3600)},{files.utc(MIDNIGHT + 10 * 3600)},rack-n,,4
"""


def charge(resource: str, hour: int, dollars: str, hours: str = "1") -> dict[str, Any]:
    (row,) = files.bill_rows(Cluster("c", charges=[Charge(resource, hour, unblended=dollars, usage_hours=hours)]))
    return row


def write(folder: Path, bill: list[dict[str, Any]] | None = None, card: str = CARD, currencies: str = CURRENCIES) -> Path:
    """The inputs of the night; the bill is there and empty as long as none is given."""
    files.write_bill(folder / "bill", bill or [])
    for name, text in (("nodes", NODES), ("workloads", INTERVALS), ("card", card), ("currencies", currencies)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / f"{name}.csv").write_text(text)
    samples = [
        Sample((TEN + n * 30) * 1_000_000, "cloud-n", f"GPU-{gpu}", str(gpu), "", "a", sm_active="0.75" if gpu == 0 and n < 120 else "0")
        for gpu in (0, 1)
        for n in range(180)
    ]
    files.write_samples(folder / "telemetry-30", "page", "wide_csv", samples)
    files.write_settings(
        folder, [30], extra=["{name: card, kind: rate_card, location: ./card}", "{name: fx, kind: currency_rates, location: ./currencies}"]
    )
    return folder


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def inputs(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days without a bill, published; home `first` is left as it is."""
    folder = write(tmp_path_factory.mktemp("inputs"))
    bench.night(folder, "first", DAY, DAY + dt.timedelta(days=1), stages=RELEASE_STAGES)
    return folder


@pytest.fixture(scope="module")
def billed(bench: Bench, inputs: Path) -> Path:
    """The bill has come: $7.50 for the first hour of cloud-n, $4 for the half hour after it."""
    copy(bench, "billed")
    write(inputs, [charge("i-cloud", TEN, "7.5"), charge("i-cloud", TEN + 3600, "4", "0.5")])
    night = bench.night(inputs, "billed", DAY, stages=ALL_STAGES)
    assert night.planned.dirty_days == {DAY}
    return inputs


def copy(bench: Bench, name: str) -> None:
    """A home that has seen what `first` has seen."""
    shutil.copytree(bench.home("first"), bench.root / f"away-{name}", symlinks=True)


def estimates(bench: Bench, name: str, node: str = "cloud-n", day: dt.date = DAY) -> list[tuple[Any, ...]]:
    return bench.read(
        name,
        "select workload_key, attempt_key, cost_class, pricing_status, gpu_seconds, estimated_cost_usd, effective_cost_usd, difference_usd, reason"
        " from published.fct_cost_estimate where node = ? and usage_date = ? order by all nulls first",
        [node, day],
    )


def money(text: str) -> Decimal:
    return Decimal(text)


def test_what_awaits_its_bill_is_estimated_beside_the_ledger(bench: Bench, inputs: Path) -> None:
    assert estimates(bench, "first") == [
        (None, None, "unallocated_idle", "estimated", 7200, money("8"), None, None, None),
        (RUN, f"{RUN}/1", "held_idle", "estimated", 900, money("1"), None, None, None),
        (RUN, f"{RUN}/1", "used", "estimated", 2700, money("3"), None, None, None),
    ]
    rules = bench.read(
        "first", "select distinct rate_rule, rate_unit, hourly_rate_usd from published.fct_cost_estimate where node = 'cloud-n'"
    )
    assert rules == [("card/aws/any/A100/gpu_hour/2026-10-01 00.00", "gpu_hour", money("4"))]
    assert bench.read("first", "select count(*) from published.fct_cost_allocation where node = 'cloud-n'") == [(0,)]


def test_without_a_price_there_is_a_reason_and_no_zero(bench: Bench, inputs: Path) -> None:
    assert estimates(bench, "first", "other-n") == [(None, None, "unknown", "awaiting_bill", 3600, None, None, None, "no_rate")]


def test_a_run_shows_its_estimate_beside_its_cost(bench: Bench, inputs: Path) -> None:
    query = (
        "select pricing_status, run_cost_usd, awaiting_bill_gpu_seconds, estimated_gpu_seconds, estimated_cost_usd"
        " from published.fct_run_cost where workload_key = ?"
    )
    assert bench.read("first", query, [RUN]) == [("awaiting_bill", None, 3600, 3600, money("4"))]
    # two of the rack's 17.5 hours: 25 NOK; the rate card is the bill, nothing is estimated
    assert bench.read("first", query, [OWN]) == [("priced", money("2.375"), 0, 0, None)]


def test_the_rate_card_is_the_bill_of_the_rack(bench: Bench, inputs: Path) -> None:
    total, seconds, charges = bench.read(
        "first",
        "select sum(effective_cost), sum(gpu_seconds), count(distinct bucket_key) from published.fct_cost_allocation"
        " where node = 'rack-n' and usage_date = ?",
        [DAY],
    )[0]
    assert (total, charges) == (money("20.78125"), 18)
    # the bucket of 08:00 and 09:00 is held by Q: its GPU-seconds are on the ledger, the others have no telemetry at all
    assert seconds == 4 * 2 * 3600
    bucket = bench.read(
        "first",
        "select source, provider, line_item_type, currency, exchange_rate, source_cost, billed_cost, effective_cost, net_cost, list_cost, usage_quantity"
        " from published.fct_charge_bucket where resource_id = 'rack-7' and window_start = '2026-10-05 06:00:00'",
    )
    paid = money("0.59375")  # 30 minutes: 6.25 NOK
    assert bucket == [("card", "rate_card", "RateCard", "NOK", money("0.095"), money("6.25"), paid, paid, paid, paid, money("0.5"))]
    assert estimates(bench, "first", "rack-n") == []
    team = bench.read("first", "select distinct team from published.fct_cost_allocation where node = 'rack-n' and workload_key is null")
    assert team == [("lab",)]


def test_the_bill_replaces_the_estimate_and_tells_the_difference(bench: Bench, billed: Path) -> None:
    """R's hour of GPU 0 is half of $7.50: 2.8125 used, 0.9375 idle; the rest 3.75 + 4."""
    assert estimates(bench, "billed") == [
        (None, None, "unallocated_idle", "replaced", 7200, money("8"), money("7.75"), money("-0.25"), None),
        (RUN, f"{RUN}/1", "held_idle", "replaced", 900, money("1"), money("0.9375"), money("-0.0625"), None),
        (RUN, f"{RUN}/1", "used", "replaced", 2700, money("3"), money("2.8125"), money("-0.1875"), None),
    ]
    total = bench.read("billed", "select sum(effective_cost) from published.fct_cost_allocation where usage_date = ?", [DAY])
    assert total == [(money("11.5") + money("20.78125"),)]
    run = bench.read(
        "billed", "select pricing_status, run_cost_usd, estimated_cost_usd from published.fct_run_cost where workload_key = ?", [RUN]
    )
    assert run == [("priced", money("3.75"), None)]


def test_a_node_with_two_bills_stops_the_night_by_name(bench: Bench, inputs: Path) -> None:
    copy(bench, "twice")
    write(inputs, [charge("rack-7", TEN, "99")])
    with pytest.raises(GateError, match="a node is billed by a rate card or by a provider, never by both") as caught:
        bench.night(inputs, "twice", DAY, stages=ALL_STAGES)
    assert "rack-n" in caught.value.what and "2026-10-05 10:00:00" in caught.value.what.replace("T", " ")


@pytest.mark.parametrize(
    ("change", "dirty"),
    [
        # a new price from the second day on: the first keeps its own
        ({"card": CARD + "aws,A100,,gpu_hour,5.00,,2026-10-06,,\n"}, {1}),
        ({"card": CARD.replace("4.00", "4.01")}, {0, 1}),
        ({"card": CARD.replace("2026-10-01,,\n", "2026-10-01,2026-10-06,\n")}, {1}),
        ({"card": CARD.replace("2026-10-01,,\n", "2026-10-01,2026-10-05T10:30:00Z,\n")}, {0, 1}),
        ({"card": CARD.replace("4.00", "4")}, set()),
        ({"currencies": CURRENCIES.replace("0.095,2026-10-01", "0.09,2026-10-01")}, {0}),  # the next one follows it
        ({"currencies": CURRENCIES.replace("0.095,2026-10-06", "0.09,2026-10-06")}, {1}),
        ({"currencies": CURRENCIES.replace("NOK,0.095,2026-10-06,\n", "")}, set()),  # the first holds on, and says the same
        ({"currencies": CURRENCIES + "EUR,1.1,2026-10-09,\n"}, set()),
    ],
)
def test_a_changed_price_makes_its_days_dirty(bench: Bench, inputs: Path, change: dict[str, str], dirty: set[int]) -> None:
    name = f"dirty-{abs(hash(str(change)))}"
    copy(bench, name)
    write(inputs, **change)
    night = bench.night(inputs, name, DAY, stages=PLAN)
    assert night.planned.dirty_days == {DAY + dt.timedelta(days=n) for n in dirty}
    assert night.planned.dirty_telemetry_days == set()
