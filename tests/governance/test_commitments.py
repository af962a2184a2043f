"""Commitments over hand-made days: what to buy, what to resize, what ends. Every figure is worked beside its assertion."""

from __future__ import annotations

import datetime as dt
import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from pipelines import warehouse
from pipelines.policy import Policy
from pipelines.settings import DEFAULT_POLICY, Settings, SettingsFile
from tests.empty_warehouse import put
from tests.governance.inline import returned

FIRST = dt.date(2026, 10, 1)
DAYS = [FIRST + dt.timedelta(days=n) for n in range(28)]
LAST = DAYS[-1]
RELATIONS = ("fct_commitment_daily", "fct_commitment_coverage", "fct_storage_resource_daily", "dim_date")
SCOPE = "aws/AmazonEC2/us-east-1/p4d"


@pytest.fixture
def filled(built: Settings, tmp_path: Path) -> Iterator[Callable[..., duckdb.DuckDBPyConnection]]:
    """``filled(fill, governance)`` -> a connection to a copy of the empty warehouse with rows and a policy: macros need no model to run."""
    with ExitStack() as stack:

        def run(fill, governance: dict[str, Any] | None = None) -> duckdb.DuckDBPyConnection:
            settings = Settings(SettingsFile(), tmp_path, None)
            settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(built.warehouse, settings.warehouse)
            document = yaml.safe_load(DEFAULT_POLICY.read_text(encoding="utf-8")) | {"governance": governance or {}}
            connection = stack.enter_context(warehouse.connect(settings))
            Policy.model_validate(document).write(connection)
            fill(connection)
            return connection

        yield run


def dates(connection: duckdb.DuckDBPyConnection, days: list[dt.date] = DAYS) -> None:
    put(connection, "dim_date", [{"usage_date": day, "month_start": day.replace(day=1)} for day in days])


def hours(cost, family: str = "p4d", days: list[dt.date] = DAYS, **more) -> list[dict]:
    """One row for each hour in which ``cost(hour number)`` is not 0."""
    return [
        {
            "usage_date": day, "usage_hour": dt.datetime.combine(day, dt.time(hour)), "source": "aws", "provider": "aws", "service": "AmazonEC2",
            "region": "us-east-1", "instance_family": family, "on_demand_cost_usd": amount, "on_demand_list_cost_usd": amount,
            "covered_cost_usd": 0, "list_missing_cost_usd": 0, **more,
        }
        for n, day in enumerate(days) for hour in range(24) if (amount := Decimal(cost(24 * n + hour)))
    ]  # fmt: skip


def busy_by_night(hour: int) -> int:
    """$20 in the first ten hours of each day (280 hours), $10 in the others, nothing in the last ten of all: 662 hours of 672."""
    return 0 if hour >= 662 else 20 if hour % 24 < 10 else 10


def kind(rows: list[dict], lever_kind: str) -> list[dict]:
    return [row for row in rows if row["lever_kind"] == lever_kind]


def test_what_was_there_in_nearly_every_hour_is_worth_a_commitment(built, filled) -> None:
    def fill(connection) -> None:
        dates(connection)
        put(connection, "fct_commitment_coverage", hours(busy_by_night))

    [lever] = returned(built, filled(fill), "commitment_levers", *RELATIONS)
    figures = json.loads(lever["evidence"])
    # 95 % of 672 hours are 638.4: the 639th dearest hour decides, and that is one of $10
    assert (lever["lever_kind"], lever["scope"], figures["baseline_usd_per_hour"]) == ("buy_commitment", SCOPE, 10)
    # nobody committed yet: 25 % off is the policy's word, so that $7.50 an hour are committed and confidence is low
    assert (figures["commitment_usd_per_hour"], figures["break_even_utilization_ratio"], lever["confidence"]) == (7.5, 0.75, "low")
    # 280 x 20 + 382 x 10 = 9,420 was paid; 662 x 10 = 6,620 of it is replaced by 672 x 7.50 = 5,040
    assert lever["observed_cost_usd"] == Decimal(9420)
    assert figures["replaced_on_demand_usd"] == 6620 and figures["committed_usd"] == 5040
    assert lever["saving_usd"] == Decimal(1580)
    # 1,580 x 365 / 12 / 28 = 576,700 / 336
    assert lever["saving_usd_per_month"] == Decimal("1716.369047619048")
    # 6,620 / (672 x 10)
    assert figures["expected_utilization_ratio"] == 0.985119
    assert lever["team"] is None and lever["observed_days"] == 28


