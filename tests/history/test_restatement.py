"""The restatement report: every cause, worked by hand, and the law that the moves sum to the difference of the releases exactly."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from pipelines.history import restatement
from pipelines.history.archive import archived
from pipelines.history.restatement import Restatement, compare
from pipelines.history.words import restatement_lines, restatement_result
from pipelines.landing import sha256_file
from tests.history.bills import BUCKET, IDENTITY, Bearer, Charge, publish_charges, settings_for

DAY, NEXT = dt.date(2026, 10, 1), dt.date(2026, 10, 2)
REST = Charge(NEXT, "100", "i-other")
BASE = Charge(DAY, "10", bearers=(Bearer("training_run/r", "6", "vision"), Bearer(None, "4", None, "unallocated_idle")))


def restated(tmp_path: Path, before: list[Charge], after: list[Charge], identity: dict[str, str] | None = None) -> Restatement:
    settings = settings_for(tmp_path / "home")
    publish_charges(settings, before)
    publish_charges(settings, after, identity=identity or IDENTITY)
    found = compare(settings, *archived(settings))
    ledgers = [
        duckdb.connect().execute(
            "select sum(billed_cost), sum(effective_cost), sum(list_cost) from read_parquet(?)",
            [str(release.folder / "parquet" / "fct_cost_allocation" / "*.parquet")],
        ).fetchone()
        for release in sorted(_releases(settings), key=lambda r: r.sequence)
    ]  # fmt: skip
    true = [new - old for old, new in zip(*ledgers, strict=True)]
    for rows in (found.causes, found.rows):
        assert [sum((r[f"{b}_move_usd"] for r in rows), Decimal(0)) for b in restatement.BASES] == true
    assert list(found.totals.values()) == true
    return found


def _releases(settings):
    from pipelines.release import on_disk

    return on_disk(settings.published)


def moves(found: Restatement) -> list[tuple]:
    """(cause, source, team, workload, class, billed, effective), the days aside."""
    dollars = [tuple(f"{r[f'{basis}_move_usd'].normalize():f}" for basis in ("billed", "effective")) for r in found.largest]
    rows = [
        (r["cause"], r["source"], r["team"], r["workload_key"], r["cost_class"], *usd)
        for r, usd in zip(found.largest, dollars, strict=True)
    ]
    return sorted(rows, key=str)


COVERED = BASE.but(cost="6", billed="0", line_item_type="SavingsPlanCoveredUsage", pricing="savings_plan", commitment="sp-1",
                   bearers=(Bearer("training_run/r", "3.6", "vision"), Bearer(None, "2.4", None, "unallocated_idle")))  # fmt: skip
FEE = Charge(DAY, "6", None, line_item_type="SavingsPlanRecurringFee", category="Purchase", pricing=None, commitment="sp-1",
             fixed_class="unused_commitment", sku="sp", billed="6")  # fmt: skip

CAUSES = {
    # a second charge of the hour comes late: $2 to nobody
    "late_usage": ([BASE], [BASE, BASE.but(hour=11, cost="2", bearers=())],
                   [("late_usage", "aws", None, None, "unattributed", "2", "2")]),
    # the same row grows by half: 3 to the run, 2 idle
    "late_usage, same row": ([BASE], [BASE.but(cost="15", quantity="1.5", bearers=(Bearer("training_run/r", "9", "vision"), Bearer(None, "6", None, "unallocated_idle")))],
                   [("late_usage", "aws", None, None, "unallocated_idle", "2", "2"), ("late_usage", "aws", "vision", "training_run/r", "used", "3", "3")]),
    "removed_usage": ([BASE, BASE.but(hour=11)], [BASE],
                   [("removed_usage", "aws", None, None, "unallocated_idle", "-4", "-4"), ("removed_usage", "aws", "vision", "training_run/r", "used", "-6", "-6")]),
    "price_change": ([BASE], [BASE.but(cost="8", bearers=(Bearer("training_run/r", "5", "vision"), Bearer(None, "3", None, "unallocated_idle")))],
                   [("price_change", "aws", None, None, "unallocated_idle", "-1", "-1"), ("price_change", "aws", "vision", "training_run/r", "used", "-1", "-1")]),
    "credit": ([BASE], [BASE, Charge(DAY, "-3", None, category="Credit", line_item_type="Credit", fixed_class="credit", pricing=None)],
                   [("credit", "aws", None, None, "credit", "-3", "-3")]),
    "refund": ([BASE], [BASE, Charge(DAY, "-3", category="Adjustment", line_item_type="Refund", pricing=None)],
                   [("credit", "aws", None, None, "unattributed", "-3", "-3")]),
    "correction": ([BASE], [BASE, BASE.but(cost="-10", charge_class="Correction", period=dt.date(2026, 11, 1), bearers=())],
                   [("correction", "aws", None, None, "unattributed", "-10", "-10")]),
    "tax_and_fees": ([BASE], [BASE, Charge(DAY, "1.9", None, category="Tax", line_item_type="Tax", fixed_class="tax_and_fees", pricing=None)],
                   [("tax_and_fees", "aws", None, None, "tax_and_fees", "1.9", "1.9")]),
    # the plan now covers the hour: the run's 6 become 3.6, the idle 4 become 2.4; the invoice no longer has the 10; the unused 6 are used
    "commitment_reapplied": ([BASE, FEE], [COVERED, FEE.but(cost="0", billed="6", quantity="1")],
                   [("commitment_reapplied", "aws", None, None, "unallocated_idle", "-4", "-1.6"),
                    ("commitment_reapplied", "aws", None, None, "unused_commitment", "0", "-6"),
                    ("commitment_reapplied", "aws", "vision", "training_run/r", "used", "-6", "-2.4")]),
    # a late tag gives the untagged charge to a run: 10 leave nobody, 10 come to it
    "tag_change": ([Charge(DAY, "10")], [Charge(DAY, "10", tags='{"run_id":"r"}', bearers=(Bearer("training_run/r", "10", "vision"),))],
                   [("tag_change", "aws", None, None, "unattributed", "-10", "-10"), ("tag_change", "aws", "vision", "training_run/r", "used", "10", "10")]),
    "telemetry_change": ([BASE], [BASE.but(bearers=(Bearer("training_run/r", "9", "vision"), Bearer(None, "1", None, "unallocated_idle")))],
                   [("telemetry_change", "aws", None, None, "unallocated_idle", "-3", "-3"), ("telemetry_change", "aws", "vision", "training_run/r", "used", "3", "3")]),
    # the invoice's number is filled in: not a cent moves, and that is said
    "invoice_assigned": ([BASE], [BASE.but(invoice="INV-7")],
                   [("invoice_assigned", "aws", None, None, "unallocated_idle", "0", "0"), ("invoice_assigned", "aws", "vision", "training_run/r", "used", "0", "0")]),
}  # fmt: skip


@pytest.fixture(scope="module")
def every_cause(tmp_path_factory: pytest.TempPathFactory) -> Restatement:
    """All of them in one restatement: each cause is a source of its own."""
    sides = [[c.but(source=name) for name, case in CAUSES.items() for c in case[side]] for side in (0, 1)]
    return restated(tmp_path_factory.mktemp("causes"), [*sides[0], REST], [*sides[1], REST])


@pytest.mark.parametrize("name", CAUSES)
def test_each_cause(name: str, every_cause: Restatement) -> None:
    assert [row for row in moves(every_cause) if row[1] == name] == sorted(
        ((cause, name, *rest) for cause, _, *rest in CAUSES[name][2]), key=str
    )


def test_only_the_day_that_differs_is_told(every_cause: Restatement) -> None:
    assert list(every_cause.days) == [DAY]
    assert {r["usage_date"] for r in every_cause.rows} == {DAY}


@pytest.mark.parametrize(
    ("identity", "cause"),
    [({"policy": "new"}, "policy_change"), ({"code": "new"}, "code_change"), ({"code": "new", "policy": "new"}, "code_change")],
)
def test_where_the_bill_stands_policy_or_code_moved_it(identity: dict[str, str], cause: str, tmp_path: Path) -> None:
    """And what the bill itself moved in the same night is told apart."""
    moved = BASE.but(bearers=(Bearer("training_run/r", "10", "vision"),))
    found = restated(tmp_path, [BASE], [moved, BASE.but(hour=12, cost="1", bearers=())], {**IDENTITY, **identity})
    assert {c["cause"]: (c["effective_move_usd"], c["gross_move_usd"]) for c in found.causes} == {cause: (0, 8), "late_usage": (1, 1)}


def test_days_that_come_and_go_are_told_apart(tmp_path: Path) -> None:
    found = restated(tmp_path, [BASE, REST], [REST, Charge(dt.date(2026, 10, 3), "7")])
    assert {c["cause"]: c["effective_move_usd"] for c in found.causes} == {"first_published": 7, "withdrawn": -10}


def test_two_at_once_on_one_day(tmp_path: Path) -> None:
    before = [BASE, Charge(DAY, "10", "vol-1"), Charge(DAY, "5", "vol-2", sku="disk")]
    after = [
        BASE.but(invoice="INV-7"),
        Charge(DAY, "10", "vol-1", invoice="INV-7", tags='{"team":"nlp"}', bearers=(Bearer(None, "10", "nlp", "unattributed"),)),
        Charge(DAY, "4", "vol-2", sku="disk", invoice="INV-7"),
    ]
    found = restated(tmp_path, before, after)
    assert {c["cause"]: (c["effective_move_usd"], c["gross_move_usd"]) for c in found.causes} == {
        "invoice_assigned": (0, 0),
        "tag_change": (0, 20),
        "price_change": (-1, 1),
    }


def test_another_schema_is_compared_by_common_columns_and_said(tmp_path: Path) -> None:
    """The older release has no invoice, category or quantity on its buckets: nothing but the price moved."""
    settings = settings_for(tmp_path / "home")
    older = {
        name: kind for name, kind in BUCKET.items() if name not in ("invoice_id", "pricing_category", "commitment_id", "usage_quantity")
    }
    publish_charges(settings, [BASE], bucket_columns=older)
    cheaper = BASE.but(
        cost="9", invoice="INV", bearers=(Bearer("training_run/r", "5", "vision"), Bearer(None, "4", None, "unallocated_idle"))
    )
    publish_charges(settings, [cheaper], identity={**IDENTITY, "code": "new"})
    found = compare(settings, *archived(settings))
    assert found.not_compared == (
        "fct_charge_bucket.commitment_id", "fct_charge_bucket.invoice_id", "fct_charge_bucket.pricing_category", "fct_charge_bucket.usage_quantity",
    )  # fmt: skip
    assert [(c["cause"], c["effective_move_usd"]) for c in found.causes] == [("price_change", -1)]
    assert "the columns changed; not compared: fct_charge_bucket.commitment_id" in restatement_lines(found)[-1]


def test_a_restatement_touches_only_its_days(tmp_path: Path) -> None:
    """The other days' files are not read: they may even be gone."""
    settings = settings_for(tmp_path / "home")
    publish_charges(settings, [BASE, REST])
    publish_charges(settings, [BASE.but(hour=3), REST])
    releases = archived(settings)
    for table in ("fct_charge_bucket", "fct_cost_allocation"):
        file = releases[1].file(table, NEXT)
        assert file is not None and file == releases[0].file(table, NEXT)
        (settings.published / "history" / "objects" / f"{file.sha256}.parquet").unlink()
    assert list(compare(settings, *releases).days) == [DAY]


