"""The harness stands: rows that a test puts are there, columns that it leaves out are filled as the contract asks."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from tests.empty_warehouse import put

DAY = dt.date(2026, 10, 5)


def test_the_governance_models_run_over_hand_made_days(governed) -> None:
    def fill(connection) -> None:
        put(connection, "dim_date", [{"usage_date": DAY, "month_start": dt.date(2026, 10, 1)}])
        put(connection, "fct_cost_daily", [{"usage_date": DAY, "stage": "allocated", "team": "nlp", "cost_usd": Decimal("1.5")}])

    connection = governed(fill)
    assert connection.execute("select usage_date, team, owner_team, cost_usd, source from published.fct_cost_daily").fetchall() == [
        (DAY, "nlp", None, Decimal("1.500000000000"), "-")
    ]
