"""Explain, on the golden hour with a few more bill rows: every published dollar down to its bill rows and back, worked by hand.

Bill rows of the day (their row numbers in the landed file):
  0      the node, 10:00-10:40, $21.846667 for 19,200 GPU-seconds
  1-3    three alike: $0.01 of network traffic of the node, carried by whoever held its GPUs
  4, 5   two of object storage without tags, $0.10 and $0.050000000001: rule `shared_storage` hands them to the day's workloads, evenly
  6      tax, $1
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings, strategies
from typer.testing import CliRunner

from pipelines import nightly
from pipelines.cli import app
from pipelines.errors import ApportionError, UsageError
from pipelines.explain import Question, explain, require_equal
from pipelines.explaining import charges, ledger, words
from pipelines.explaining.lines import answer_lines
from pipelines.explaining.project import needed_models
from pipelines.explaining.question import ChargeAddress
from pipelines.explaining.rebuild import Rebuilt, rebuilt
from pipelines.report import open_release
from pipelines.settings import DEFAULT_POLICY, REPOSITORY, Settings, load_settings
from pipelines.source import Window
from tests.test_golden_day import CHARGE, DAY, write_inputs

pytestmark = pytest.mark.slow
RULE = """distribution:
  - id: shared_storage
    match: {service: [AmazonS3], cost_class: [unattributed]}
    to: workload
    by: even
