"""The figures of a statement: one team's month in one release.

Belongs here: what is summed, from the tables of ``month.py``. Does not: reading files, wording. Money is exact; nothing here depends on
the clock, on other releases or on the order of rows.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import duckdb

DEAREST = 5
UNIT = Decimal("0.000000000001")
PARTS = ("own", "idle", "unexplained", "company", "shared")


@dataclass(frozen=True)
class Figure:
    """One figure: ``amount`` in ``unit`` (usd, gpu_hours, days), or ``text``."""

    section: str
    item: str
    measure: str
    unit: str
    amount: Decimal | None = None
    text: str | None = None


def digest(figures: list[Figure]) -> str:
    """SHA-256 over every figure, exactly as it is."""
    content = [[f.section, f.item, f.measure, f.unit, None if f.amount is None else f"{f.amount:f}", f.text] for f in figures]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def month_figures(connection: duckdb.DuckDBPyConnection, team: str, first: dt.date) -> list[Figure]:
    """Every figure of ``team`` in the month that begins with ``first``, in their order."""
    before = (first - dt.timedelta(days=1)).replace(day=1)
    ask = Asked(connection, {"team": team, "month": first, "before": before})
    return [
        *finality_figures(ask, first),
        *_parts(ask),
        *_own(ask),
        *_classes(ask),
        *_idle(ask),
        *_rules(ask),
        *_savings(ask),
        *_dearest(ask),
        *_changes(ask),
    ]


class Asked:
    """Queries of one team and month; ``$team``, ``$month`` and ``$before`` are bound where a query names them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, parameters: dict[str, Any]) -> None:
        self.connection, self.parameters = connection, parameters

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of ``query``."""
        bound = {name: value for name, value in self.parameters.items() if f"${name}" in query}
        return self.connection.execute(query, bound).fetchall()

    def one(self, query: str) -> tuple[Any, ...]:
        """The only row of ``query``."""
        [row] = self.rows(query)
        return row


def _usd(section: str, item: str, measure: str, amount: Decimal | None) -> Figure:
    return Figure(section, item, measure, "usd", amount, "unknown" if amount is None else None)


def _hours(section: str, item: str, measure: str, seconds: Decimal) -> Figure:
    return Figure(section, item, measure, "gpu_hours", Decimal(seconds / 3600).quantize(Decimal("0.000001")))


def finality_figures(ask: Asked, first: dt.date) -> Iterator[Figure]:
    """Whether the figures may still move: the bills' finality, days that are not there, days that wait for their bill."""
    length = ((first + dt.timedelta(days=31)).replace(day=1) - first).days
    (published,) = ask.one("select count(*) from dim_date where date_trunc('month', usage_date) = $month")
    yield Figure("finality", "days published", f"of {length}", "days", Decimal(published))
    open_bills = ask.rows(
        "select distinct source || ' ' || strftime(billing_period, '%Y-%m') from fct_reconciliation where usage_month = $month"
        " and finality <> 'final' and source in (select source from daily where month = $month) order by 1"
    )
    state = "provisional" if open_bills or published < length else "final"
    yield Figure("finality", "state", "", "text", text=state)
    for (name,) in open_bills:
        yield Figure("finality", "bill that may still change", name, "text", text="provisional")
    waiting = ask.rows(
        "select usage_date from dim_date where date_trunc('month', usage_date) = $month and (usage_date not in (select usage_date from daily)"
        " or usage_date in (select usage_date from fct_gpu_utilization_daily where pricing_status in ('awaiting_bill', 'partly_priced')))"
        " order by usage_date"
    )
    yield Figure("finality", "days not yet priced", "", "days", Decimal(len(waiting)))
    for (day,) in waiting:
        yield Figure("finality", "day not yet priced", day.isoformat(), "text", text="awaiting_bill")
    seconds, dollars, unrated = ask.one(
        "select coalesce(sum(gpu_seconds), 0), sum(estimated_cost_usd), count(*) filter (where estimated_cost_usd is null)"
        " from fct_cost_estimate where pricing_status in ('estimated', 'awaiting_bill') and date_trunc('month', usage_date) = $month"
        " and workload_key in (select workload_key from dim_workload where team = $team)"
    )
    if seconds:
        yield _hours("finality", "GPU time of the team that waits for its bill", "", seconds)
        yield _usd("finality", "estimate for it", "not in any sum", None if unrated else dollars)


def _parts(ask: Asked) -> Iterator[Figure]:
    """The total, and its parts."""
    for basis, column in (("effective", "cost_usd"), ("billed", "billed_cost_usd")):
        yield _usd("total", "total", basis, ask.one(f"select coalesce(sum({column}), 0) from shown where month = $month")[0])  # noqa: S608
    found = dict(ask.rows("select cost_part, sum(cost_usd) from shown where month = $month group by cost_part"))
    for part in PARTS:
        yield _usd("total", part, "effective", found.get(part, Decimal(0)))


def _own(ask: Asked) -> Iterator[Figure]:
    for model, environment, cost in ask.rows(
        "select model, environment, sum(cost_usd) from shown where month = $month and cost_part = 'own' group by all order by 3 desc, 1, 2"
    ):
        yield _usd("own by model and environment", f"{model} / {environment}", "", cost)


def _classes(ask: Asked) -> Iterator[Figure]:
    """What it bought: the classes of everything but what distribution rules moved."""
    for name, cost, seconds in ask.rows(
        "select cost_class, sum(cost_usd), coalesce(sum(gpu_seconds), 0) from shown where month = $month and cost_part <> 'shared'"
        " group by all order by 2 desc, 1"
    ):
        yield _usd("what it bought", name, "", cost)
        if seconds:
            yield _hours("what it bought", name, "", seconds)