def test_random_restatements_sum_exactly(tmp_path: Path) -> None:
    """Amounts of twelve decimals, charges that come, go, change price, tags, coverage and invoice: nothing is left over."""
    chance = random.Random(7)

    def charge(number: int) -> Charge:
        cost = Decimal(chance.randrange(-(10**14), 10**15)).scaleb(-12)
        part = Decimal(chance.randrange(0, 10**12)).scaleb(-12)
        bearers = (
            Bearer(f"training_run/{chance.randrange(4)}", f"{part:f}", chance.choice(["a", "b", None])),
            Bearer(None, f"{cost - part:f}", None, "unknown"),
        )
        return Charge(
            DAY if number % 2 else NEXT, f"{cost:f}", f"i-{number % 9}", number % 24, chance.choice(["aws", "gcp"]), account=str(number % 3),
            line_item_type=chance.choice(["Usage", "SavingsPlanCoveredUsage", "Credit"]), tags=chance.choice(["{}", '{"a":1}']),
            invoice=chance.choice([None, "I"]), count=chance.randrange(1, 4), bearers=bearers, sku=str(number),
        )  # fmt: skip

    before = [charge(n) for n in range(80)]
    after = [charge(n) if chance.random() < 0.4 else old for n, old in enumerate(before) if chance.random() < 0.9] + [
        charge(n) for n in range(80, 90)
    ]
    found = restated(tmp_path, before, after)
    assert len(found.causes) >= 4
    assert all(len(str(abs(total)).split(".")[1]) == 12 for total in found.totals.values())


def test_the_same_two_releases_give_the_same_report(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "home")
    publish_charges(settings, [BASE, FEE])
    publish_charges(settings, [COVERED, FEE])
    found = [compare(settings, *archived(settings)) for _ in range(2)]
    assert found[0] == found[1] and restatement_result(found[0])["total_move_usd"]["billed"] == Decimal("-10")
    shas = set()
    for number in range(2):
        restatement.write(settings, *archived(settings), tmp_path / f"{number}.parquet")
        shas.add(sha256_file(tmp_path / f"{number}.parquet"))
    assert len(shas) == 1
    lines = "\n".join(restatement_lines(found[0]))
    assert "moved in all: billed -$10.00, effective -$4.00, list -$4.00" in lines
    assert "commitments applied otherwise" in lines