def test_the_own_bills_rate_of_the_family_is_the_price(built, filled) -> None:
    """$600 was paid for what lists at $1,000, and on-demand usage pays its list price: 0.6 on the dollar."""

    def fill(connection) -> None:
        dates(connection)
        rows = hours(busy_by_night)
        rows[0] |= {"covered_cost_usd": Decimal(600), "covered_list_cost_usd": Decimal(1000)}
        put(connection, "fct_commitment_coverage", rows)

    [lever] = returned(built, filled(fill), "commitment_levers", *RELATIONS)
    figures = json.loads(lever["evidence"])
    # 672 x 10 x 0.6 = 4,032; 6,620 - 4,032
    assert (figures["break_even_utilization_ratio"], lever["saving_usd"], lever["confidence"]) == (0.6, Decimal(2588), "high")
    assert figures["price_source"] == "own bill, same family"


def test_a_negotiated_price_is_not_saved_a_second_time(built, filled) -> None:
    """On-demand usage already pays 0.8 of list; commitments pay 0.6 of list: 0.75 on the dollar, not 0.6."""

    def fill(connection) -> None:
        dates(connection)
        rows = [row | {"on_demand_list_cost_usd": row["on_demand_cost_usd"] * Decimal("1.25")} for row in hours(busy_by_night)]
        rows[0] |= {"covered_cost_usd": Decimal(600), "covered_list_cost_usd": Decimal(1000)}
        put(connection, "fct_commitment_coverage", rows)

    [lever] = returned(built, filled(fill), "commitment_levers", *RELATIONS)
    assert json.loads(lever["evidence"])["break_even_utilization_ratio"] == 0.75


@pytest.mark.parametrize(
    ("cost", "rules", "why"),
    [
        (busy_by_night, {"discount_ratio": "0.01"}, "662 of 672 hours are used, 99 % of the price are paid: 6,620 < 6,652.80"),
        (lambda hour: 40 if hour % 2 else 0, {}, "there in half of the hours: the baseline is nothing"),
        (busy_by_night, {"minimum_saving_usd_per_month": "1716.37"}, "1,716.369... is less"),
        (busy_by_night, {"minimum_days": 60, "observed_days": 90}, "28 days are too few"),
    ],
)
def test_no_commitment_is_recommended_that_does_not_pay(built, filled, cost, rules, why) -> None:
    def fill(connection) -> None:
        dates(connection)
        put(connection, "fct_commitment_coverage", hours(cost))

    assert returned(built, filled(fill, {"levers": {"commitments": rules}}), "commitment_levers", *RELATIONS) == [], why


def test_savings_never_exceed_what_on_demand_usage_cost(built, filled) -> None:
    """Six families of random hours: saved <= replaced <= paid, and the commitment is never above the hour that decides it."""
    chance = random.Random(5)  # noqa: S311
    costs = {f"f{n}": [Decimal(chance.randrange(0, 5000)) / 7 for _ in range(672)] for n in range(6)}

    def fill(connection) -> None:
        dates(connection)
        for name, values in costs.items():
            put(connection, "fct_commitment_coverage", hours(lambda hour, values=values: round(values[hour], 12), name))

    rules = {"levers": {"commitments": {"minimum_saving_usd_per_month": 0, "baseline_hours_ratio": "0.7", "discount_ratio": "0.6"}}}
    levers = returned(built, filled(fill, rules), "commitment_levers", *RELATIONS)
    assert len(levers) == 6
    for lever in levers:
        paid = [round(value, 12) for value in costs[lever["scope"].rsplit("/", 1)[1]]]
        figures = json.loads(lever["evidence"], parse_float=Decimal, parse_int=Decimal)
        # 0.7 x 672 = 470.4: the 471st dearest hour
        assert figures["baseline_usd_per_hour"] == sorted(paid, reverse=True)[470]
        assert figures["replaced_on_demand_usd"] == sum(min(cost, figures["baseline_usd_per_hour"]) for cost in paid)
        assert 0 < lever["saving_usd"] < figures["replaced_on_demand_usd"] <= lever["observed_cost_usd"] == sum(paid)


def plan(commitment_id: str, used: object, unused: object, days: list[dt.date] = DAYS, **more) -> list[dict]:
    return [
        {
            "usage_date": day, "source": "aws", "provider": "aws", "commitment_kind": "savings_plan", "commitment_id": commitment_id, "team": "platform",
            "used_cost_usd": Decimal(str(used)), "unused_cost_usd": Decimal(str(unused)), "committed_cost_usd": Decimal(str(used)) + Decimal(str(unused)), "fee_days": 1,
            "covered_cost_usd": 0, "list_missing_cost_usd": 0, **more,
        }
        for day in days
    ]  # fmt: skip