def _idle(ask: Asked) -> Iterator[Figure]:
    for pool, cost in ask.rows(
        "select coalesce(pool, '(no pool)'), sum(cost_usd) from daily where month = $month and owner_team = $team and stage = 'allocated'"
        " and workload_type is null and cost_class in ('unallocated_idle', 'stranded') group by all order by 2 desc, 1"
    ):
        yield _usd("idle by pool", pool, "", cost)


def _rules(ask: Asked) -> Iterator[Figure]:
    for rule, received, given in ask.rows(
        "select coalesce(rule_id, '(no rule)'), coalesce(sum(cost_usd) filter (where cost_usd > 0), 0), coalesce(sum(cost_usd) filter (where cost_usd < 0), 0)"
        " from daily where month = $month and owner_team = $team and stage = 'distributed' group by all order by 1"
    ):
        yield _usd("shared by rule", rule, "received", received)
        yield _usd("shared by rule", rule, "handed on", given)


def _savings(ask: Asked) -> Iterator[Figure]:
    """List against paid, of the rows that have a list price; what has none is named."""
    for category, list_cost, paid, missing in ask.rows(
        "select coalesce(pricing_category, '(no usage)'), sum(list_cost_usd), sum(cost_usd - list_missing_cost_usd), sum(list_missing_cost_usd)"
        " from daily where month = $month and owner_team = $team and stage = 'allocated' group by all order by 1"
    ):
        if list_cost is not None:
            yield _usd("list price against paid", category, "list price", list_cost)
            yield _usd("list price against paid", category, "paid for it", paid)
            yield _usd("list price against paid", category, "saved", list_cost - paid)
        if missing:
            yield _usd("list price against paid", category, "without a list price", missing)
    (unused,) = ask.one("select coalesce(sum(cost_usd), 0) from shown where month = $month and cost_class = 'unused_commitment'")
    yield _usd("list price against paid", "commitments that nothing used", "", unused)


def _dearest(ask: Asked) -> Iterator[Figure]:
    for section, rule in (("dearest endpoints", "="), ("dearest runs", "<>")):
        rows = ask.rows(
            "select workload_key, sum(effective_cost) as cost, coalesce(sum(effective_cost) filter (where cost_class = 'held_idle'), 0)"  # noqa: S608
            " from ledger where workload_key is not null and team = $team and stage = 'allocated'"
            f" and workload_type {rule} 'endpoint' group by all order by cost desc, workload_key"
        )
        for key, cost, idle in rows[:DEAREST]:
            yield _usd(section, key, "", cost)
            yield _usd(section, key, "of it held and idle", idle)
        if rest := rows[DEAREST:]:
            yield _usd(section, f"{len(rest)} others", "", sum((cost for _, cost, _ in rest), Decimal(0)))


def _changes(ask: Asked) -> Iterator[Figure]:
    """Against the month before, in the same release: by part, and why. The reasons sum to the change of the total."""
    (days,) = ask.one("select count(*) from dim_date where date_trunc('month', usage_date) = $before")
    yield Figure("change against the month before", "days published in it", "", "days", Decimal(days))
    if not days:
        return
    moved = "sum(case when month = $month then cost_usd else -cost_usd end)"
    change = "change against the month before"
    total, shared = ask.one(
        f"select coalesce({moved}, 0), coalesce({moved} filter (where cost_part = 'shared'), 0) from shown"  # noqa: S608
        " where month in ($month, $before)"
    )
    yield _usd(change, "total", "", total)
    for part, cost in ask.rows(f"select cost_part, {moved} from shown where month in ($month, $before) group by all order by 1"):  # noqa: S608
        yield _usd(change, part, "part", cost)
    volume = price = Decimal(0)
    for cost, cost_before, seconds, seconds_before in ask.rows(
        "select coalesce(sum(cost_usd) filter (where month = $month), 0), coalesce(sum(cost_usd) filter (where month = $before), 0),"
        " coalesce(sum(gpu_seconds) filter (where month = $month), 0), coalesce(sum(gpu_seconds) filter (where month = $before), 0)"
        " from daily where owner_team = $team and stage = 'allocated' and gpu_seconds is not null group by gpu_model, pricing_category"
        " order by gpu_model nulls last, pricing_category nulls last"
    ):
        more = volume_effect(cost_before, seconds_before, cost, seconds)
        volume, price = volume + more, price + (cost - cost_before - more)
    yield _usd(change, "more or fewer GPU hours", "reason", volume)
    yield _usd(change, "another price of a GPU hour", "reason", price)
    yield _usd(change, "what is no GPU time", "reason", total - shared - volume - price)
    yield _usd(change, "distribution rules", "reason", shared)
    for item, cost in ask.rows(
        f"select model || ' / ' || environment, {moved} as moved from shown where month in ($month, $before) and cost_part = 'own'"  # noqa: S608
        f" group by model, environment having {moved} <> 0 order by abs(moved) desc, 1 limit {DEAREST}"
    ):
        yield _usd(change, item, "own", cost)


def volume_effect(cost_before: Decimal, seconds_before: Decimal, cost: Decimal, seconds: Decimal) -> Decimal:
    """The change of cost at the former price per second, to 1e-12, half to even; all of it where there was no former time."""
    if seconds_before == 0:
        return cost - cost_before
    exact = Fraction(cost_before) * (Fraction(seconds) - Fraction(seconds_before)) / Fraction(seconds_before)
    return Decimal(round(exact * 10**12)) * UNIT
