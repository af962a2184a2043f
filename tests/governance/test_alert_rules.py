"""Alerts of operations in `fct_alert`: idle GPUs, silent sources, dollars that did not reach the release. Figures are worked in the comments."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from decimal import Decimal
from typing import Any

from tests.empty_warehouse import put

TODAY = dt.date(2026, 10, 12)
MIDNIGHT = dt.datetime(2026, 10, 12)


def days(connection: Any, first: dt.date, last: dt.date, without: tuple[dt.date, ...] = ()) -> None:
    span = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
    rows = [{"usage_date": day, "month_start": day.replace(day=1)} for day in span if day not in without]
    put(connection, "dim_date", rows)


def hours(
    gpu: str,
    count: int,
    *,
    idle: str | None = "1",
    activity: float | None = 0.01,
    node: str = "n1",
    pool: str | None = "train",
    **other: Any,
):
    """The last ``count`` hours of TODAY and before, each with ``idle`` dollars that bought nothing."""
    for n in range(count):
        hour = MIDNIGHT + dt.timedelta(hours=23 - n)
        yield {
            "gpu_key": f"{node}|i-{node}|{gpu}",
            "node": node,
            "pool": pool,
            "usage_hour": hour,
            "usage_date": hour.date(),
            "covered_seconds": 3600,
            "held_seconds": 0,
            "activity_ratio": activity,
            "pricing_status": "priced" if idle is not None else "awaiting_bill",
            "held_idle_cost_usd": 0 if idle is not None else None,
            "stranded_cost_usd": 0 if idle is not None else None,
            "unallocated_idle_cost_usd": None if idle is None else Decimal(idle),
            **other,
        }


def alerts(connection: Any, kind: str, columns: str) -> list[tuple[Any, ...]]:
    return connection.execute(f"select {columns} from published.fct_alert where alert_kind = ? order by alert_rank", [kind]).fetchall()  # noqa: S608


def test_idle_gpus_of_one_owner_are_one_alert(governed) -> None:
    def fill(connection: Any) -> None:
        days(connection, dt.date(2026, 10, 5), TODAY)
        put(
            connection,
            "dim_node",
            [{"node_key": f"{n}|i-{n}", "node": n, "owner_team": "vision"} for n in ("n1", "n2", "n3", "n5", "n6", "n7")],
        )
        put(connection, "dim_workload", [{"workload_key": "endpoint/it's", "team": "nlp"}])
        rows = [row for n in range(8) for row in hours(f"g{n}", 24, idle="0.6")]  # 8 x 24 x 0.6 = 115.20
        rows += hours("h", 30, idle="5", node="n4", held_seconds=3600, main_workload_key="endpoint/it's")  # 30 x 5 = 150
        rows += hours("busy", 48, idle="9", activity=0.05, node="n2", pool="busy")  # 5 % is not below 5 %
        rows += hours("short", 23, idle="9", node="n3", pool="short")  # 23 hours of 24
        rows += hours("cheap", 24, idle="4.16", node="n5", pool="cheap")  # 24 x 4.16 = 99.84 of 100
        rows += hours("unpriced", 24, idle=None, node="n6", pool=None)
        gap = list(hours("gap", 48, idle="9", node="n7", pool="gap"))  # no value ten hours ago: ten hours in a row
        gap[10] |= {"activity_ratio": None}
        put(connection, "fct_gpu_utilization", rows + gap)

    connection = governed(fill, select="fct_alert")
    assert alerts(connection, "idle_gpu", "subject_type, subject, team, severity, since_date, is_new, amount_usd, alert_rank, explain") == [
        # 30 hours back from midnight at the end of the 12th: 18:00 on the 11th
        (
            "workload",
            "endpoint/it's",
            "nlp",
            "warning",
            dt.date(2026, 10, 11),
            False,
            Decimal(150),
            1,
            "apportion explain 'endpoint/it'\"'\"'s'",
        ),
        ("pool", "train", "vision", "warning", TODAY, True, Decimal("115.2"), 2, "apportion explain --pool 'train'"),
        ("node", "n6", "vision", "info", TODAY, True, None, 3, "apportion explain --node 'n6'"),
    ]
    [(measured, threshold, message, evidence)] = connection.execute(
        "select measured, threshold, message, evidence from published.fct_alert where subject = 'train'"
    ).fetchall()
    assert (measured, threshold) == ("8 GPUs for 24 hours, $115.20", "below 5 % for 24 hours and $100")
    assert message == "8 GPUs on 1 node, pool train, have been below 5 % activity for at least 24 hours: $115.20 bought nothing."
    [(unpriced,)] = connection.execute("select message from published.fct_alert where subject = 'n6'").fetchall()
    assert unpriced.endswith("for at least 24 hours; what that cost is not priced yet.")
    assert evidence == json.dumps(json.loads(evidence, parse_float=str), sort_keys=True).replace('"115.200000000000"', "115.200000000000")
    assert json.loads(evidence) == {"awaiting_bill_hours": 0, "first_node": "n1", "gpus": 8, "idle_usd": 115.2, "low_hours": 24, "nodes": 1}


def test_the_key_says_kind_owner_and_subject_and_stays_while_the_condition_lasts(governed) -> None:
    def fill(count: int):
        def filled(connection: Any) -> None:
            days(connection, dt.date(2026, 10, 5), TODAY)
            put(connection, "fct_gpu_utilization", hours("g", count, idle="9"))

        return filled

    expected = hashlib.md5(b"8=idle_gpu|~|4=pool|5=train|~", usedforsecurity=False).hexdigest()  # no owner, no period
    for count in (24, 30):
        [(key, amount)] = alerts(governed(fill(count), select="fct_alert"), "idle_gpu", "alert_key, amount_usd")
        assert (key, amount) == (expected, 9 * count)


def test_other_thresholds_hold(governed) -> None:
    def fill(connection: Any) -> None:
        days(connection, dt.date(2026, 10, 5), TODAY)
        put(connection, "fct_gpu_utilization", [*hours("g", 6, idle="1", activity=0.2)])

    rules = {"alerts": {"idle_gpu_below_percent": 25, "idle_gpu_hours": 6, "idle_gpu_usd": "6"}}
    assert alerts(governed(fill, rules, "fct_alert"), "idle_gpu", "amount_usd, threshold") == [
        (Decimal(6), "below 25 % for 6 hours and $6")
    ]
    assert alerts(governed(fill, {"alerts": rules["alerts"] | {"idle_gpu_usd": "6.01"}}, "fct_alert"), "idle_gpu", "amount_usd") == []


def delivered(source: str, kind: str, *ends: int, month: int = 10) -> list[dict[str, Any]]:
    return [
        {"source": source, "kind": kind, "period": str(day), "delivery_id": f"{source}-{day}", "covers_from": dt.date(2026, month, day), "covers_to": dt.date(2026, month, day)}
        for day in ends
    ]  # fmt: skip


def test_a_source_that_fell_silent_is_told_by_days(governed) -> None:
    def fill(connection: Any) -> None:
        days(connection, dt.date(2026, 10, 1), TODAY)
        rows = delivered("aws", "aws_cur", 8)  # 4 days behind the 12th, 3 are allowed
        rows += delivered("gcp", "gcp_billing", 9)  # 3 days
        rows += delivered("old", "aws_cur", 1) + delivered("ended", "focus", 1)  # 11 days, 10 are stated; 0: never stale
        rows += delivered("prices", "rate_card", 1) + delivered("nodes", "nodes", 1)  # nothing that comes every day
        rows += delivered("slurm", "slurm", 1, 2, 3, 4, 6, 7)  # five steps, the longest 2 days: 5 behind is more than 4
        rows += delivered("jobs", "workloads", 1, 2)  # too few steps to know its rhythm
        put(connection, "deliveries", rows, schema="ops")

    rules = {"alerts": {"stale_source_days_of": {"old": 10, "ended": 0}}}
    connection = governed(fill, rules, "fct_alert")
    assert sorted(alerts(connection, "stale_source", "subject, since_date, measured, threshold, amount_usd")) == [
        ("aws", dt.date(2026, 10, 12), "4 days behind", "3 days", None),
        ("old", dt.date(2026, 10, 12), "11 days behind", "10 days", None),
        ("slurm", dt.date(2026, 10, 12), "5 days behind", "4 days", None),
    ]
    [message] = connection.execute("select message from published.fct_alert where subject = 'aws'").fetchone()
    assert message == ("Source aws (aws_cur) has delivered nothing after 2026-10-08: 4 days behind the last published day, 3 are allowed.")


def test_dollars_that_no_night_published_and_bills_that_stay_provisional(governed) -> None:
    def fill(connection: Any) -> None:
        # the 6th and the 11th were never computed; only the 6th is older than three days. The 1st lies before the first published day.
        days(connection, dt.date(2026, 10, 2), TODAY, without=(dt.date(2026, 10, 6), dt.date(2026, 10, 11)))
        put(
            connection,
            "deliveries",
            [
                {"source": "aws", "kind": "aws_cur", "period": "m", "delivery_id": "d1", "finality": "provisional", "covers_to": TODAY},
                {"source": "card", "kind": "rate_card", "period": "m", "delivery_id": "d2", "finality": None, "covers_to": TODAY},
            ],
            schema="ops",
        )
        put(
            connection,
            "int_control_totals",
            [
                {
                    "source": "aws",
                    "delivery_id": "d1",
                    "usage_date": dt.date(2026, 10, day),
                    "currency": "USD",
                    "source_cost": Decimal(cost),
                }
                for day, cost in ((1, "1000"), (5, "100"), (6, "12.25"), (6, "0.5"), (11, "50"))
            ]
            + [{"source": "aws", "delivery_id": "gone", "usage_date": dt.date(2026, 10, 6), "currency": "USD", "source_cost": Decimal(7)}],
            schema="intermediate",
        )
        put(
            connection,
            "fct_reconciliation",
            [
                # August ended on the 1st of September, 41 days ago; September 11 days ago; the rate card never says which
                {"source": source, "billing_period": period, "usage_month": period, "finality": finality, "account_id": account, "effective_cost_usd": Decimal(5)}
                for source, period, finality, account in (
                    ("aws", dt.date(2026, 8, 1), "provisional", "a"), ("aws", dt.date(2026, 8, 1), "provisional", "b"),
                    ("aws", dt.date(2026, 7, 1), "final", "a"), ("aws", dt.date(2026, 9, 1), "provisional", "a"),
                    ("card", dt.date(2026, 8, 1), "provisional", "a"),
                )
            ],
        )  # fmt: skip

    connection = governed(fill, select="fct_alert")
    assert alerts(connection, "reconciliation_gap", "subject_type, subject, since_date, amount_usd, measured, explain") == [
        ("source", "aws USD", dt.date(2026, 10, 6), Decimal("12.75"), "12.75 USD unpublished", "apportion nightly --from 2026-10-06 --to 2026-10-06"),
        # 2026-09-01 and 20 days
        ("billing_period", "aws 2026-08", dt.date(2026, 9, 21), Decimal(10), "provisional 41 days after its end", "apportion explain --source 'aws'"),
    ]  # fmt: skip


def test_nothing_to_tell_is_no_row(governed) -> None:
    connection = governed(lambda connection: days(connection, TODAY, TODAY), select="fct_alert")
    assert connection.execute("select count(*) from published.fct_alert").fetchone() == (0,)
