"""Showback: whatever is filtered or grouped, the members sum to the ledger of the month (koku 491 and 849: B20)."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from decimal import Decimal

from tests.empty_warehouse import put

DIMENSIONS = ("usage_month", "team_kind", "team", "model", "environment", "cost_part", "cost_class")
BASES = ("billed_cost_usd", "cost_usd", "net_cost_usd", "list_cost_usd", "contracted_cost_usd", "list_missing_cost_usd")
CLASSES = (
    "used",
    "held_idle",
    "unallocated_idle",
    "stranded",
    "unknown",
    "not_measured",
    "unused_commitment",
    "tax_and_fees",
    "credit",
    "unattributed",
)
TEAMS = (None, "", " ", "nlp", "vision", "(idle)", "(shared)", "'; drop table x; --", "日本")
MODELS = (None, "", "m1", "(no model)", "=1+1")


def random_days(seed: int, count: int) -> list[dict[str, object]]:
    """Rows of the ledger by day with every combination that a bill can bring, among them NULL, blanks and hostile names."""
    draw = random.Random(seed)

    def money() -> Decimal:
        return Decimal(draw.randrange(-(10**9), 10**13)).scaleb(-12)

    rows = []
    for number in range(count):
        rows.append(
            {
                "usage_date": dt.date(2026, 9, 28) + dt.timedelta(days=draw.randrange(8)),
                "stage": draw.choice(("allocated", "allocated", "distributed")),
                "source": str(number),  # the grain stays unique
                "owner_team": draw.choice(TEAMS),
                "owner_basis": draw.choice(("workload", "tag", "pool", "account", "none")),
                "model": draw.choice(MODELS),
                "environment": draw.choice((None, "production", "dev")),
                "workload_type": draw.choice((None, "training_run", "endpoint")),
                "cost_class": draw.choice(CLASSES),
                "gpu_seconds": draw.choice((None, Decimal("0.5"))),
                "list_cost_usd": draw.choice((None, money())),
                "contracted_cost_usd": draw.choice((None, money())),
                "net_cost_usd": money(),
                "billed_cost_usd": money(),
                "cost_usd": money(),
                "list_missing_cost_usd": money(),
            }
        )
    return rows


def test_b20_every_grouping_with_its_members_sums_to_the_ledger(governed) -> None:
    rows = random_days(seed=20, count=3000)
    connection = governed(lambda c: put(c, "fct_cost_daily", rows), select="fct_showback dim_showback_member")
    true = {basis: sum((row[basis] for row in rows if row[basis] is not None), Decimal(0)) for basis in BASES}

    def totals(query: str) -> dict[str, Decimal]:
        return dict(zip(BASES, connection.execute(query).fetchone(), strict=True))

    for size in range(len(DIMENSIONS) + 1):
        for subset in itertools.combinations(DIMENSIONS, size):
            sums = ", ".join(f"sum({basis}) as {basis}" for basis in BASES)
            grouped = f"select {sums} from published.fct_showback" + (f" group by {', '.join(subset)}" if subset else "")  # noqa: S608
            assert totals(f"select {', '.join(f'sum({basis})' for basis in BASES)} from ({grouped})") == true, subset  # noqa: S608
    unnamed = " or ".join(f"{name} is null or {name} = ''" for name in DIMENSIONS if name != "usage_month")
    assert connection.execute(f"select count(*) from published.fct_showback where {unnamed} or usage_month is null").fetchone() == (0,)  # noqa: S608
    # a filter on any dimension through its listed members loses nothing either
    for dimension in ("team", "model", "environment", "cost_part", "cost_class"):
        listed = connection.execute(
            f"select sum(cost_usd) from published.fct_showback where {dimension} in (select member from published.dim_showback_member where dimension = ?)",  # noqa: S608
            [dimension],
        )
        assert listed.fetchone() == (true["cost_usd"],)
        of_members = connection.execute("select sum(cost_usd) from published.dim_showback_member where dimension = ?", [dimension])
        assert of_members.fetchone() == (true["cost_usd"],)


def test_a_filter_by_team_and_its_complement_are_the_month(governed) -> None:
    """$7 of nlp, $2 idle without an owner, $1 tax: nlp 7, everything else 3; a filter `team <> 'nlp'` would lose NULLs, and there are none."""
    day = {"usage_date": dt.date(2026, 10, 5), "stage": "allocated"}

    def fill(connection) -> None:
        put(
            connection,
            "fct_cost_daily",
            [
                day | {"owner_team": "nlp", "owner_basis": "tag", "cost_class": "used", "cost_usd": Decimal(7)},
                day | {"owner_team": None, "owner_basis": "none", "cost_class": "stranded", "cost_usd": Decimal(2)},
                day | {"owner_team": None, "owner_basis": "none", "cost_class": "tax_and_fees", "cost_usd": Decimal(1)},
            ],
        )

    connection = governed(fill, select="fct_showback")
    query = "select sum(cost_usd) filter (where team = 'nlp'), sum(cost_usd) filter (where team <> 'nlp') from published.fct_showback"
    assert connection.execute(query).fetchone() == (Decimal(7), Decimal(3))