def test_what_nobody_used_of_a_commitment_is_a_lever_and_an_alert(built, filled) -> None:
    """A plan of $100 a day, $60 used; one of $100, $95 used, which is use enough."""

    def fill(connection) -> None:
        dates(connection)
        put(connection, "fct_commitment_daily", plan("plan/idle", 60, 40) + plan("plan/busy", 95, 5))

    connection = filled(fill)
    [lever] = returned(built, connection, "commitment_levers", *RELATIONS)
    assert (lever["lever_kind"], lever["scope"], lever["team"], lever["confidence"]) == (
        "resize_commitment",
        "plan/idle",
        "platform",
        "high",
    )
    # 28 x 40 = 1,120; x 365 / 12 / 28 = 408,800 / 336
    assert (lever["observed_cost_usd"], lever["saving_usd"], lever["saving_usd_per_month"]) == (2800, 1120, Decimal("1216.666666666667"))
    [alert] = returned(built, connection, "commitments_alerts", "fct_commitment_daily", "dim_date")
    # seven days: 420 used, 280 unused of 700
    assert (alert["alert_kind"], alert["subject"], alert["amount_usd"], alert["measured"], alert["threshold"]) == (
        "commitment_unused", "plan/idle", 280, "60.0 % used", "90.0 % used",
    )  # fmt: skip
    assert alert["message"] == "plan/idle: $280.00 of $700.00 committed was used by nobody in 7 days."
    assert (alert["since_date"], alert["usage_date"], alert["team"]) == (DAYS[-7], LAST, "platform")


def test_a_months_fee_is_held_against_the_months_use(built, filled) -> None:
    """A reservation's fee stands on the first of the month: $310 unused for 31 days, $20 a day used on 28 of them so far."""

    def fill(connection) -> None:
        dates(connection)
        rows = plan("reservation/x", 20, 0, commitment_kind="reservation", fee_days=None)
        rows[0] |= {"unused_cost_usd": Decimal(310), "committed_cost_usd": Decimal(330), "fee_days": 31}
        put(connection, "fct_commitment_daily", rows)

    connection = filled(fill)
    [lever] = returned(built, connection, "commitment_levers", *RELATIONS)
    # the fee is for 31 days: 310 x 365 / 12 / 31 = 113,150 / 372
    assert (lever["observed_days"], lever["saving_usd"], lever["saving_usd_per_month"]) == (31, 310, Decimal("304.166666666667"))
    assert lever["confidence"] == "low"  # the month is not over
    # 560 / 870; the alert looks at the same month and not at seven days, in which nothing would be unused
    [alert] = returned(built, connection, "commitments_alerts", "fct_commitment_daily", "dim_date")
    assert (alert["amount_usd"], alert["measured"]) == (310, "64.4 % used")


def test_commitments_that_usage_does_not_name_are_judged_as_a_kind(built, filled) -> None:
    """Google's newer model: the fee says what was unused ($10), usage that names no commitment what was used ($190): 95 % together."""
    google = {"source": "gcp", "provider": "gcp", "commitment_kind": "committed_use_spend", "team": None}

    def fill(connection) -> None:
        dates(connection)
        put(connection, "fct_commitment_daily", plan("Commitment A", 0, 10, **google) + plan(None, 190, 0, **google | {"fee_days": None}))

    connection = filled(fill)
    assert returned(built, connection, "commitment_levers", *RELATIONS) == []
    assert returned(built, connection, "commitments_alerts", "fct_commitment_daily", "dim_date") == []


def test_use_that_a_bill_does_not_tell_is_not_taken_for_none(built, filled) -> None:
    def fill(connection) -> None:
        dates(connection)
        put(
            connection,
            "fct_commitment_daily",
            plan("room", 0, 50, commitment_kind="capacity_reservation", used_cost_usd=None, committed_cost_usd=None),
        )

    connection = filled(fill)
    assert returned(built, connection, "commitment_levers", *RELATIONS) == []
    assert returned(built, connection, "commitments_alerts", "fct_commitment_daily", "dim_date") == []


