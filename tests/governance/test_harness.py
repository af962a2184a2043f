"""The harness stands: rows that a test puts are there, columns that it leaves out are filled as the contract asks, and its models make what dbt
makes of the same rows."""

from __future__ import annotations

import datetime as dt
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipelines import dbt, warehouse
from pipelines.settings import Settings, SettingsFile
from tests.empty_warehouse import put
from tests.governance import test_guardrails, test_training, test_untagged_spend
from tests.governance.fleet import FORTNIGHT, fill_fleet, held, hours
from tests.governance.spend_company import START, Company
from tests.governance.test_budgets import NLP, spend
from tests.governance.test_inference import day

DAY = dt.date(2026, 10, 5)
RULES = {
    "budgets": [NLP],
    "guardrails": test_guardrails.RULES,
    "levers": {"adopted": [{"lever_kind": "raise_utilization", "scope_type": "pool", "scope": "p", "adopted_on": "2026-10-12"}]},
    **test_training.WORTH,
}


def test_the_governance_models_run_over_hand_made_days(governed) -> None:
    def fill(connection) -> None:
        put(connection, "dim_date", [{"usage_date": DAY, "month_start": dt.date(2026, 10, 1)}])
        put(connection, "fct_cost_daily", [{"usage_date": DAY, "stage": "allocated", "team": "nlp", "cost_usd": Decimal("1.5")}])

    connection = governed(fill)
    assert connection.execute("select usage_date, team, owner_team, cost_usd, source from published.fct_cost_daily").fetchall() == [
        (DAY, "nlp", None, Decimal("1.500000000000"), "-")
    ]


def fill_all(connection: Any) -> None:
    """Something for every table: seven weeks of a company, a fortnight of a fleet, an endpoint, retrains, untagged resources."""
    days = [FORTNIGHT[-1] - dt.timedelta(days=n) for n in range(47, -1, -1)]
    put(connection, "dim_date", [{"usage_date": date, "month_start": date.replace(day=1)} for date in days if date not in FORTNIGHT])
    tripled = Company(2, days=48, change=lambda day, part: {"gpus": 3} if day == 46 and part.team == "vision" else {})  # noqa: PLR2004
    company = [row | {"usage_date": row["usage_date"] + (days[0] - START)} for row in tripled.rows()["fct_cost_daily"]]
    put(connection, "fct_cost_daily", company + [spend(date.day, 100) for date in FORTNIGHT])
    fill_fleet(connection, [held(hour, "training_run/slow", "0.25", model="slow", owner_team="nlp") for hour in hours()])
    put(connection, "fct_inference_unit_cost", [day(date, "chat") for date in days])
    test_training.filler(test_training.RUNS, test_training.QUALITY, days=0)(connection)
    put(connection, "int_resource_days", test_untagged_spend.ROWS, schema="intermediate")


def test_dbt_makes_the_same_tables_of_the_same_rows(governed, compiled_models, built: Settings, tmp_path: Path) -> None:
    ours = governed(fill_all, RULES)
    settings = Settings(SettingsFile(), tmp_path / "dbt", None)
    settings.warehouse.parent.mkdir(parents=True)
    shutil.copy(tmp_path / "1" / built.warehouse.relative_to(built.home), settings.warehouse)
    with warehouse.connect(settings) as connection:
        for name, (schema, _) in compiled_models.queries.items():
            connection.execute(f"delete from {schema}.{name}")  # noqa: S608
    dbt.invoke(settings, ["run", "--select", "tag:governance"])
    filled = set()
    with warehouse.connect(settings, read_only=True) as theirs:
        for name, (schema, _) in compiled_models.queries.items():
            query = f"select * from {schema}.{name} order by all"  # noqa: S608
            rows = theirs.execute(query).fetchall()
            assert ours.execute(query).fetchall() == rows, name
            filled |= {name} if rows else set()
    assert compiled_models.queries.keys() - filled == set()
