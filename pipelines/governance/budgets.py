"""The section `governance.budgets` of the policy: its schema, and how it becomes relations that SQL reads.

Belongs here: validation. Does not: any rule (values are in the policy file, SQL in dbt_project/).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Literal

import duckdb
from pydantic import AfterValidator, Field, field_validator

from pipelines.repeated import repeated
from pipelines.rules import Dated, write_relation

ScopeColumn = Literal["team", "model", "environment", "project", "account", "source"]
DEFAULT_THRESHOLDS = (50, 80, 100)


class Budget(Dated):
    """One entry of `governance.budgets`: who may spend how much, per calendar month or quarter (UTC).

    scope: `all`, or column -> value or values; every column must hold, one value of a column is enough.
    amount_usd: US dollars per period, never prorated. include_idle: whether a team's budget pays for what its pools idle with nobody holding them.
    include_shared: whether it pays for what distribution rules hand to it. valid_from inclusive, valid_to exclusive, UTC days.
    """

    id: str = Field(pattern="^[a-z0-9][a-z0-9_.-]*$")
    owner: str = Field(min_length=1)
    amount_usd: Decimal = Field(gt=0, max_digits=26, decimal_places=12)
    scope: Literal["all"] | dict[ScopeColumn, str | list[str]] = "all"
    period: Literal["month", "quarter"] = "month"
    basis: Literal["effective", "billed", "list"] = "effective"
    include_idle: bool = True
    include_shared: bool = True
    thresholds: list[int] = Field(default=list(DEFAULT_THRESHOLDS), min_length=1)
    forecast_threshold: int = Field(default=100, ge=1, le=1000)

    @field_validator("scope")
    @classmethod
    def _names_something(cls, scope: str | dict[str, str | list[str]]) -> str | dict[str, str | list[str]]:
        if isinstance(scope, dict) and (not scope or any(not values for values in scope.values())):
            raise ValueError("a scope names at least one value of at least one column; write `all` for everything")
        return scope

    @field_validator("thresholds")
    @classmethod
    def _rise(cls, thresholds: list[int]) -> list[int]:
        if any(not 1 <= t <= 1000 for t in thresholds) or len(set(thresholds)) != len(thresholds):
            raise ValueError("thresholds are different whole percentages of 1 to 1000")
        return sorted(thresholds)

    @property
    def conditions(self) -> list[tuple[str, str]]:
        """(column, wanted value) of the scope, sorted; none for `all`."""
        if isinstance(self.scope, str):
            return []
        return sorted((column, v) for column, values in self.scope.items() for v in ([values] if isinstance(values, str) else values))

    @property
    def scope_text(self) -> str:
        """The scope as a JSON object with sorted keys and values, or `all`."""
        columns = sorted({column for column, _ in self.conditions})
        wanted = {column: [v for c, v in self.conditions if c == column] for column in columns}
        return json.dumps(wanted, ensure_ascii=False) if wanted else "all"

    @property
    def team(self) -> str | None:
        """The one team that the scope names; None where it names none or several."""
        teams = [value for column, value in self.conditions if column == "team"]
        return teams[0] if len(teams) == 1 else None


def one_of_each(budgets: list[Budget]) -> list[Budget]:
    """``budgets`` as they are. Raises ValueError where an id stands twice."""
    ids = [budget.id for budget in budgets]
    if twice := repeated(ids):
        raise ValueError(f"budget {twice[0]} stands twice; ids are unique")
    return budgets


Budgets = Annotated[list[Budget], AfterValidator(one_of_each)]


def write_budgets(connection: duckdb.DuckDBPyConnection, entries: Sequence[Budget]) -> None:
    """Replace this section's relations of the schema ``policy``."""
    budgets = [
        (
            b.id, b.scope_text, b.owner, b.team, b.period, b.amount_usd, b.basis, b.include_idle, b.include_shared,
            len({column for column, _ in b.conditions}), b.forecast_threshold, b.valid_from, b.valid_to,
        )
        for b in sorted(entries, key=lambda b: b.id)
    ]  # fmt: skip
    columns = (
        "budget_id varchar, scope varchar, owner varchar, team varchar, period varchar, amount_usd decimal(38, 12), basis varchar,"
        " includes_idle boolean, includes_shared boolean, condition_columns bigint, forecast_threshold_percent bigint, valid_from date,"
        " valid_to date"
    )
    write_relation(connection, "budgets", columns, budgets)
    conditions = sorted((b.id, column, value) for b in entries for column, value in b.conditions)
    write_relation(connection, "budget_conditions", "budget_id varchar, column_name varchar, wanted_value varchar", conditions)
    thresholds = sorted((b.id, percent) for b in entries for percent in b.thresholds)
    write_relation(connection, "budget_thresholds", "budget_id varchar, threshold_percent bigint", thresholds)