"""
R, P0, M1, M2 = "training_run/R", "unregistered/pod/ml/p-0", "unregistered/pod/ml/m-1", "unregistered/pod/ml/m-2"


def add_rows(folder: Path) -> None:
    """Put rows 1-6 behind the golden row of the bill, and the rule into a policy of its own."""
    path = folder / "aws" / "cur2" / "data" / "BILLING_PERIOD=2026-10" / "cur2-00001.csv.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    header, golden = (line.split(",") for line in text.splitlines())
    column = {name: number for number, name in enumerate(header)}

    def row(cost: str, **values: str) -> str:
        told = golden.copy()
        for name, value in {
            "line_item_unblended_cost": cost,
            "pricing_public_on_demand_cost": cost,
            "line_item_usage_amount": "1",
            **values,
        }.items():
            told[column[name]] = value
        return ",".join(told)

    traffic = {"line_item_usage_type": "USE1-DataTransfer-Out-Bytes", "line_item_operation": "RunInstances"}
    storage = {"line_item_product_code": "AmazonS3", "line_item_operation": "PutObject", "line_item_resource_id": "archive"}
    rows = [
        *[row("0.01", **traffic)] * 3,
        row("0.1", line_item_usage_type="USE1-TimedStorage-ByteHrs", **storage),
        row("0.050000000001", line_item_usage_type="USE1-Requests-Tier1", **storage),
        row("1", line_item_line_item_type="Tax", line_item_usage_type="", line_item_operation="", line_item_resource_id=""),
    ]
    path.write_bytes(gzip.compress((text + "\n".join(rows) + "\n").encode(), mtime=0))
    (folder / "policy.yml").write_text(DEFAULT_POLICY.read_text().replace("distribution: []\n", RULE))
    (folder / "apportion.yml").write_text((folder / "apportion.yml").read_text() + "policy: policy.yml\n")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("explain")
    write_inputs(folder)
    add_rows(folder)
    loaded = load_settings(folder / "apportion.yml", folder / "home")
    nightly.run(loaded, Window(DAY, DAY))
    return loaded


@pytest.fixture(scope="module")
def down(home: Settings) -> dict[str, Any]:
    """The whole day, down to its bill rows."""
    return explain(home, Question(day=DAY, charges=True))


@pytest.fixture(scope="module")
def scratch(home: Settings) -> Iterator[Rebuilt]:
    with open_release(home) as release:
        told = ledger.publication(release)
    with rebuilt(home, told, {DAY}) as built:
        charges.prepare(built)
        yield built


def shares(answer: dict[str, Any], row_number: int) -> dict[tuple[str | None, str, str], Decimal]:
    """What each (workload, class, stage) has of one bill row."""
    return {
        (row["workload_key"], row["cost_class"], row["stage"]): share["cost_usd"]
        for row in answer["rows"]
        for share in row["charges"]
        if share["row_number"] == row_number
    }


def address(number: int, answer: dict[str, Any]) -> str:
    return next(s["charge"] for r in answer["rows"] for s in r["charges"] if s["row_number"] == number)


# --- down


def test_the_golden_run_down_to_its_bill_row(home, down):
    answer = explain(home, Question(workload="R", charges=True))
    # 4,050 and 1,350 of 19,200 GPU-seconds: 4.6082813203125 and 1.5360937734375, the last digits by largest remainder
    of_node = {key: value for key, value in shares(answer, 0).items()}
    assert of_node == {(R, "used", "allocated"): Decimal("4.608281320313"), (R, "held_idle", "allocated"): Decimal("1.536093773438")}
    # 6.144375093751 of the node, 0.013347457627 of its traffic, 0.037500000001 by the rule
    assert (answer["allocated_usd"], answer["distributed_usd"]) == (Decimal("6.157722551378"), Decimal("0.037500000001"))
    told = {f["figure"]: (f["explained_usd"], f["published_usd"], f["is_equal"]) for f in answer["figures"]}
    assert told[f"fct_run_cost.run_cost_usd of {R}"] == (Decimal("6.157722551378"), Decimal("6.157722551378"), True)
    assert told[f"fct_run_cost.fully_loaded_usd of {R}"] == (Decimal("6.195222551379"), Decimal("6.195222551379"), True)
    require_equal(answer)
    placed = {p["cost_class"]: p["placed_by"] for p in answer["placements"]}
    assert (
        "an interval of the workload names this GPU" in placed["used"]
        and "gr_engine_active" in placed["used"]
        and "gpu_only" in placed["used"]
    )


def test_three_charges_alike_and_the_last_closes_each_row(down):
    # held GPU time: R 5,400 s, p-0 4,680 s, m-1 and m-2 2,400 x 3/7 s each: 105 : 91 : 20 : 20 of 236.
    # One cent: 4449152542.37, 3855932203.39, 847457627.12 twice (in 1e-12): one unit is left, p-0's remainder is the largest.
    each = {R: "0.004449152542", P0: "0.003855932204", M1: "0.000847457627", M2: "0.000847457627"}
    # Three cents, as published: 13347457627.12, 11567796610.17, 2542372881.36 twice: the one unit is m-1's; what is left closes each row.
    last = {R: "0.004449152543", P0: "0.003855932202", M1: "0.000847457628", M2: "0.000847457627"}
    for number, expected in ((1, each), (2, each), (3, last)):
        assert shares(down, number) == {(w, "not_measured", "allocated"): Decimal(v) for w, v in expected.items()}
        assert sum(shares(down, number).values()) == Decimal("0.01")


def test_a_rule_took_and_gave_exactly(home, down):
    answer = explain(home, Question(rule="shared_storage", charges=True))
    (pool,) = answer["pools"]
    assert (pool["taken_usd"], pool["received_usd"], answer["cost_usd"]) == (Decimal("-0.150000000001"), Decimal("0.150000000001"), 0)
    assert {r["recipient"]: (r["cost_usd"], r["allocation_weight"], r["bucket_weight"], r["weight"]) for r in pool["recipients"]} == {
        R: (Decimal("0.037500000001"), 1, 4, "even"),
        **{w: (Decimal("0.0375"), 1, 4, "even") for w in (P0, M1, M2)},
    }
    assert "service is AmazonS3" in pool["rule"] and "by even" in pool["rule"]
    of_requests = {(R, "not_measured"): "0.012500000001", (None, "unattributed"): "-0.050000000001"}
    of_requests |= {(w, "not_measured"): "0.0125" for w in (P0, M1, M2)}
    assert shares(answer, 5) == {(*key, "distributed"): Decimal(value) for key, value in of_requests.items()}
    assert shares(answer, 4)[(P0, "not_measured", "distributed")] == Decimal("0.025")
    require_equal(answer)


def test_every_dollar_of_the_day_has_a_sentence_and_a_figure(down):
    assert down["cost_usd"] == CHARGE + Decimal("0.03") + Decimal("0.150000000001") + 1
    assert {f["is_equal"] for f in down["figures"]} == {True} and len(down["figures"]) == 3
    told = {(p["cost_class"], p["stage"]): p["placed_by"] for p in down["placements"]}
    assert told[("tax_and_fees", "allocated")] == "route none: tax, support and fees"
    assert "outside any MIG instance" in told[("stranded", "allocated")] and "GPU billed" in told[("unknown", "allocated")]
    assert all(
        text.startswith("route " if stage == "allocated" else "distribution rule shared_storage ") for (_, stage), text in told.items()
    )
    assert {p["cost_class"] for p in down["placements"]} == {
        "used", "held_idle", "unallocated_idle", "stranded", "unknown", "unattributed", "not_measured", "tax_and_fees",
    }  # fmt: skip
    for row in down["rows"]:
        for basis in ("cost_usd", "billed_cost_usd", "list_cost_usd"):
            assert sum(s[basis] for s in row["charges"]) == row[basis]


@pytest.mark.parametrize(
    ("question", "cost", "figures"),
    [
        (Question(cost_class="unallocated_idle", pool="train"), "4.778958406250", 1),  # GPUs 0-2 ten minutes, GPU 6 all of it: 4,200 s
        (Question(cost_class="stranded", node="ip-10-0-0-1.ec2.internal"), "0.390119053571", 1),  # a seventh of GPU 5
        (Question(cost_class="tax_and_fees"), "1", 1),
        (Question(source="aws"), "23.026667000001", 4),
        (Question(team="vision"), "6.195222551379", 2),
    ],
)
def test_dollars_without_a_workload_too(home, question, cost, figures):
    answer = explain(home, question)
    assert answer["cost_usd"] == Decimal(cost)
    require_equal(answer)
    assert len(answer["figures"]) == figures


# --- back


def test_one_bill_row_and_what_became_of_it(home, down):
    answer = explain(home, Question(charge=ChargeAddress.parse(address(0, down))))
    (charge,) = answer["charges"]
    assert (charge["source_cost"], charge["effective_cost"], charge["charge_rank"], charge["charge_count"]) == (CHARGE, CHARGE, 1, 1)
    assert sum(s["cost_usd"] for s in charge["shares"]) == CHARGE
    # R, p-0, m-1 and m-2 used and (R, p-0) idle, idle, stranded, unknown, busy for nobody
    assert len(charge["shares"]) == 10
    require_equal(answer)


def test_a_distributed_bill_row_is_followed_to_its_recipients(home, down):
    answer = explain(home, Question(charge=ChargeAddress.parse(address(5, down)), day=DAY))
    (charge,) = answer["charges"]
    rows = {row["line_id"]: row for row in answer["rows"]}
    told = {(rows[s["line_id"]]["workload_key"], rows[s["line_id"]]["stage"]): s["cost_usd"] for s in charge["shares"]}
    assert told == {
        (None, "allocated"): Decimal("0.050000000001"), (None, "distributed"): Decimal("-0.050000000001"),
        (R, "distributed"): Decimal("0.012500000001"), **{(w, "distributed"): Decimal("0.0125") for w in (P0, M1, M2)},
    }  # fmt: skip
    assert [f["published_usd"] for f in answer["figures"][:2]] == [Decimal("0.050000000001"), 0]
    require_equal(answer)


def test_the_printed_answer(home, down):
    arguments = ["explain", "--config", str(home.config_path), "--home", str(home.home)]
    back = CliRunner().invoke(app, [*arguments, "--charge", address(2, down)])
    assert back.exit_code == 0, back.output
    for expected in ("charge 2 of 3 in bucket", "-> training_run/R/1, not_measured: 0.004449152542", "the bill row itself (Usage): equal"):
        assert expected in back.output
    run = CliRunner().invoke(app, [*arguments, "R", "--rows", "1"])
    assert run.exit_code == 0, run.output
    for expected in ("R (training_run/R): $6.20, exactly 6.195222551379", "[DECISIONS: ", "and 3 more row(s): 1.586941231066",
                     "fully_loaded_usd of training_run/R: equal"):  # fmt: skip
        assert expected in run.output
    told = json.loads(CliRunner().invoke(app, [*arguments, "--cost-class", "tax_and_fees", "--json"]).output)
    assert Decimal(told["cost_usd"]) == 1 and told["rows"][0]["charge_category"] == "Tax"
    assert len(answer_lines(down, 0)) > 60


# --- refusals


def test_what_is_asked_wrongly_is_told(home, down):
    for wrong, said in (
        (lambda: Question(), "nothing is asked"),
        (lambda: Question(charge=ChargeAddress("aws", "x", 0), team="a"), "by itself"),
        (lambda: ChargeAddress.parse("aws:17"), "no address"),
        (lambda: explain(home, Question(workload="Q")), "no published cost for 'Q'"),
        (lambda: explain(home, Question(team="nobody")), "no published dollar for: team nobody"),
        (lambda: explain(home, Question(charge=ChargeAddress("ibm", "x", 0))), "no source 'ibm'"),
        (lambda: explain(home, Question(charge=ChargeAddress("aws", "x.csv", 0))), "is no file of aws"),
        (lambda: explain(home, Question(charge=replace(ChargeAddress.parse(address(0, down)), row=7))), "no charge of a published day"),
    ):
        with pytest.raises(UsageError, match=said):
            wrong()


def test_other_code_or_lost_deliveries_show_no_figures(home, scratch):
    with open_release(home) as release:
        told = ledger.publication(release)
        with pytest.raises(ApportionError, match="computed by other SQL"), rebuilt(home, replace(told, code_digest="0" * 64), {DAY}):
            pass
        gone = tuple((source, period, "0" * 20) for source, period, _ in told.deliveries)
        with pytest.raises(ApportionError, match="is gone"), rebuilt(home, replace(told, deliveries=gone), {DAY}):
            pass
        ledger.select(release, "stage = 'allocated'", [])
        scratch.narrow([])
        try:
            with pytest.raises(ApportionError, match="comes out of the landed deliveries with 0"):
                charges.trace(scratch, release)
        finally:
            scratch.narrow([DAY])


def test_a_sum_that_is_not_the_release_s_is_an_error(home):
    answer = explain(home, Question(workload="R"))
    answer["figures"][0] = ledger.compared("fct_run_cost.run_cost_usd", Decimal(1), Decimal(2))
    assert "NOT EQUAL" in "\n".join(answer_lines(answer, 1))
    with pytest.raises(ApportionError, match="explained 1, published 2"):
        require_equal(answer)


def test_every_decision_that_is_named_is_there():
    text = (REPOSITORY / "DECISIONS.md").read_text(encoding="utf-8")
    assert [title for title in sorted(words.decisions()) if f". {title}\n" not in text] == []


def test_a_small_part_of_the_project_makes_charges():
    assert {"int_charges", "stg_aws_cur__charges", "aws_line_item_types"} <= needed_models().keys()
    assert not {"int_gpu_segments", "fct_cost_allocation"} & needed_models().keys()


# --- the split itself


def largest_remainder(amount: int, weights: list[int]) -> list[int]:
    """Whole units of ``amount`` by ``weights``; ties go to the first."""
    quotas = [Fraction(abs(amount) * weight, sum(weights)) for weight in weights]
    units = [int(quota) for quota in quotas]
    order = sorted(range(len(weights)), key=lambda n: (units[n] - quotas[n], n))
    for n in order[: abs(amount) - sum(units)]:
        units[n] += 1
    return [unit if amount >= 0 else -unit for unit in units]


amounts = strategies.one_of(strategies.integers(-9, 9), strategies.integers(-(10**15), 10**15))


@settings(max_examples=30, deadline=None)
@given(
    costs=strategies.lists(strategies.tuples(amounts, strategies.none() | amounts), min_size=1, max_size=5),
    weights=strategies.lists(strategies.integers(1, 10**12), min_size=1, max_size=5),
)
def test_both_margins_are_exact_whatever_the_amounts(scratch, costs, weights):
    unit = Decimal("1e-12")
    known = [list_cost for _, list_cost in costs if list_cost is not None]
    rows = largest_remainder(sum(effective for effective, _ in costs), weights)
    list_rows = largest_remainder(sum(known), weights) if known else [None] * len(weights)
    con: duckdb.DuckDBPyConnection = scratch.connection
    bases = ", ".join(f"{b} decimal(38, 12)" for b in ledger.BASES)
    con.execute(f"create or replace table explained.charges (usage_date date, bucket_key varchar, charge_rank bigint, {bases})")
    con.execute(
        "create or replace table explained.ledger (usage_date date, bucket_key varchar, line_id bigint, stage varchar, workload_key varchar,"
        f" cost_class varchar, component varchar, attempt_key varchar, reason varchar, allocation_weight decimal(38, 0), {bases})"
    )
    con.execute("alter table explained.ledger add column distribution_key varchar")
    for n, (effective, list_cost) in enumerate(costs):
        told = {"effective_cost": effective * unit, "list_cost": None if list_cost is None else list_cost * unit}
        con.execute(
            "insert into explained.charges values (?, 'b', ?, ?, ?, ?, ?, ?)", [DAY, n + 1, *(told.get(b, 0) for b in ledger.BASES)]
        )
    for n, weight in enumerate(weights):
        told = {"effective_cost": rows[n] * unit, "list_cost": None if list_rows[n] is None else list_rows[n] * unit}
        con.execute(
            "insert into explained.ledger values (?, 'b', ?, 'allocated', ?, 'used', 'gpu', null, null, ?, ?, ?, ?, ?, ?, null)",
            [DAY, n, f"job/{n}", weight, *(told.get(b, 0) for b in ledger.BASES)],
        )
    found = con.execute(
        f"select charge_rank, line_id, effective_cost, list_cost from ({scratch.sql['charge_shares']}) order by 1, 2"  # noqa: S608
    ).fetchall()
    assert len(found) == len(costs) * len(weights)
    for basis, own, published in ((2, [e for e, _ in costs], rows), (3, [c for _, c in costs], list_rows)):
        units = {(rank - 1, line): None if (v := entry[basis]) is None else int(v / unit) for entry in found for rank, line in [entry[:2]]}
        closing = max((n for n, cost in enumerate(own) if cost is not None), default=None)
        for n, cost in enumerate(own):
            row = [units[(n, line)] for line in range(len(weights))]
            assert (row == [None] * len(weights)) if cost is None else (sum(row) == cost)
            if cost is not None and n != closing:
                assert row == largest_remainder(cost, weights)
        if closing is not None:
            assert [sum(units[(n, line)] or 0 for n in range(len(own))) for line in range(len(weights))] == published
