"""What adopted levers brought, over hand-made days. Adopted on 2026-10-15; 14 days before it, 14 from it on."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import duckdb

from tests.empty_warehouse import put

ADOPTED = dt.date(2026, 10, 15)
DAYS = [dt.date(2026, 10, 1) + dt.timedelta(days=n) for n in range(28)]
MODEL = "fct_realised_saving"


def dates(connection: duckdb.DuckDBPyConnection) -> None:
    put(connection, "dim_date", [{"usage_date": day, "month_start": day.replace(day=1)} for day in DAYS])


def cost(day: dt.date, usd: object, **more: Any) -> dict[str, Any]:
    return {"usage_date": day, "stage": "allocated", "source": "aws", "cost_class": "held_idle", "cost_usd": Decimal(str(usd)), **more}


def pool(before: tuple[int, int], after: tuple[int, int], name: str = "a100", days: list[dt.date] = DAYS) -> list[dict[str, Any]]:
    """Each day (dollars used, GPU-hours used) on rows of class used, and $40 of idle time beside it."""
    rows = []
    for day in days:
        usd, hours = before if day < ADOPTED else after
        rows += [cost(day, 40, pool=name), cost(day, usd, pool=name, cost_class="used", gpu_seconds=hours * 3600)]
    return rows


def adopted(scope_type: str, scope: str, predicted: object = None, kind: str = "raise_utilization") -> dict[str, Any]:
    entry = {"lever_kind": kind, "scope_type": scope_type, "scope": scope, "adopted_on": ADOPTED.isoformat()}
    return entry if predicted is None else entry | {"predicted_saving_usd_per_month": str(predicted)}


def found(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    cursor = connection.execute("select * from published.fct_realised_saving order by scope_type, scope")
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def rules(*entries: dict[str, Any], **realised: Any) -> dict[str, Any]:
    return {"levers": {"adopted": list(entries), "realised": realised}}


def test_a_saving_is_measured_for_the_same_work(governed) -> None:
    """$100 and 10 used GPU-hours a day before, $70 and 8 after: the fall by 420 is partly less work."""

    def fill(connection) -> None:
        dates(connection)
        put(connection, "fct_cost_daily", pool((60, 10), (30, 8)))

    [row] = found(governed(fill, rules(adopted("pool", "a100", 250)), MODEL))
    assert (row["before_days"], row["after_days"], row["basis"], row["work_unit"]) == (14, 14, "unit", "used GPU-hours")
    assert (row["before_cost_usd"], row["after_cost_usd"], row["before_work"], row["after_work"]) == (1400, 980, 140, 112)
    # 1,400 x 112 / 140 = 1,120; - 980 = 140, not 420; x 365 / 12 / 14 = 51,100 / 168
    assert (row["expected_cost_usd"], row["saving_usd"], row["saving_usd_per_month"]) == (1120, 140, Decimal("304.166666666667"))
    assert row["verdict"] == "realised" and round(row["realised_ratio"], 6) == 1.216667
    # 8 / 10 - 1: below the quarter from which on it is told
    assert round(row["work_change_ratio"], 6) == -0.2 and row["confounders"] is None


def test_what_fell_with_the_work_is_no_saving(governed) -> None:
    """Half the work at the same dollars for an hour of it: $100 and 10 hours before, $50 (10 + 40 idle) and 5 after."""

    def fill(connection) -> None:
        dates(connection)
        put(connection, "fct_cost_daily", pool((60, 10), (10, 5)))

    [row] = found(governed(fill, rules(adopted("pool", "a100", 100)), MODEL))
    # 1,400 x 70 / 140 - 700
    assert (row["saving_usd"], row["verdict"], row["confounders"]) == (0, "not_yet", "Work a day changed by -50 %. ")


def test_days_that_wait_for_their_bill_are_not_cheap_days(governed) -> None:
    def fill(connection) -> None:
        dates(connection)
        put(connection, "fct_cost_daily", pool((60, 10), (60, 10), days=DAYS[:-4]))

    [row] = found(governed(fill, rules(adopted("pool", "a100", 100)), MODEL))
    # ten days of $100 for the same work, and four days of which nobody knows
    assert (row["after_days"], row["unbilled_days"], row["after_to"]) == (10, 4, DAYS[-5])
    assert (row["saving_usd"], row["verdict"], row["confounders"]) == (0, "not_yet", "4 days wait for their bill. ")


def test_a_deleted_disk_costs_nothing_on_billed_days(governed) -> None:
    """$3 a day before; its account is billed on, so that its absence is a saving: 14 x 3 = 42, x 365 / 12 / 14 = 91.25."""

    def fill(connection) -> None:
        dates(connection)
        put(connection, "fct_cost_daily", [cost(day, 1) for day in DAYS])
        put(
            connection,
            "fct_storage_resource_daily",
            [{"usage_date": d, "resource_id": "vol-1", "cost_usd": 3} for d in DAYS if d < ADOPTED],
        )

    entries = [adopted("resource", "vol-1", "91.25", "delete_orphaned_disk"), adopted("resource", "vol-2", 5, "delete_orphaned_disk")]
    one, two = found(governed(fill, rules(*entries), MODEL))
    assert (one["saving_usd"], one["saving_usd_per_month"], one["basis"], one["verdict"]) == (42, Decimal("91.25"), "day", "realised")
    assert two["verdict"] == "unknown_scope" and two["confounders"].startswith("No cost of this scope")


def test_an_endpoint_is_compared_by_its_requests(governed) -> None:
    """$10 for 1,000 requests a day before, $15 for 3,000 after: dearer by the day, cheaper by the request."""

    def fill(connection) -> None:
        dates(connection)
        put(connection, "fct_cost_daily", [cost(day, 1) for day in DAYS])
        rows = [(10, 1000) if day < ADOPTED else (15, 3000) for day in DAYS]
        put(
            connection,
            "fct_inference_unit_cost",
            [
                {"usage_date": d, "endpoint": "chat", "allocated_cost_usd": usd, "requests_ok": n}
                for d, (usd, n) in zip(DAYS, rows, strict=True)
            ],
        )

    [row] = found(governed(fill, rules(adopted("endpoint", "chat", 1000, "downsize_endpoint")), MODEL))
    # 140 x 42,000 / 14,000 = 420; - 210 = 210; x 365 / 12 / 14 = 456.25 of 1,000
    assert (row["saving_usd"], row["saving_usd_per_month"], row["verdict"]) == (210, Decimal("456.25"), "partly")
    assert row["realised_ratio"] == 0.45625 and row["confounders"] == "Work a day changed by 200 %. "


def test_a_bought_commitment_is_compared_for_the_same_list_price(governed) -> None:
    """$10 a day on demand before; after it $6.50 covered and $0.50 on demand for the same $10 of list price."""
    scope = "aws/AmazonEC2/us-east-1/p4d"

    def fill(connection) -> None:
        dates(connection)
        put(connection, "fct_cost_daily", [cost(day, 1) for day in DAYS])
        base = {"source": "aws", "service": "AmazonEC2", "region": "us-east-1", "instance_family": "p4d"}
        rows = [
            base | {"usage_date": d, "on_demand_cost_usd": 10, "on_demand_list_cost_usd": 10}
            if d < ADOPTED
            else base | {"usage_date": d, "on_demand_cost_usd": Decimal("0.5"), "on_demand_list_cost_usd": Decimal("0.5"),
                         "covered_cost_usd": Decimal("6.5"), "covered_list_cost_usd": Decimal("9.5")}
            for d in DAYS
        ]  # fmt: skip
        put(connection, "fct_commitment_coverage", [{"covered_cost_usd": 0} | row for row in rows])

    [row] = found(governed(fill, rules(adopted("commitment", scope, None, "buy_commitment")), MODEL))
    # 14 x 10 - 14 x 7
    assert (row["saving_usd"], row["work_unit"], row["verdict"], row["realised_ratio"]) == (
        42,
        "dollars at list prices",
        "no_prediction",
        None,
    )


def test_too_few_days_are_no_verdict(governed) -> None:
    def fill(connection) -> None:
        dates(connection)
        put(connection, "fct_cost_daily", pool((60, 10), (30, 10)))

    [row] = found(governed(fill, rules(adopted("pool", "a100", 100), minimum_days=15), MODEL))
    assert (row["verdict"], row["saving_usd"]) == ("too_early", 420)


def test_nothing_adopted_is_nothing_measured(governed) -> None:
    assert found(governed(dates, None, MODEL)) == []