def test_a_commitment_that_ends_is_told_with_what_it_takes_off(built, filled) -> None:
    """$100 a day for what lists at $150; a second one ends in half a year, a third has no list price, a fourth costs more than list."""
    soon, later = dt.datetime(2026, 11, 2), dt.datetime(2027, 4, 1)

    def fill(connection) -> None:
        dates(connection)
        put(
            connection,
            "fct_commitment_daily",
            plan("plan/a", 100, 0, covered_list_cost_usd=Decimal(150), ends_at=soon)
            + plan("plan/b", 100, 0, covered_list_cost_usd=Decimal(150), ends_at=later)
            + plan("plan/c", 100, 0, ends_at=dt.datetime(2026, 11, 27), covered_list_cost_usd=None)
            + plan("plan/d", 100, 0, covered_list_cost_usd=Decimal(90), ends_at=dt.datetime(2026, 11, 20)),
        )

    alerts = {a["subject"]: a for a in returned(built, filled(fill), "commitments_alerts", "fct_commitment_daily", "dim_date")}
    assert set(alerts) == {"plan/a", "plan/c", "plan/d"}
    # (150 - 100) x 7 days, x 365 / 12 / 7 = 50 x 365 / 12
    assert (alerts["plan/a"]["severity"], alerts["plan/a"]["amount_usd"]) == ("critical", Decimal("1520.833333333333"))
    assert alerts["plan/a"]["measured"] == "5 days left"
    assert (alerts["plan/c"]["severity"], alerts["plan/c"]["amount_usd"]) == ("warning", None)
    assert (alerts["plan/d"]["severity"], alerts["plan/d"]["measured"]) == ("info", "23 days left")


def disk(resource_id: str, days: list[dt.date] = DAYS, **more) -> list[dict]:
    return [
        {
            "usage_date": day, "source": "aws", "provider": "aws", "account_id": "4444", "resource_id": resource_id, "storage_kind": "volume", "team": "nlp",
            "machine_count": 2, "inventoried_machine_count": 2, "cost_usd": Decimal(3), **more,
        }
        for day in days
    ]  # fmt: skip


def test_a_disk_that_nothing_attaches_and_nobody_claims_is_named(built, filled) -> None:
    def fill(connection) -> None:
        dates(connection)
        attached_once = disk("vol-moved")
        attached_once[-3] |= {"attached_node": "gpu-1"}
        rows = [
            *disk("vol-lost"), *attached_once, *disk("vol-claimed", claimed_by="run-7"), *disk("vol-new", DAYS[-6:]), *disk("vol-gone", DAYS[:-1]),
            *disk("vol-cheap", cost_usd=Decimal("0.01")), *disk("snap-old", storage_kind="snapshot"),
            *disk("vol-half", inventoried_machine_count=1), *disk("vol-blind", inventoried_machine_count=0, team=None),
            *disk("vol-alone", machine_count=0, inventoried_machine_count=0),
        ]  # fmt: skip
        put(connection, "fct_storage_resource_daily", rows)

    rules = {"levers": {"orphaned_disks": {"snapshot_days": 28}}}
    levers = {lever["scope"]: lever for lever in returned(built, filled(fill, rules), "commitment_levers", *RELATIONS)}
    assert {scope: lever["confidence"] for scope, lever in levers.items()} == {
        "vol-lost": "high", "vol-half": "medium", "vol-blind": "low", "vol-alone": "medium", "snap-old": "low",
    }  # fmt: skip
    # 7 days of $3; 21 x 365 / 12 / 7 = 91.25
    lost = levers["vol-lost"]
    assert (lost["observed_days"], lost["saving_usd"], lost["saving_usd_per_month"], lost["team"]) == (7, 21, Decimal("91.25"), "nlp")
    assert levers["vol-blind"]["assumptions"].startswith("The inventory names no disk of any machine")
    assert levers["snap-old"]["observed_days"] == 28


def test_ids_are_text_and_nothing_else(built, filled) -> None:
    hostile = "'; drop table x; -- \"{{ env_var('HOME') }}"

    def fill(connection) -> None:
        dates(connection)
        put(connection, "fct_storage_resource_daily", disk(hostile, account_id=hostile))

    [lever] = returned(built, filled(fill), "commitment_levers", *RELATIONS)
    assert lever["explain"] == "apportion explain --account ''\"'\"'; drop table x; -- \"{{ env_var('\"'\"'HOME'\"'\"') }}'"
    assert lever["scope"] == hostile and json.loads(lever["evidence"])["account_id"] == hostile


def test_nothing_published_is_no_lever_and_no_alert(built, filled) -> None:
    connection = filled(lambda connection: None)
    assert returned(built, connection, "commitment_levers", *RELATIONS) == []
    assert returned(built, connection, "commitments_alerts", "fct_commitment_daily", "dim_date") == []
